"""One file, run here and submitted: the results trees are the same, byte by byte.

Apart from when and where it ran: times, computers, and the batch's own number in attempt.json.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from main_job.apptainer_stand_in import install, make_image
from main_job.conftest import Account, Coordinator
from main_job.real import Group
from main_job.workstation import FREE_DESK, Workstation
from waiting import wait_until

COMMANDS = """
meta: {namespace: ana, batch_name: b}
command:
  initialize:
    run: "make -C src >&2; ls input > listed; echo built with {cpus}"
    required_files: [src, {path: mesh.txt, alias: meshes/mesh.txt}]
  run: "sh src/solver {re} {name} {cpus}"
  env: {LEVEL: "level {re}"}
  required_files: [{path: "cases/{re}.json", alias: case.json}]
  sweep: {re: [100, 200, 300]}
  name: "re {re}"
resources: {cpus: 1, memory: 64MiB}
on_failure: {retries: 1, back_off: 0.1s}
"""
SOLVER = r"""
set -e
echo "$1 $2 $3 $LEVEL in $(pwd)"
echo complaint >&2
cat input/case.json meshes/mesh.txt listed src/made initial_files/meshes/mesh.txt
ls -A . input initial_files distribute_save
env | grep -e FALLOW -e PATH -e HOME -e LANG | sort
cd distribute_save
mkdir -p deep/er empty
printf 'bytes\0\377' > deep/er/field.bin
printf '#!/bin/sh\n' > tool; chmod 755 tool
ln -s deep/er/field.bin newest; ln -s /etc/passwd secret; mkfifo pipe
echo mine > attempt.json; echo mine > stdout.txt
test $1 != 300
"""
MAKEFILE = "all:\n\techo made > made\n"

SCRIPTS = """
meta: {namespace: ana, batch_name: b, capabilities: []}
python:
  initialize:
    build_file: {path: build.py}
    required_files: [{path: mesh.txt, alias: mesh.h5}, src]
  jobs:
    - name: job_1
      file: {path: run.py}
      required_files: [{path: cases/100.json, alias: case.json}]
    - name: job_2
      file: run.py
      required_files: [{path: cases/200.json, alias: case.json}, {path: other.txt, alias: mesh.h5}]
    - {name: job_3, file: run.py}
resources: {cpus: 1}
"""
BUILD = """
import pathlib, sys
print("argv", sys.argv)
pathlib.Path("made").write_text(pathlib.Path("input/mesh.h5").read_text().upper())
"""
RUN = """
import json, os, pathlib, sys
print(sys.argv, sorted(os.listdir()), pathlib.Path("made").read_text(), file=sys.stderr)
print(sorted((k, v) for k, v in os.environ.items() if k.startswith("FALLOW")))
out = pathlib.Path("distribute_save")
(out / "mesh").write_text(pathlib.Path("input/mesh.h5").read_text())
(out / "case").write_text(pathlib.Path("input/case.json").read_text())
"""
FILES = {
    "src/Makefile": MAKEFILE,
    "src/solver": SOLVER,
    "src/below/it/all": "",
    "mesh.txt": "a mesh\n",
    "other.txt": "another mesh\n",
    **{f"cases/{re}.json": json.dumps({"re": re}) for re in (100, 200, 300)},
    "build.py": BUILD,
    "run.py": RUN,
}
_WHEN_AND_WHERE = ("id", "started", "ended", "run_seconds", "paused_seconds", "workstation")


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


def tree(folder: Path, host: str) -> dict[str, bytes | str]:
    """Everything below a batch's folder: contents, and whether a file can be run."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder)).replace(host, "HOST")
        if path.is_symlink():
            found[name] = f"link to {os.readlink(path)}"
        elif path.is_dir():
            found[name] = "folder"
        elif path.name == "attempt.json":
            record = json.loads(path.read_bytes())
            assert record["workstation"] == host
            found[name] = json.dumps({k: v for k, v in record.items() if k not in _WHEN_AND_WHERE})
        else:
            found[name] = path.read_bytes()
            if path.stat().st_mode & stat.S_IXUSR:
                found[name + " (program)"] = ""
    return found


@pytest.mark.parametrize(("text", "jobs"), [(COMMANDS, 3), (SCRIPTS, 3)], ids=["command", "python"])
def test_the_same_results(group: Group, tmp_path: Path, text: str, jobs: int) -> None:
    file = group.write(text, **FILES)
    verbs = group.coordinator.verbs
    here = verbs.run("run", file, "--output", tmp_path / "here")
    group.workstation("ws1")
    there = verbs.run("submit", file, "--wait")
    assert (here.code, there.code) == (4, 4), (here.err, there.err)
    verbs.ok("pull", file, "--dest", tmp_path / "there")
    host = os.uname().nodename.partition(".")[0]
    run_here = tree(tmp_path / "here" / "ana" / "b", host)
    submitted = tree(group.coordinator.results / "ana" / "b", "ws1")
    pulled = tree(tmp_path / "there" / "ana" / "b", "ws1")
    assert sum(name.count("/") == 1 and name.endswith("/attempt.json") for name in run_here) == jobs
    assert run_here == submitted
    assert {name: run_here[name] for name in pulled} == pulled
    # Earlier attempts stay with the coordinator.
    assert all(".attempts" in name for name in set(run_here) - set(pulled))


BROKEN = """
meta: {namespace: ana, batch_name: b}
command:
  initialize: {run: "echo so far; echo and no further >&2; exit 3"}
  run: "true"
  sweep: {re: [100, 200]}
  name: "re{re}"
resources: {cpus: 1}
"""


def test_a_build_that_fails_leaves_the_same(group: Group, tmp_path: Path) -> None:
    file = group.write(BROKEN)
    verbs = group.coordinator.verbs
    here = verbs.run("run", file, "--output", tmp_path / "here")
    group.workstation("ws1")
    there = verbs.run("submit", file, "--wait")
    assert (here.code, there.code) == (4, 4), (here.err, there.err)
    submitted = group.coordinator.results / "ana" / "b"
    wait_until(lambda: (submitted / "build_output_ws1.txt").exists(), 30, "what the build said")
    host = os.uname().nodename.partition(".")[0]
    run_here = tree(tmp_path / "here" / "ana" / "b", host)
    assert run_here == {"build_output_HOST.txt": b"so far\nand no further\n"}
    assert run_here == tree(submitted, "ws1")


IMAGE = """
meta: {namespace: ana, batch_name: b}
apptainer:
  initialize:
    sif: {path: solver.sif}
    required_files: [mesh.txt]
    required_mounts: [/scratch, {path: MINE, alias: /mine}]
  jobs:
    - {name: job_1, required_files: [{path: cases/100.json, alias: case.json}]}
    - {name: job_2}
resources: {cpus: 1}
"""
INSIDE = """
set -e
cat /input/mesh.txt /mine/table.txt > /distribute_save/read.txt
cat /input/case.json; echo "$1 $FALLOW_JOB"; echo x > /scratch/x
"""


def test_an_image_has_the_same_results_too(
    coordinator: Coordinator,
    new_workstation: Callable[..., Workstation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the stand-in for apptainer, which enforces what the real one does."""
    monkeypatch.setenv("PATH", f"{install(tmp_path / 'bin')}:{os.environ['PATH']}")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "table.txt").write_text("a table of my own\n")
    with Group(coordinator) as group:
        file = group.write(IMAGE.replace("MINE", str(mine)), **FILES)
        make_image(file.parent / "solver.sif", INSIDE)
        person = Account(tmp_path / "person", None)
        here = person.run("run", file, "--output", tmp_path / "here")
        new_workstation("ws1", f'{FREE_DESK}[jobs]\nnice = 0\nread_only = ["{mine}"]\n')
        there = coordinator.verbs.run("submit", file, "--wait")
    assert (here.code, there.code) == (4, 4), (here.err, there.err)
    host = os.uname().nodename.partition(".")[0]
    run_here = tree(tmp_path / "here" / "ana" / "b", host)
    assert run_here == tree(coordinator.results / "ana" / "b", "ws1")
    assert run_here["job_1/read.txt"] == b"a mesh\na table of my own\n"
    assert run_here["job_1/stdout.txt"] == b'{"re": 100}1 job_1\n'
