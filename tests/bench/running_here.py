"""`coordinator run`: jobs that do nothing on this computer, with no coordinator between.

The same as `throughput` without what travels; and what a batch costs that has nothing left to do.
The floor starts a shell in bubblewrap two at a time.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.group import BIN, sweep_of
from bench.row import Row
from bench.throughput import in_bubblewrap

JOBS = 500
ROUNDS = 3


def _run(folder: Path, name: str, jobs: int) -> float:
    """Seconds of one call, start to end."""
    file = folder / f"{name}.yaml"
    file.write_text(sweep_of(name, jobs))
    start = time.perf_counter()
    subprocess.run(
        [
            BIN / "coordinator",
            "run",
            file,
            "--output",
            folder / "out",
            "--jobs",
            "2",
        ],
        env={"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(folder / "cache")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def rows() -> Iterator[Row]:
    folder = Path(tempfile.mkdtemp(prefix="fallow-bench-"))
    try:
        bare = tuple(in_bubblewrap() for _ in range(ROUNDS))
        yield Row(
            name="`/bin/true` by `coordinator run --jobs 2`, in a sandbox",
            unit="jobs/s",
            values=tuple(JOBS / _run(folder, f"round_{number}", JOBS) for number in range(ROUNDS)),
            first=None,
            better="higher",
            floor=bare,
            floor_name="Popen of `sh` in bubblewrap, two in flight",
        )
        yield Row(
            name=f"`coordinator run` of {JOBS} jobs that are all done already",
            unit="s",
            values=tuple(_run(folder, f"round_{number}", JOBS) for number in range(ROUNDS)),
            first=None,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
