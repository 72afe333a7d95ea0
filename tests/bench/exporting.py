"""10,000 jobs exported to a folder for SLURM, and that folder submitted to a real one.

The floor of the export is starting Python with msgspec and click, that of the submission one
`sbatch` for each of its arrays. Not how long SLURM takes to run them.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.group import NotMeasured
from bench.row import Row
from slurm.cluster import Cluster, missing_programs

JOBS = 10_000
ROUNDS = 3
CHUNK = 1001  # SLURM's own default
SWEEP = """\
meta: {{namespace: bench, batch_name: sweep}}
resources: {{cpus: 1, memory: 64MiB}}
command:
  run: "./solver --re {{re}} --grid {{grid}}"
  required_files: [solver]
  sweep: {{re: {{from: 1, to: 100}}, grid: {{from: 1, to: {grids}}}}}
  name: "re{{re}}_g{{grid}}"
"""


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="fallow-bench-") as scratch:
        top = Path(scratch)
        (top / "solver").write_text("#!/bin/sh\n")
        (top / "sweep.yaml").write_text(SWEEP.format(grids=JOBS // 100))
        yield from _exported(top)
        yield from _submitted(top)


def _exported(top: Path) -> Iterator[Row]:
    taken, peaks, floor = [], [], []
    command = Path(sys.executable).parent / "coordinator"
    for number in range(ROUNDS):
        start = time.perf_counter()
        words: list[str | Path] = [
            command,
            "export",
            "slurm",
            top / "sweep.yaml",
            top / f"out{number}",
        ]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        taken.append(time.perf_counter() - start)
        peaks.append(usage.ru_maxrss / 1000)
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import msgspec, click, yaml"], check=True)
        floor.append(time.perf_counter() - start)
    yield Row(
        name=f"export {JOBS:,} jobs for SLURM, whole command",
        unit="s",
        values=tuple(taken),
        first=3.0,
        aim=1.0,
        floor=tuple(floor),
        floor_name="Python with msgspec, click and yaml",
    )
    yield Row(
        name=f"memory of the export of {JOBS:,} jobs",
        unit="MB",
        values=tuple(peaks),
        first=150.0,
        aim=100.0,
    )


def _submitted(top: Path) -> Iterator[Row]:
    missing = missing_programs()
    if missing:
        raise NotMeasured(f"no SLURM here: {', '.join(missing)}")
    cluster = Cluster(top / "slurm", CHUNK)
    cluster.start()
    try:
        taken, floor = [], []
        for number in range(ROUNDS):
            start = time.perf_counter()
            done = cluster.call(top / f"out{number}" / "submit.sh")
            taken.append(time.perf_counter() - start)
            assert done.returncode == 0, done.stderr
            assert done.stdout.count("submitted as") == -(-JOBS // CHUNK)
            start = time.perf_counter()
            for _ in range(-(-JOBS // CHUNK)):
                cluster.run("sbatch", "--hold", f"--array=0-{CHUNK - 1}", "--wrap=true")
            floor.append(time.perf_counter() - start)
            cluster.run("scancel", "--user", str(os.getuid()))
        yield Row(
            name=f"submit {JOBS:,} exported jobs to a real SLURM",
            unit="s",
            values=tuple(taken),
            first=3.0,
            aim=1.0,
            floor=tuple(floor),
            floor_name="as many sbatch --array",
        )
    finally:
        cluster.stop()
