"""An exported folder in a test: its programs called as a user of the cluster calls them.

Not the cluster (`cluster`).
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from main_job.test_run_like_submitted import tree
from slurm.cluster import Cluster
from waiting import wait_until

BUSY = "PENDING,CONFIGURING,RUNNING,COMPLETING,SUSPENDED"


class ExportedFolder:
    """`told` is what the verb printed when it made the folder."""

    def __init__(
        self, path: Path, cluster: Cluster, verb: Callable[..., Any], told: Mapping[str, Any]
    ) -> None:
        self.path = path
        self.told = told
        self._cluster = cluster
        self._verb = verb

    @property
    def id(self) -> str:
        plan = (self.path / "plan.sh").read_text()
        return plan.partition("EXPORT='")[2].partition("'")[0]

    def call(
        self, program: str, *words: str, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return self._cluster.call(self.path / program, *words, cwd=Path("/"), env=env)

    def ok(self, program: str, *words: str) -> str:
        done = self.call(program, *words)
        assert done.returncode == 0, f"{program}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def submit(self, *words: str) -> str:
        return self.ok("submit.sh", *words)

    def tasks(self, states: str = "all") -> list[tuple[str, str, str]]:
        """(job, task, state) of every task of this folder that SLURM knows."""
        lines = self._cluster.run("squeue", "-h", "-r", "-t", states, "-o", "%F|%K|%T|%k")
        rows = [line.split("|") for line in lines.splitlines()]
        mark = f"fallow-{self.id}-"
        return [(row[0], row[1], row[2]) for row in rows if row[3].startswith(mark)]

    def wait(self, timeout: float = 60.0) -> None:
        """Until nothing of this folder waits or runs."""
        wait_until(lambda: not self.tasks(BUSY), timeout, f"the jobs of {self.path.name} to end")

    def collect(self) -> Any:
        return self._verb("collect", self.path)

    def run(self) -> Any:
        """Submit, wait for the end, collect."""
        self.submit()
        self.wait()
        return self.collect()

    def results(self, namespace: str = "n", batch: str = "b") -> Path:
        return self.path / "results" / namespace / batch

    def output(self, job: str, file: str = "stdout.txt") -> str:
        return (self.results() / job / file).read_text()


def run_here(cluster: Cluster, folder: Path, *words: str) -> dict[str, Any]:
    """What `coordinator run` leaves of the `batch.yaml` in a folder, whatever differs by host."""
    done = cluster.call(
        Path(sys.executable).parent / "coordinator",
        *("run", str(folder / "batch.yaml"), "--output", str(folder / "here"), *words),
    )
    assert done.returncode in {0, 4}, done.stderr
    return tree(folder / "here" / "n" / "b", os.uname().nodename.partition(".")[0])
