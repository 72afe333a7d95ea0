"""Results of a batch by sweep value: keys, choices, files, failures, frames."""

import json
from pathlib import Path

import pytest

from fallow.coordinator.python_results import NoSuchJob, Results
from fallow.shared.batch import Batch, Command, CommandJob, Meta, Sweep, sweep
from fallow.shared.errors import FallowError, NotAllSucceeded
from fallow.shared.sweep import Expansion

META = Meta(namespace="ana", batch_name="b")


def results(folder: Path, made: Sweep | None, name: str | None, bad: str = "") -> Results:
    """As a batch would leave them; the job `bad` has failed."""
    command = (
        Command(run="x", sweep=made, name=name)
        if made is not None
        else Command(run="x", jobs=(CommandJob(name="one"), CommandJob(name="two")))
    )
    expansion = Expansion(Batch(meta=META, command=command))
    for job in expansion.names():
        place = folder / job
        place.mkdir()
        record = {"succeeded": job != bad, "run_seconds": 1.5, "workstation": "lab"}
        (place / "attempt.json").write_text(json.dumps(record))
        (place / "stdout.txt").write_text(f"I am {job}")
        if job == bad:
            (place / "stderr.txt").write_text("first\nlast words\n")
        else:
            (place / "out.txt").write_text(f"{len(job)}")
    return Results("ana:b", expansion, folder)


def test_two_names_make_a_pair(tmp_path: Path) -> None:
    found = results(tmp_path, sweep(re=[100, 200], grid=[32, 64.5]), "re{re}_g{grid}")
    assert found.names == ("re", "grid")
    assert list(found) == [(100, 32), (100, 64.5), (200, 32), (200, 64.5)]
    assert len(found) == 4
    assert found[200, 32].name == "re200_g32"
    assert found[200.0, 32].values == {"re": 200, "grid": 32}
    assert found[200, 64.5].stdout == "I am re200_g64.5"
    assert found.at(grid=32, re=100).read("out.txt") == "9"
    assert (100, 32) in found
    assert (100, 33) not in found
    assert found.get((1, 1)) is None
    assert found.job("re100_g32") is found[100, 32]


def test_one_name_is_its_value_and_none_the_name_of_the_job(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    assert list(results(tmp_path / "a", sweep(re=["no", "1"]), "re{re}")) == ["no", "1"]
    named = results(tmp_path / "b", None, None)
    assert list(named) == ["one", "two"]
    assert named["two"].succeeded


def test_same_values_twice_are_told_apart_by_name(tmp_path: Path) -> None:
    found = results(tmp_path, sweep(re=[1, 1]), "{index}")
    assert list(found) == ["0", "1"]
    with pytest.raises(NoSuchJob, match="2 jobs have re=1"):
        found.at(re=1)


def test_a_part_of_them(tmp_path: Path) -> None:
    found = results(tmp_path, sweep(re=[100, 200], grid=[32, 64]), "re{re}_g{grid}")
    part = found.where(re=100)
    assert list(part) == [(100, 32), (100, 64)]
    assert next(iter(part.where(grid=64).values())).name == "re100_g64"
    with pytest.raises(NoSuchJob):
        part[200, 32]
    with pytest.raises(NoSuchJob, match="has no 'gird'") as caught:
        found.where(gird=1)
    assert "re, grid" in caught.value.detail


def test_a_wrong_key_says_what_a_key_is(tmp_path: Path) -> None:
    found = results(tmp_path, sweep(re=[100, 200], grid=[32, 64]), "re{re}_g{grid}")
    with pytest.raises(KeyError) as caught:
        found[100]
    assert "(re, grid)" in str(caught.value)
    assert "(100, 32)" in str(caught.value)


def test_paths(tmp_path: Path) -> None:
    found = results(tmp_path, sweep(re=[1, 2]), "re{re}", bad="re2")
    assert found.paths("out.txt") == {1: tmp_path / "re1" / "out.txt"}
    with pytest.raises(FallowError, match=r"left no 'out\.txt'") as caught:
        found[2].path("out.txt")
    assert "stderr.txt" in caught.value.detail


def test_failures(tmp_path: Path) -> None:
    found = results(tmp_path, sweep(re=[1, 2, 3]), "re{re}", bad="re2")
    assert [job.name for job in found.failed] == ["re2"]
    assert repr(found).startswith("<Results ana:b: 2 of 3 jobs succeeded")
    assert repr(found[2]) == "<JobResult re2: failed>"
    with pytest.raises(NotAllSucceeded, match="1 of 3 jobs") as caught:
        found.check()
    assert "re2\nlast words" in caught.value.detail
    good = found.where(re=1)
    assert good.check() is good


def test_a_job_that_has_not_ended(tmp_path: Path) -> None:
    found = results(tmp_path, sweep(re=[1]), "re{re}")
    (tmp_path / "re1" / "attempt.json").unlink()
    assert not found[1].succeeded
    assert found[1].record == {}
    # It ends while we have it in hand.
    (tmp_path / "re1" / "attempt.json").write_text('{"succeeded": true}')
    assert found[1].succeeded


def test_a_frame(tmp_path: Path) -> None:
    found = results(tmp_path, sweep(re=[1, 2], mode=["a", "b"]), "re{re}{mode}", bad="re1b")
    frame = found.frame(lambda job: {"size": int(job.read("out.txt"))})
    assert list(frame.columns[:2]) == ["re", "mode"]
    assert frame.loc[frame.job == "re2a", "size"].item() == 4
    assert frame["succeeded"].tolist() == [True, False, True, True]
    assert frame["size"].isna().tolist() == [False, True, False, False]
    assert frame.groupby("re")["run_seconds"].sum().tolist() == [3.0, 3.0]
