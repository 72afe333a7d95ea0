"""What `coordinator template` writes, run by a real workstation; containers by the stand-in."""

import os
from collections.abc import Callable
from pathlib import Path

from main_job.apptainer_stand_in import install, make_image
from main_job.conftest import Coordinator
from main_job.workstation import Workstation


def app_of(definition: Path) -> str:
    """What a definition file runs as the app `distribute`."""
    return definition.read_text().partition("%apprun distribute\n")[2]


def test_every_template_runs_as_it_is(
    tmp_path: Path, coordinator: Coordinator, new_workstation: Callable[..., Workstation]
) -> None:
    programs = install(tmp_path / "bin")
    new_workstation("desk", around=["env", f"PATH={programs}:{os.environ['PATH']}"])
    for kind in ("command", "python", "apptainer"):
        coordinator.verbs.ok("template", kind, "-o", tmp_path / kind / "batch.yaml")
    made = app_of(tmp_path / "apptainer" / "solver.def")
    make_image(tmp_path / "apptainer" / "solver.sif", made, ("sh", "cp", "tee"))
    for kind in ("command", "python", "apptainer"):
        done = coordinator.verbs.run("submit", tmp_path / kind / "batch.yaml", "--wait", timeout=90)
        assert done.code == 0, done.err

    results = coordinator.results / "examples"
    sums = [file.read_text() for file in (results / "first_sweep").glob("*/sum.txt")]
    assert len(sums) == 12
    assert "100 1 100\n" in sums
    for name in ("job_1", "job_2"):
        assert (results / "first_scripts" / name / "sum.txt").read_text() == "5736396\n"
        log = (results / "first_containers" / name / "log.txt").read_text()
        assert log == f"{name} runs on 2 processors\n"
