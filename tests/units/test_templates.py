"""`coordinator template`: its files are good as they are, and with every key turned on."""

import json
import re
from pathlib import Path

import pytest

from fallow.coordinator.cli import run
from fallow.shared.batchfile import load, loads
from fallow.shared.inputs import gather

KINDS = ("python", "apptainer", "command")


def write(folder: Path, kind: str) -> Path:
    file = folder / "it is.yaml"
    assert run(["template", kind, "-o", str(file)]) == 0
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_runs_as_it_is(tmp_path: Path, kind: str) -> None:
    loaded = load(write(tmp_path, kind))
    assert len(loaded.expansion) > 1
    if kind == "apptainer":
        (tmp_path / "solver.sif").write_text("an image")
    gather(loaded.batch, loaded.expansion, loaded.folder)


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_that_is_off_can_be_turned_on(tmp_path: Path, kind: str) -> None:
    file = write(tmp_path, kind)
    (tmp_path / "cases.csv").write_text("only\n1\n")
    text = re.sub(r"^( *)#(?=\S)", r"\1", file.read_text(), flags=re.MULTILINE)
    found = loads(text, file).batch
    assert found.limits.run_time == 6 * 3600
    assert found.on_failure.retries == 2
    assert found.checkpoint is not None
    assert found.notify == ("desktop",)
    assert not found.network
    for key in ("resources", "on_owner_return", "on_lost", "priority", "after", "slurm"):
        assert f"\n{key}:" in text


def test_printed_it_names_scripts_that_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["template", "python"]) == 0
    loaded = loads(capsys.readouterr().out, tmp_path / "batch.yaml")
    gather(loaded.batch, loaded.expansion, tmp_path)


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.py").write_text("mine")
    assert run(["template", "python", "-o", str(tmp_path / "batch.yaml")]) == 2
    assert "run.py is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run.py"]


def test_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new" / "batch.yaml"
    assert run(["template", "apptainer", "-o", str(file), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["files"] == [str(file), str(file.with_name("solver.def"))]
    assert str(file) in file.read_text()


def test_where_nothing_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(["template", "command", "-o", str(tmp_path / "file" / "batch.yaml")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_schema_for_editors(tmp_path: Path) -> None:
    assert run(["template", "schema", "-o", str(tmp_path / "schema.json")]) == 0
    assert json.loads((tmp_path / "schema.json").read_text())["title"] == "Fallow batch file"
