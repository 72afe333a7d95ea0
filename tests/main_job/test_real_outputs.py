"""What jobs leave in `distribute_save`, however odd, and what `pull` makes of it.

Not whether it is counted once (test_real_crashes.py). Every job here is one file of Python.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from main_job.conftest import Coordinator
from main_job.real import Group, RealWorkstation, Sandbox, config
from waiting import wait_until

BATCH = """
meta: {namespace: ana, batch_name: b}
python:
  jobs: [{name: j, file: {path: run.py}}]
resources: {cpus: 1, memory: 64MiB}
"""


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


def pulled(group: Group, place: RealWorkstation, script: str) -> Path:
    """What is in the job's folder once it has succeeded, in a folder of the person's own."""
    done = group.coordinator.verbs.run(
        "submit", group.write(BATCH, **{"run.py": script}), "--wait", "--json"
    )
    folder = group.coordinator.results / "ana/b/j"
    said = (folder / "stderr.txt").read_text() if (folder / "stderr.txt").exists() else ""
    assert done.code == 0, f"{done.err}\n{said}"
    dest = group.coordinator.folder / "pulled"
    group.coordinator.verbs.ok("pull", "b", "--dest", dest)
    wait_until(lambda: not place.left_on_disk(), 10, "nothing to be kept")
    return dest / "ana/b/j"


def contents(folder: Path) -> dict[str, str | None]:
    """All below it: files by what is in them, empty folders by nothing."""
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


def notes(folder: Path) -> list[str]:
    told = json.loads((folder / "attempt.json").read_text())
    found: list[str] = told["notes"]
    return found


NAMES = [
    "with space.txt",
    " leading",
    "Größe in µm.txt",
    "日本語/データ.csv",
    "new\nline.txt",
    "tab\tand 'quotes' \"double\".txt",
    "$(touch x); `id`",
    "-rf",
    "..hidden",
    "deep/" * 20 + "end",
    "n" * 200,
]


def test_names(group: Group) -> None:
    place = group.workstation()
    script = f"""
import os, pathlib
for number, name in enumerate({NAMES!r}):
    path = pathlib.Path("distribute_save", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(number))
pathlib.Path(os.fsdecode(b"distribute_save/not utf-8 \\xff.txt")).write_text("bytes")
pathlib.Path("distribute_save/empty folder").mkdir()
os.chmod("distribute_save/-rf", 0o755)
"""
    folder = pulled(group, place, script)
    found = contents(folder)
    for ours in ("attempt.json", "stdout.txt", "stderr.txt"):
        found.pop(ours)
    expected: dict[str, str | None] = {name: str(n) for n, name in enumerate(NAMES)}
    expected |= {"empty folder": None, "not utf-8 \\xff.txt": "bytes"}
    # A name with a backslash is one that Windows cannot have: it is left out, and that is said.
    left_out = {name for name in expected if name not in found}
    said = "\n".join(notes(folder))
    assert {name: found[name] for name in expected if name in found} == found
    for name in left_out:
        assert repr(name)[1:-1] in said, f"{name!r} was left out without a word:\n{said}"
    assert left_out <= {"not utf-8 \\xff.txt", "new\nline.txt", "tab\tand 'quotes' \"double\".txt"}
    assert os.access(folder / "-rf", os.X_OK)
    assert not os.access(folder / "with space.txt", os.X_OK)


@pytest.mark.parametrize("sandbox", ["hidden", "bare", "plain"])
def test_links_are_not_followed_out(group: Group, tmp_path: Path, sandbox: Sandbox) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("of the owner of the computer")
    place = group.workstation(configuration=config(sandbox=sandbox), sandbox=sandbox)
    keys = place.data_dir / "keys"
    script = f"""
import os
os.chdir("distribute_save")
open("real.txt", "w").write("mine")
os.symlink("real.txt", "inside.txt")
os.symlink({str(secret)!r}, "file")
os.symlink("/etc/passwd", "passwd")
os.symlink({str(keys)!r}, "keys")
os.symlink("../../../../../../../../etc/passwd", "relative")
os.symlink("/proc/self/environ", "environ")
os.symlink("loop", "loop")
os.symlink("nowhere", "broken")
os.symlink("/", "root")
os.mkfifo("pipe")
open("stdout.txt", "w").write("my own")
"""
    folder = pulled(group, place, script)
    assert sorted(contents(folder)) == [
        *("attempt.json", "inside.txt", "real.txt"),
        *("stderr.txt", "stdout.txt", "stdout.txt.from_job"),
    ]
    assert (folder / "inside.txt").read_text() == "mine"
    assert (folder / "stdout.txt.from_job").read_text() == "my own"
    assert (folder / "stdout.txt").read_text() == ""
    said = "\n".join(notes(folder))
    for name in ("file", "passwd", "keys", "relative", "environ", "loop", "broken", "root", "pipe"):
        assert f"'{name}' was left out" in said
    assert not any(path.is_symlink() for path in folder.rglob("*"))


@pytest.mark.parametrize("sandbox", ["hidden", "plain"])
def test_the_folder_itself_is_no_way_out(group: Group, sandbox: Sandbox) -> None:
    place = group.workstation(sandbox=sandbox)
    script = """
import os, shutil
os.rmdir("distribute_save")
os.symlink("/etc", "distribute_save")
print("moved")
"""
    folder = pulled(group, place, script)
    assert sorted(contents(folder)) == ["attempt.json", "stderr.txt", "stdout.txt"]
    assert (folder / "stdout.txt").read_text() == "moved\n"
    assert "distribute_save" in notes(folder)[0]


def test_five_thousand_small_files(group: Group) -> None:
    place = group.workstation()
    script = """
import pathlib
for number in range(5000):
    folder = pathlib.Path("distribute_save", str(number % 50))
    folder.mkdir(exist_ok=True)
    (folder / f"{number}.txt").write_text(str(number))
"""
    folder = pulled(group, place, script)
    found = [path for path in folder.rglob("*.txt") if path.parent != folder]
    assert len(found) == 5000
    assert all(path.read_text() == path.stem for path in found)
    assert len(json.loads((folder / "attempt.json").read_text())["outputs"]) == 5002


def test_nothing_at_all(group: Group) -> None:
    place = group.workstation()
    folder = pulled(group, place, "")
    found = contents(folder)
    assert sorted(found) == ["attempt.json", "stderr.txt", "stdout.txt"]
    assert found["stdout.txt"] == found["stderr.txt"] == ""
    told = json.loads((folder / "attempt.json").read_text())
    assert set(told["outputs"]) == {"stdout.txt", "stderr.txt"}
    assert told["notes"] == []
