"""Five hundred jobs from Python: a parameter sweep, its results by value, and a check of them.

    python sweep_500.py              on the workstations of the coordinator that you have joined
    python sweep_500.py --here       on this computer alone

Each job integrates a damped oscillator (oscillator.awk); the answer is known, so that every result
can be compared: the peak is 1 + exp(-pi zeta / sqrt(1 - zeta^2)).
"""

import argparse
import math
import sys
from pathlib import Path

from fallow.shared.batch import Batch, Command, File, Meta, OnFailure, Resources, sweep

HERE = Path(__file__).parent
ZETA = [round(0.02 + 0.03 * step, 2) for step in range(25)]
OMEGA = [round(0.5 * step, 1) for step in range(1, 21)]


def batch(name: str = "oscillator") -> Batch:
    """All combinations of 25 dampings and 20 frequencies."""
    return Batch(
        meta=Meta(namespace="examples", batch_name=name),
        command=Command(
            run="awk -v zeta={zeta} -v omega={omega} -f oscillator.awk > distribute_save/peak.txt",
            required_files=(File("oscillator.awk"),),
            sweep=sweep(zeta=ZETA, omega=OMEGA),
            name="zeta{zeta}_omega{omega}",
        ),
        resources=Resources(cpus=1, memory=32 << 20),
        on_failure=OnFailure(retries=1, back_off=1.0),
    )


def exact(zeta: float, omega: float) -> tuple[float, float]:
    """The peak and when it is."""
    root = math.sqrt(1 - zeta * zeta)
    return 1 + math.exp(-math.pi * zeta / root), math.pi / (omega * root)


def main() -> int:
    parser = argparse.ArgumentParser(description="A sweep of 500 jobs.")
    parser.add_argument("--here", action="store_true", help="without a coordinator")
    parser.add_argument("--coordinator", help="its address or data folder, if not the joined one")
    parser.add_argument("--dest", default="results", help="where results go")
    parser.add_argument("--name", default="oscillator", help="the batch's name")
    words = parser.parse_args()

    made = batch(words.name)
    if words.here:
        results = made.run(words.dest, folder=HERE)
    else:
        results = made.submit(words.coordinator, folder=HERE).wait().results(words.dest)
    results.check()

    worst = 0.0
    for zeta in ZETA:
        for omega in OMEGA:
            peak, at = map(float, results[zeta, omega].read("peak.txt").split())
            wanted = exact(zeta, omega)
            worst = max(worst, abs(peak / wanted[0] - 1), abs(at / wanted[1] - 1))
    print(f"{len(results)} jobs; the largest deviation is {worst:.2%}")
    print(f"omega = 1: {[results[zeta, 1].read('peak.txt').split()[0] for zeta in ZETA[:5]]} …")
    return 0 if worst < 0.01 else 1


if __name__ == "__main__":
    sys.exit(main())
