"""The example of 500 jobs on two workstations of different size: every result right, by value."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.coordinator.python import Results
from fallow.shared.sweep import Expansion
from main_job.conftest import Coordinator
from main_job.real import Group, config
from python_api import sweep_500

SCRIPT = Path(sweep_500.__file__)


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


def test_every_result_is_that_of_its_values(group: Group, tmp_path: Path) -> None:
    group.workstation("small", config(cpus=1))
    group.workstation("large", config(cpus=2))
    words: list[str | Path] = [
        "--coordinator",
        group.coordinator.data_dir,
        "--dest",
        tmp_path / "results",
    ]
    done = subprocess.run(
        [sys.executable, SCRIPT, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("500 jobs; the largest deviation is 0.0")
    expansion = Expansion(sweep_500.batch())
    results = Results("", expansion, tmp_path / "results" / "examples" / "oscillator")
    assert len(results) == 500
    for (zeta, omega), job in results.items():
        peak, at = map(float, job.read("peak.txt").split())
        wanted = sweep_500.exact(zeta, omega)
        assert (peak, at) == pytest.approx(wanted, rel=0.002), job
        assert job.name == f"zeta{zeta:g}_omega{omega:g}"
    page = tmp_path / "report.html"
    group.coordinator.verbs.ok("report", "examples:oscillator", "-o", page)
    text = page.read_text()
    assert "small" in text
    assert "large" in text
    assert "500" in text
    assert len(text) < 5_000_000
    # Each did its part, and no job ran twice.
    where = Counter(job.record["workstation"] for job in results.values())
    assert set(where) == {"small", "large"}
    assert min(where.values()) > 50
    assert {job.record["attempt"] for job in results.values()} == {1}
    kept = json.loads((results.folder / "zeta0.02_omega1" / "attempt.json").read_bytes())
    assert kept["succeeded"]
