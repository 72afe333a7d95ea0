"""Runs once per workstation: tabulates exp(-x), which the jobs compare their results with."""

import json
import math
from pathlib import Path


def main() -> None:
    constants = json.loads(Path("input/constants.json").read_text())
    steps, end = constants["steps_per_unit"], constants["end"]
    values = [math.exp(-step / steps) for step in range(steps * end + 1)]
    Path("exact.json").write_text(json.dumps({"steps_per_unit": steps, "values": values}))
    print(f"exact.json: {len(values)} values")


if __name__ == "__main__":
    main()
