"""`submit --dry-run` where no coordinator answers: the concrete jobs, few, many and all."""

import json
import re
from pathlib import Path

import pytest

from fallow.coordinator.cli import run

SWEEP = """
meta: {namespace: n, batch_name: b}
command:
  initialize: {required_files: [mesh.h5]}
  run: ./solve --re {re} --title {title} -j {cpus}
  env: {OUT: "{name}"}
  name: "re{re}_{title}"
  required_files: [{path: "{title}.json", alias: case.json}]
  sweep:
    re: {from: 1, to: 1000, count: 4, scale: log}
    title: [a b, c]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for name in ("mesh.h5", "a b.json", "c.json"):
        (tmp_path / name).write_text(name)
    (tmp_path / "batch.yaml").write_text(SWEEP)
    return tmp_path / "batch.yaml"


def test_shows_every_job_of_a_few(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["submit", str(file), "--dry-run"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "n:b: 8 jobs would be submitted"
    assert len(out) == 2 + 8
    assert re.split(r"\s{2,}", out[2]) == [
        "re1_a b",
        "./solve --re 1 --title 'a b' -j {cpus}",
        "mesh.h5, a b.json as case.json",
    ]
    assert [line.split("_")[0] for line in out[2::2]] == ["re1", "re10", "re100", "re1000"]


def test_shows_head_and_tail_of_many(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    range_of_many = "--set=sweep.re={from: 1, to: 5000}"
    assert run(["submit", str(file), "--dry-run", range_of_many]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 2 + 12 + 1 + 3
    assert "9,985 more" in out[14]
    assert out[-1].startswith("re5000_c ")


def test_prints_all_of_them_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["submit", str(file), "--dry-run", "--json", "--set", "resources.cpus=2"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["schema"], said["jobs"], said["dry_run"]) == (1, 8, True)
    assert len(said["concrete"]) == 8
    assert said["concrete"][1] == {
        "name": "re1_c",
        "run": "./solve --re 1 --title c -j 2",
        "env": {"OUT": "re1_c"},
        "inputs": [
            {"path": "mesh.h5", "alias": "mesh.h5"},
            {"path": "c.json", "alias": "case.json"},
        ],
        "values": {"re": 1, "title": "c"},
        "resources": {"cpus": 2, "memory": None, "gpus": None, "disk": None},
    }


def test_many_jobs_are_asked_back_for(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = ["submit", str(file), "--set=sweep.re={from: 1, to: 60000}"]
    assert run(many) == 2
    said = capsys.readouterr().err
    assert "makes 120,000 jobs" in said
    assert "--yes" in said
    assert run([*many, "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert "119,985 more" in shown.out
    assert "only submitted with --yes" in shown.err


def test_a_bad_option_is_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["submit", str(file), "--dry-run", "--set", "sweep.re=[]"]) == 2
    assert "--set sweep.re=[]: command.sweep.re: re has no values" in capsys.readouterr().err
