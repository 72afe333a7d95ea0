"""Inputs that are not as a batch file says: `submit` refuses each in these words, at its line."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fallow.coordinator.cli import run

TEXT = """\
meta: {namespace: n, batch_name: b}
python:
  initialize:
    required_files:
      - mesh.h5
      - {path: cases/a.json, alias: case.json}
  jobs:
    - name: j
      file: run.py
      required_files: [{path: extra, alias: more}]
"""


def good(folder: Path) -> None:
    (folder / "cases").mkdir()
    (folder / "extra").mkdir()
    for name in ("mesh.h5", "cases/a.json", "run.py", "extra/x"):
        (folder / name).write_text(name)


def missing(folder: Path) -> None:
    (folder / "cases/a.json").unlink()


def script_is_a_folder(folder: Path) -> None:
    (folder / "run.py").unlink()
    (folder / "run.py").mkdir()


def a_pipe(folder: Path) -> None:
    (folder / "mesh.h5").unlink()
    os.mkfifo(folder / "mesh.h5")


def a_socket_within(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("extra/s")


def a_link_out(folder: Path) -> None:
    (folder / "extra/out").symlink_to("/etc/passwd")


def a_link_to_nothing(folder: Path) -> None:
    (folder / "extra/gone").symlink_to("nothing")


def a_link_around(folder: Path) -> None:
    (folder / "extra/again").symlink_to(".")


def not_a_folder_on_the_way(folder: Path) -> None:
    (folder / "cases/a.json").unlink()
    (folder / "cases").rmdir()
    (folder / "cases").write_text("a file")


def a_folder_over_a_file(folder: Path) -> None:
    text = TEXT.replace("{path: extra, alias: more}", "{path: extra, alias: mesh.h5}")
    (folder / "batch.yaml").write_text(text)


def a_name_that_is_no_text(folder: Path) -> None:
    (folder / os.fsdecode(b"extra/caf\xe9")).write_text("x")


def several_at_once(folder: Path) -> None:
    (folder / "run.py").unlink()
    missing(folder)
    a_pipe(folder)


CASES: dict[Callable[[Path], None], str] = {
    missing: """\
batch.yaml:6: python.initialize.required_files[1]: cases/a.json does not exist
hint: relative paths belong to the folder of the batch file
""",
    several_at_once: """\
batch.yaml:5: python.initialize.required_files[0]: mesh.h5 is neither a file nor a folder
batch.yaml:6: python.initialize.required_files[1]: cases/a.json does not exist
batch.yaml:9: python.jobs[0].file: run.py does not exist
hint: relative paths belong to the folder of the batch file
""",
    script_is_a_folder: """\
batch.yaml:9: python.jobs[0].file: 'run.py' is a folder; a Python script is needed here
""",
    a_pipe: """\
batch.yaml:5: python.initialize.required_files[0]: mesh.h5 is neither a file nor a folder
""",
    a_socket_within: """\
batch.yaml:10: python.jobs[0].required_files[0]: HERE/extra/s is neither a file nor a folder
""",
    a_link_out: """\
batch.yaml:10: python.jobs[0].required_files[0]: HERE/extra/out is a link to /etc/passwd, which is \
not part of this input
hint: copy the file, or name it as an input of its own
""",
    a_link_to_nothing: """\
batch.yaml:10: python.jobs[0].required_files[0]: HERE/extra/gone does not exist
hint: relative paths belong to the folder of the batch file
""",
    a_link_around: """\
batch.yaml:10: python.jobs[0].required_files[0]: HERE/extra/again leads into itself
""",
    not_a_folder_on_the_way: """\
batch.yaml:6: python.initialize.required_files[1]: cases/a.json cannot be read: not a directory
""",
    a_folder_over_a_file: """\
batch.yaml:10: python.jobs[0].required_files[0]: Job 'j' has 'extra' in the place of 'mesh.h5'
One of them is a folder, the other a file.
hint: give one of them another alias
""",
    a_name_that_is_no_text: """\
batch.yaml:10: python.jobs[0].required_files[0]: The input 'HERE/extra/caf\\udce9' has a name that \
is not UTF-8
""",
}


@pytest.mark.parametrize("spoil", CASES, ids=lambda spoil: spoil.__name__)
def test_is_refused_in_these_words(
    spoil: Callable[[Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "batch.yaml").write_text(TEXT)
    good(tmp_path)
    assert run(["submit", "batch.yaml", "--dry-run"]) == 0
    capsys.readouterr()
    spoil(tmp_path)
    assert run(["submit", "batch.yaml"]) == 2
    said = capsys.readouterr().err.replace(str(tmp_path.resolve()), "HERE")
    assert said == f"error: {CASES[spoil]}"
