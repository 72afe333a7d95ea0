"""The agent's records of its runs: the newest one comes back whole, whatever stood there before.

Not what the agent makes of them after a restart: that is the table of runs.
"""

import os
import resource
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from fallow.shared.ids import AttemptId
from fallow.shared.messages import Argv, JobSpec
from fallow.shared.work.phases import Aborting, Fetching, Placing, Run
from fallow.tray.records import Records
from fallow.tray.wishes import Wishes

ATTEMPT = AttemptId("abcd1234", 3, 1)


def a_run(length: int = 5) -> Run:
    job = JobSpec("ana", "sweep", "j" * length, "ana", Argv(("true",)), 1)
    return Run(ATTEMPT, job, Fetching(0, 10))


@pytest.mark.parametrize("length", [5, 3800, 4096, 20_000])
@pytest.mark.parametrize("before", [5, 3800, 4096, 20_000])
def test_the_newest_record_comes_back(tmp_path: Path, before: int, length: int) -> None:
    records = Records(tmp_path, "boot")
    records.save_run(a_run(before))
    newest = replace(a_run(length), phase=Placing())
    records.save_run(newest)
    again = Records(tmp_path, "boot").load_runs()
    assert [(each.run, each.boot_id) for each in again] == [(newest, "boot")]


def test_a_shorter_record_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    records = Records(tmp_path, "boot")
    for length in (1000, 900, 10, 500):
        records.save_run(a_run(length))
        assert records.load_runs()[0].run == a_run(length)


def test_a_damaged_record_is_a_run_to_be_looked_for_and_ended(tmp_path: Path) -> None:
    records = Records(tmp_path, "boot")
    records.save_run(a_run())
    place = records.folder(ATTEMPT) / "run.json"
    place.write_bytes(place.read_bytes()[:-9])
    (found,) = records.load_runs()
    assert found.run.attempt == ATTEMPT
    assert found.run.phase == Aborting("lost")


def test_a_record_that_does_not_fit_on_the_disk_leaves_the_old_one(tmp_path: Path) -> None:
    records = Records(tmp_path, "boot")
    records.save_run(a_run(20_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # A file may grow to this size and no further, as on a disk that is nearly full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            records.save_run(replace(a_run(20_000), phase=Placing()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [each.run for each in records.load_runs()] == [a_run(20_000)]


def test_wishes_are_forced_to_disk_with_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, forced = Records(tmp_path, "boot-1"), []
    really = os.fsync

    def noted(descriptor: int) -> None:
        really(descriptor)
        # What there is when it is forced: the folder counts only with the new name in it.
        forced.append((os.fstat(descriptor).st_ino, (tmp_path / "pause.json").exists()))

    monkeypatch.setattr(os, "fsync", noted)
    records.save_wishes(Wishes(forever=True))
    kept = (tmp_path / "pause.json").stat().st_ino
    assert forced == [(kept, False), (tmp_path.stat().st_ino, True)]
    assert records.load_wishes() == Wishes(forever=True)
