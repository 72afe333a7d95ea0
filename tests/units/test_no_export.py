"""`coordinator collect` of what is no exported folder: what is wrong with it, and what now."""

from pathlib import Path

import pytest

from fallow.coordinator.cli import run
from fallow.coordinator.slurm.export import read_manifest
from fallow.shared.errors import FallowError


def refused(folder: Path) -> FallowError:
    with pytest.raises(FallowError) as caught:
        read_manifest(folder)
    assert "`coordinator export slurm`" in caught.value.hint
    return caught.value


def test_each_folder_that_is_none(tmp_path: Path) -> None:
    absent = refused(tmp_path / "ana_cfd:sweep_01")
    assert absent.title == f"There is no folder {tmp_path}/ana_cfd:sweep_01"
    assert "coordinator pull" in absent.hint
    file = tmp_path / "file"
    file.write_text("")
    assert refused(file).title == f"{file} is a file; an exported folder is needed"
    assert "has no manifest.json" in refused(tmp_path).detail
    (tmp_path / "manifest.json").write_text('{"schema": 1')
    cut_short = refused(tmp_path)
    assert cut_short.title == f"{tmp_path}/manifest.json is not what an export writes"
    assert "copy it again" in cut_short.hint


def test_nothing_is_made_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["collect", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path} is no exported batch\n")
    assert list(tmp_path.iterdir()) == []
