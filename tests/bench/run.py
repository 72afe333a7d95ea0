"""Every benchmark, as one table and as JSON; exit code 1 when a figure misses what it must meet.

Not tests: nothing else measures time. Run it on a quiet machine.

    python tests/bench/run.py [PART]...
"""

import signal
import sys
import time
import traceback
from pathlib import Path

TOP = Path(__file__).parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "examples")]

from bench import row  # noqa: E402
from bench.group import NotMeasured  # noqa: E402

PARTS = (
    "throughput",
    "running_here",
    "latency",
    "side_by_side",
    "planning",
    "submitting",
    "exporting",
    "asking",
    "reporting",
    "stopping",
    "idling",
    "typing_on",
    "transfer_speed",
)


def measure(part: str) -> tuple[list[row.Row], list[row.Failure]]:
    """The rows of one part; what could not be measured is told, not hidden."""
    module = __import__(f"bench.{part}", fromlist=["rows"])
    rows: list[row.Row] = []
    try:
        for each in module.rows():
            rows.append(each)
            print(f"  {each.name}: {row.show(each.median, each.unit)}", file=sys.stderr)
    except NotMeasured as error:
        return rows, [row.Failure(part, str(error))]
    except Exception as error:
        traceback.print_exc()
        return rows, [row.Failure(part, f"{type(error).__name__}: {error}")]
    return rows, []


def main() -> int:
    # Ended early, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = sys.argv[1:] or list(PARTS)
    for name in wanted:
        if name not in PARTS:
            print(f"no part {name!r}; there are: {', '.join(PARTS)}", file=sys.stderr)
            return 2
    rows: list[row.Row] = []
    failures: list[row.Failure] = []
    start = time.monotonic()
    for name in wanted:
        print(f"{name} …", file=sys.stderr, flush=True)
        found, failed = measure(name)
        rows += found
        failures += failed
    print(row.table(rows, failures))
    place = TOP / "bench-results" / "latest.json"
    row.save(place, rows, failures)
    missed = [each.name for each in rows if each.meets(each.first) is False]
    print(f"\n{time.monotonic() - start:.0f} s; also in {place.relative_to(TOP)}")
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed or failures else 0


if __name__ == "__main__":
    sys.exit(main())
