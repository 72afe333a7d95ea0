"""`coordinator run` by the installed script: results, going on, retries, interruptions.

Not how it compares with a submitted run: that is test_run_like_submitted.py.
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from fallow.shared.work import procfs
from main_job.conftest import SCRIPT, Account
from main_job.workstation import WITHOUT_BUBBLEWRAP, ticks
from waiting import wait_until


class Here:
    """A folder with a batch file, and an account that runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.account = Account(folder / "person", None)
        self.out = folder / "out"
        self.cache = folder / "person" / "cache" / "fallow" / "run"
        self.file = folder / "batch.yaml"

    def write(self, text: str, **files: str) -> None:
        self.file.write_text(text)
        for name, content in files.items():
            (self.folder / name).write_text(content)

    def run(self, *words: str) -> Any:
        """The summary, and the exit code in it."""
        done = self.account.run("run", self.file, "--output", self.out, "--json", *words)
        assert done.code in {0, 4}, done.err
        return {**done.json, "code": done.code}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return self.account.start("run", self.file, "--output", self.out, *words)

    def text(self, path: str) -> str:
        return (self.out / "ana" / "b" / path).read_text()

    def attempt(self, job: str) -> Any:
        return json.loads(self.text(f"{job}/attempt.json"))

    def wait_for_results(self, process: "subprocess.Popen[str]", number: int) -> None:
        """Until so many jobs have a result, or all is over."""

        def enough() -> bool:
            found = list((self.out / "ana" / "b").glob("j*/attempt.json"))
            return len(found) >= number or process.poll() is not None

        wait_until(enough, 60, f"{number} results")

    def wait_for_folder(self) -> Path:
        """Where the one job puts its results, once it is there."""

        def found() -> list[Path]:
            return list(self.cache.glob("*/runs/*/work/distribute_save"))

        return wait_until(found, 40, "the job's folder")[0]

    def left(self) -> list[Path]:
        """What of the work folders; the notes of what succeeded are to stay."""
        return [each for each in self.cache.glob("*") if each.suffix != ".jsonl"]


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def jobs(*lines: str, more: str = "") -> str:
    """A batch with a job for each line: j0, j1, …"""
    listed = "".join(
        f"    - {{name: j{n}, run: {json.dumps(line)}}}\n" for n, line in enumerate(lines)
    )
    return (
        "meta: {namespace: ana, batch_name: b}\ncommand:\n  jobs:\n"
        f"{listed}resources: {{cpus: 1, memory: 64MiB}}\n{more}"
    )


def test_results_lie_where_they_would_from_a_coordinator(here: Here) -> None:
    here.write(jobs("echo said; echo kept > distribute_save/f.txt; echo oh >&2"))
    summary = here.run()
    assert summary["counts"] == {"succeeded": 1, "failed": 0, "not_run": 0}
    assert here.text("j0/stdout.txt") == "said\n"
    assert here.text("j0/stderr.txt") == "oh\n"
    assert here.text("j0/f.txt") == "kept\n"
    record = here.attempt("j0")
    assert record["succeeded"]
    assert record["attempt"] == 1
    assert record["workstation"] == os.uname().nodename.partition(".")[0]
    assert here.left() == []
    assert sorted(os.listdir(here.out)) == ["ana"]


def test_what_succeeded_and_is_unchanged_is_not_run_again(here: Here) -> None:
    here.write(jobs("date +%N > distribute_save/t", "cat input/x; test -e /nowhere"))
    here.write(here.file.read_text().replace("test -e", "cat x; test -e"))
    first = here.run()
    assert first["counts"] == {"succeeded": 1, "failed": 1, "not_run": 0}
    assert first["code"] == 4
    stamp = here.text("j0/t")
    second = here.run()
    assert (second["unchanged"], second["counts"]["failed"]) == (1, 1)
    assert here.text("j0/t") == stamp
    assert here.attempt("j1")["attempt"] == 2
    attempts = here.out / "ana" / "b" / "j1" / ".attempts"
    assert sorted(os.listdir(attempts)) == ["1", "2"]
    # What the person changed is run, and only that.
    here.write(jobs("date +%N > distribute_save/t", "echo mended"))
    third = here.run()
    assert third["counts"] == {"succeeded": 2, "failed": 0, "not_run": 0}
    assert third["unchanged"] == 1
    assert here.text("j1/stdout.txt") == "mended\n"
    # A result that somebody took away is made again.
    (here.out / "ana" / "b" / "j0" / "t").unlink()
    assert here.run()["unchanged"] == 1
    assert here.text("j0/t") != stamp


def test_a_success_of_another_time_is_not_shown_for_a_failure(here: Here) -> None:
    here.write(jobs("echo good; echo 1 > distribute_save/f"))
    assert here.run()["code"] == 0
    here.write(jobs("echo bad; exit 3"))
    for number in (2, 3):
        assert here.run()["code"] == 4
        assert here.attempt("j0")["attempt"] == number
    assert not here.attempt("j0")["succeeded"]
    assert here.text("j0/stdout.txt") == "bad\n"
    # Nothing of it is lost.
    assert here.text("j0/.attempts/1/stdout.txt") == "good\n"
    assert here.text("j0/.attempts/1/f") == "1\n"
    here.write(jobs("echo good; echo 1 > distribute_save/f"))
    assert here.run()["code"] == 0
    assert here.attempt("j0")["attempt"] == 4
    assert sorted(os.listdir(here.out / "ana" / "b" / "j0" / ".attempts")) == ["1", "2", "3"]
    assert here.run()["unchanged"] == 1


def test_an_input_that_changed_runs_its_jobs_again(here: Here) -> None:
    text = (
        "meta: {namespace: ana, batch_name: b}\ncommand:\n  run: cat *.txt\n  jobs:\n"
        "    - {name: j0, required_files: [a.txt]}\n    - {name: j1, required_files: [b.txt]}\n"
        "resources: {cpus: 1}\n"
    )
    here.write(text, **{"a.txt": "a", "b.txt": "b"})
    assert here.run()["code"] == 0
    here.write(text, **{"b.txt": "other"})
    assert here.run()["unchanged"] == 1
    assert here.text("j1/stdout.txt") == "other"


def test_a_failed_job_is_tried_again(here: Here) -> None:
    tries = here.folder / "tries"
    line = "echo $FALLOW_ATTEMPT; test $FALLOW_ATTEMPT = 3"
    here.write(jobs(line, more="on_failure: {retries: 2, back_off: 0.1s}\n"))
    assert here.run()["code"] == 0
    assert here.text("j0/stdout.txt") == "3\n"
    assert [here.text(f"j0/.attempts/{n}/stdout.txt") for n in (1, 2)] == ["1\n", "2\n"]
    assert not tries.exists()


def test_a_job_that_runs_for_too_long_fails(here: Here) -> None:
    here.write(jobs("echo begun; sleep 60", more="limits: {run_time: 1s}\n"))
    summary = here.run()
    assert summary["not_done"][0]["why"] == "run_time: it ran for longer than its limit"
    assert here.text("j0/stdout.txt") == "begun\n"


def test_a_build_that_fails_costs_one_try_and_says_where_to_look(here: Here) -> None:
    here.write(
        jobs("true", "true").replace("  jobs:", "  initialize: {run: 'echo no; exit 3'}\n  jobs:")
    )
    done = here.account.run("run", here.file, "--output", here.out)
    assert done.code == 4
    assert "exit code 3" in done.out
    (log,) = (here.out / "ana" / "b").glob("build_output_*.txt")
    assert log.read_text() == "no\n"
    assert str(log) in done.err


def test_side_by_side(here: Here) -> None:
    line = "touch distribute_save/here; until test -e distribute_save/go; do sleep 0.05; done"
    here.write(jobs(line, line, line, line))
    process = here.start("--jobs", "3")

    def waiting() -> list[Path]:
        return list(here.cache.glob("*/runs/*/work/distribute_save/here"))

    def all_go() -> bool:
        for place in waiting():
            with contextlib.suppress(FileNotFoundError):
                place.with_name("go").touch()
        return process.poll() is not None

    try:
        wait_until(lambda: len(waiting()) == 3, 40, "three jobs at once")
        wait_until(all_go, 40, "the end of them and of the fourth")
        assert process.returncode == 0
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_running(here: Here, number: signal.Signals) -> None:
    here.write(jobs("echo done", "setsid sleep 978 & sleep 978"))
    process = here.start("--jobs", "1")
    wait_until(lambda: sleepers("978") >= 2, 40, "the job to run")
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGTERM), err
    assert "Traceback" not in err
    assert sleepers("978") == 0
    assert here.left() == []
    assert "the same command goes on from here" in err
    here.write(jobs("echo done", "echo now"))
    assert here.run()["unchanged"] == 1


def test_who_is_not_to_hear_of_a_hangup_does_not(here: Here) -> None:
    here.write(jobs("while ! test -e distribute_save/go; do sleep 0.05; done"))
    line = f"trap '' HUP; exec '{SCRIPT}' run '{here.file}' --output '{here.out}'"
    env = {**os.environ, "XDG_CACHE_HOME": str(here.folder / "person" / "cache")}
    process = subprocess.Popen(["/bin/sh", "-c", line], env=env)
    try:
        save = here.wait_for_folder()
        process.send_signal(signal.SIGHUP)
        (save / "go").touch()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_it_stands_still_with_its_jobs(here: Here) -> None:
    """As Ctrl-Z has it, and `fg`."""
    here.write(jobs("while ! test -e distribute_save/go; do :; done"))
    process = here.start()
    try:
        save = here.wait_for_folder()
        wait_until(lambda: ticks_below(process.pid) > 5, 40, "the job to work")
        process.send_signal(signal.SIGTSTP)
        wait_until(lambda: stopped(process.pid), 40, "the command to stand still")
        before = ticks_below(process.pid)
        (save / "go").touch()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert ticks_below(process.pid) == before
        process.send_signal(signal.SIGCONT)
        assert process.wait(30) == 0
        assert here.attempt("j0")["paused_seconds"] >= 0.4
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.communicate(timeout=30)


def ticks_below(pid: int) -> int:
    """Processor time that all that a process has started has used, in clock ticks."""
    table = procfs.table()
    tree = {pid}
    while more := {each for each, stat in table.items() if stat.parent in tree} - tree:
        tree |= more
    return ticks(tree - {pid})


def stopped(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and stat.state == "T"


def test_after_a_kill_the_next_call_cleans_up(here: Here) -> None:
    here.write(jobs("setsid sleep 979 & sleep 979"))
    process = here.start()
    wait_until(lambda: sleepers("979") >= 2, 40, "the job to run")
    process.kill()
    process.communicate(timeout=30)
    assert sleepers("979") >= 2
    # Another batch altogether.
    here.write(jobs("true").replace("batch_name: b", "batch_name: c"))
    assert here.run()["code"] == 0
    assert sleepers("979") == 0
    assert here.left() == []


def test_a_move_that_was_cut_off_is_undone(here: Here) -> None:
    here.write(jobs("echo kept"))
    here.run()
    id = here.attempt("j0")["id"]
    # As if a second attempt had been killed between the two renames of its commit.
    staging = here.out / ".staging"
    staging.mkdir()
    (here.out / "ana" / "b" / "j0").rename(staging / f"{id[:-1]}2.old")
    (staging / f"{id[:-1]}2.new").mkdir()
    assert here.run()["unchanged"] == 1
    assert here.text("j0/stdout.txt") == "kept\n"
    assert not staging.exists()


def test_a_cache_that_cannot_be(here: Here) -> None:
    here.write(jobs("true"))
    here.cache.parent.mkdir(parents=True)
    here.cache.write_text("a file")
    done = here.account.run("run", here.file, "--output", here.out)
    assert done.code == 1
    assert "There can be no work folders" in done.err
    assert "XDG_CACHE_HOME" in done.err


def test_results_on_another_disk(here: Here) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert os.stat(elsewhere).st_dev != os.stat(here.folder).st_dev
        here.out = Path(elsewhere) / "out"
        line = "head -c 3000000 /dev/urandom > distribute_save/r; cksum < distribute_save/r"
        here.write(jobs(f"{line}; cp /bin/true distribute_save/tool; test $FALLOW_ATTEMPT = 3"))
        for _ in range(3):
            summary = here.run()
        assert summary["code"] == 0
        folder = here.out / "ana" / "b" / "j0"
        said = subprocess.run(["cksum"], stdin=(folder / "r").open("rb"), capture_output=True)
        assert said.stdout.decode() == here.text("j0/stdout.txt")
        assert os.access(folder / "tool", os.X_OK)
        assert sorted(os.listdir(folder / ".attempts")) == ["1", "2"]
        assert here.run()["unchanged"] == 1
        assert here.left() == []


def test_nobodys_own_files_are_replaced(here: Here) -> None:
    mine = here.out / "ana" / "b" / "j0"
    mine.mkdir(parents=True)
    (mine / "thesis.tex").write_text("years of work")
    here.write(jobs("true"))
    done = here.account.run("run", here.file, "--output", here.out)
    assert done.code == 1
    assert "'thesis.tex' in it is not Fallow's" in done.err
    assert os.listdir(mine) == ["thesis.tex"]
    (mine / "thesis.tex").rename(here.folder / "thesis.tex")
    assert here.run()["code"] == 0
    # Nor what somebody made of a result, when that has to be made again.
    (mine / "plot.png").write_text("a picture")
    assert here.run()["unchanged"] == 1
    here.write(jobs("false"))
    assert here.account.run("run", here.file, "--output", here.out).code == 1
    assert (mine / "plot.png").exists()


def test_a_job_that_needs_a_gpu_is_refused_where_there_is_none(here: Here) -> None:
    here.write(jobs("true").replace("cpus: 1", "cpus: 1, gpus: 99"))
    done = here.account.run("run", here.file, "--output", here.out)
    assert done.code == 1
    assert "A job asks for 99 GPUs" in done.err


def test_without_bubblewrap_too(here: Here) -> None:
    """The built tree is there once, so its jobs come one after the other."""
    build = "  initialize: {run: 'pwd > where; touch built'}\n  jobs:"
    line = "test ! -e busy && touch busy && sleep 0.2 && rm busy; cat where; pwd; test -e built"
    here.write(jobs(line, line, line).replace("  jobs:", build))
    words: list[str | Path] = [*WITHOUT_BUBBLEWRAP, SCRIPT, "run", here.file, "--jobs", "3"]
    done = subprocess.run(
        [*words, "--output", here.out],
        env={**os.environ, "XDG_CACHE_HOME": str(here.folder / "person" / "cache")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warning: jobs are not kept from your own files: bubblewrap" in done.stderr
    for number in range(3):
        built, ran = here.text(f"j{number}/stdout.txt").split()
        assert built == ran
        assert ran.startswith(str(here.cache))
    assert here.left() == []


def test_a_folder_that_jobs_may_read(here: Here) -> None:
    conda = here.folder / "conda"
    conda.mkdir()
    (conda / "tool").write_text("#!/bin/sh\necho I am the tool\n")
    (conda / "tool").chmod(0o755)
    here.write(jobs(f"{conda}/tool && ! touch {conda}/mine"))
    assert here.run()["counts"]["failed"] == 1
    assert here.run("--read-only", str(conda))["counts"]["succeeded"] == 1
    assert here.text("j0/stdout.txt") == "I am the tool\n"


def test_other_values_than_the_files(here: Here) -> None:
    here.write(
        "meta: {namespace: ana, batch_name: a}\n"
        'command: {run: "echo {x}", sweep: {x: [1, 2, 3]}, name: "x{x}"}\nresources: {cpus: 1}\n'
    )
    assert here.run("--name", "b", "--set", "sweep.x=[7]")["counts"]["succeeded"] == 1
    assert here.text("x7/stdout.txt") == "7\n"
    done = here.account.run("run", here.file, "--set", "swep.x=[7]")
    assert done.code == 2


def test_killed_again_and_again_it_ends_all_the_same(here: Here) -> None:
    """No result is lost or half there, whenever it dies; nothing runs twice that had succeeded."""
    lines = [f"date +%N > distribute_save/n; echo {n} > distribute_save/v" for n in range(12)]
    here.write(jobs(*lines))
    batch = here.out / "ana" / "b"
    stamps: dict[str, str] = {}
    for wanted in (1, 4, 7, 11):
        process = here.start("--jobs", "2")
        here.wait_for_results(process, wanted)
        process.kill()
        process.communicate(timeout=30)
        noted = "".join(each.read_text() for each in here.cache.glob("*.jsonl"))
        for folder in batch.glob("j*"):
            # One that was put in place and not noted yet is run again.
            if f'"{folder.name}"' in noted and (folder / "n").exists():
                stamps.setdefault(folder.name, (folder / "n").read_text())
    assert here.run()["code"] == 0
    assert [here.text(f"j{number}/v") for number in range(12)] == [f"{n}\n" for n in range(12)]
    assert {name: here.text(f"{name}/n") for name in stamps} == stamps
    assert len(stamps) >= 2
    assert here.left() == []
    assert not (here.out / ".staging").exists()
    assert here.run()["unchanged"] == 12


def test_results_do_not_go_among_the_inputs(here: Here) -> None:
    text = jobs("true").replace("  jobs:", "  required_files: [{path: WHERE, alias: all}]\n  jobs:")
    here.write(text.replace("WHERE", "."))
    done = here.account.run("run", here.file, "--output", here.out)
    assert done.code == 1
    assert f"The results would go into {here.folder.resolve()}" in done.err
    assert not here.out.exists()
    (here.folder / "inputs").mkdir()
    (here.folder / "inputs" / "x").write_text("")
    here.write(text.replace("WHERE", "inputs"))
    assert here.run()["code"] == 0


def test_two_at_once_into_one_place_are_refused(here: Here) -> None:
    here.write(jobs("sleep 977"))
    process = here.start()
    try:
        wait_until(lambda: sleepers("977") >= 1, 40, "the job to run")
        done = here.account.run("run", here.file, "--output", here.out)
        assert done.code == 1
        assert "is being run already" in done.err
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_a_bad_file_is_named_before_anything_happens(here: Here) -> None:
    here.write(jobs("true") + "resourses: {}\n")
    done = here.account.run("run", here.file, "--output", here.out)
    assert done.code == 2
    assert "did you mean `resources`" in done.err
    assert not here.out.exists()


def test_an_output_that_cannot_be_written(here: Here) -> None:
    here.write(jobs("true"))
    here.out.write_text("a file")
    done = here.account.run("run", here.file, "--output", here.out / "below")
    assert done.code == 1
    assert "cannot be written" in done.err
    assert here.left() == []


def sleepers(seconds: str) -> int:
    """How many `sleep` of so many seconds there are."""
    words = b"sleep\0" + seconds.encode() + b"\0"
    found = 0
    for pid in procfs.pids():
        try:
            found += Path(f"/proc/{pid}/cmdline").read_bytes() == words
        except OSError:
            continue
    return found
