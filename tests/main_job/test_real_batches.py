"""A batch in the original format by the installed scripts, from `submit --wait` to `pull`.

Not what a crash or a person at the desk does to it: those are test_real_crashes.py and
test_real_desks.py.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from main_job.conftest import Coordinator
from main_job.real import SANDBOXES, Group, Sandbox
from waiting import wait_until

ORIGINAL = """
meta:
  namespace: ana_cfd
  batch_name: channel
  capabilities: []
  matrix: ~
python:
  initialize:
    build_file: build.py
    required_files:
      - {path: meshes/coarse.txt, alias: mesh.h5}
      - constants.json
  jobs:
    - name: one
      file: {path: run.py}
      required_files: [{path: case1.json, alias: case.json}]
    - name: two
      file: run.py
      required_files:
        - {path: case2.json, alias: case.json}
        - {path: meshes/fine.txt, alias: mesh.h5}
    - name: bad
      file: {path: run.py}
      required_files: [{path: case3.json, alias: case.json}]
"""
BUILD = """
import os, pathlib, sys, time, uuid
assert sys.argv == ["./build.py"], sys.argv
assert pathlib.Path("input/mesh.h5").read_text() == "coarse"
assert pathlib.Path("input/constants.json").read_text() == "{}"
token = uuid.uuid4().hex
pathlib.Path("solver.txt").write_text(token)
print("built", token)
print("a warning", file=sys.stderr)
time.sleep(0.5)
"""
RUN = """
import json, os, pathlib, sys, time
case = json.loads(pathlib.Path("input/case.json").read_text())
mesh = pathlib.Path("input/mesh.h5").read_text()
out = pathlib.Path("distribute_save")
(out / "deep").mkdir()
print("case", case["n"], "with", mesh)
print("complaint", file=sys.stderr)
facts = {
    "mesh": mesh,
    "argv": sys.argv,
    "token": pathlib.Path("solver.txt").read_text(),
    "inputs": sorted(os.listdir("input")),
    "names": [os.environ["FALLOW_BATCH"], os.environ["FALLOW_JOB"], os.environ["FALLOW_ATTEMPT"]],
}
(out / "deep" / "facts.json").write_text(json.dumps(facts))
time.sleep(1.0)
sys.exit(case["code"])
"""
FILES = {
    "build.py": BUILD,
    "run.py": RUN,
    "constants.json": "{}",
    "meshes/coarse.txt": "coarse",
    "meshes/fine.txt": "fine",
    **{f"case{n}.json": json.dumps({"n": n, "code": 3 if n == 3 else 0}) for n in (1, 2, 3)},
}


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_the_original_format(group: Group, tmp_path: Path, sandbox: Sandbox) -> None:
    places = [group.workstation(name, sandbox=sandbox) for name in ("dino", "lab7")]
    file = group.write(ORIGINAL, **FILES)
    waited = group.coordinator.verbs.run("submit", file, "--wait", "--json")
    assert waited.code == 4, waited.err
    assert waited.json["jobs"] == 3
    counts = {state: number for state, number in waited.json["counts"].items() if number}
    assert counts == {"succeeded": 2, "failed": 1}
    dest = tmp_path / "pulled"
    group.coordinator.verbs.ok("pull", file, "--dest", dest)
    batch = dest / "ana_cfd" / "channel"
    tokens: dict[str, set[str]] = {}
    for number, name in enumerate(("one", "two", "bad"), 1):
        folder = batch / name
        mesh = "fine" if name == "two" else "coarse"
        assert (folder / "stdout.txt").read_text() == f"case {number} with {mesh}\n"
        assert (folder / "stderr.txt").read_text() == "complaint\n"
        facts = json.loads((folder / "deep/facts.json").read_text())
        assert facts["mesh"] == mesh
        assert facts["argv"] == ["./run.py", "2"]
        assert facts["inputs"] == ["case.json", "constants.json", "mesh.h5"]
        assert facts["names"] == ["channel", name, "1"]
        told = json.loads((folder / "attempt.json").read_text())
        assert told["attempt"] == 1
        assert told["succeeded"] == (name != "bad")
        assert told["exit"] == {"type": "exited", "code": 3 if name == "bad" else 0}
        assert told["run_seconds"] >= 1.0
        assert told["paused_seconds"] == 0.0
        assert told["inputs"]["mesh.h5"] == sha(mesh)
        assert told["inputs"]["case.json"] == sha(FILES[f"case{number}.json"])
        output = told["outputs"]["deep/facts.json"]
        assert output["sha256"] == sha((folder / "deep/facts.json").read_text())
        tokens.setdefault(told["workstation"], set()).add(facts["token"])
    # The jobs share one computer each, so both had to take part.
    assert set(tokens) == {"dino", "lab7"}
    for name, built in tokens.items():
        (token,) = built
        said = (batch / f"build_output_{name}.txt").read_text()
        assert sorted(said.splitlines()) == ["a warning", f"built {token}"]
    assert (batch / "bad/.attempts/1/deep/facts.json").exists()
    for place in places:
        wait_until(lambda at=place: not at.left_on_disk(), 10, "nothing to be kept")  # type: ignore[misc]
