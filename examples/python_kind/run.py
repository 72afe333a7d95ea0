"""One job: integrates dy/dt = -rate * y by small steps and compares it with the exact solution."""

import json
import sys
from pathlib import Path


def main() -> int:
    processors = int(sys.argv[1])
    case = json.loads(Path("input/case.json").read_text())
    exact = json.loads(Path("exact.json").read_text())
    print(f"{case['name']}: {case['steps']} steps on {processors} processors", flush=True)
    y, step, worst = 1.0, case["duration"] / case["steps"], 0.0
    every = max(1, case["steps"] // 20)
    lines = ["t,y,exact"]
    for number in range(1, case["steps"] + 1):
        y -= step * case["rate"] * y
        if number % every == 0:
            t = number * step
            wanted = exact["values"][round(case["rate"] * t * exact["steps_per_unit"])]
            worst = max(worst, abs(y - wanted))
            lines.append(f"{t:g},{y:.9g},{wanted:.9g}")
    Path("distribute_save/decay.csv").write_text("\n".join(lines) + "\n")
    print(f"largest error {worst:.2g}", flush=True)
    if worst > 0.01:
        print("the steps are too long for this rate", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
