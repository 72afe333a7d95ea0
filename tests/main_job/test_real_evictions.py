"""Jobs that leave a desk in use: saved there, collected, and gone on with from where they were.

Not pauses (test_real_desks.py) nor jobs that people end (test_real_endings.py).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.shared.work import machine
from main_job.conftest import Coordinator
from main_job.real import Group, RealWorkstation, Sandbox, config, one_job
from waiting import wait_until

COUNTS = (
    'box="$FALLOW_CHECKPOINT"; n=$(cat "$box/deep/state" 2>/dev/null || echo 0); echo "from $n"; '
    'save() { mkdir -p "$box/deep"; echo "$n" > "$box/deep/state"; echo "saved $n"; exit 0; }; '
    "trap save TERM; "
    "until test -e distribute_save/go; do n=$((n + 1)); /bin/sleep 0.02; done; "
    'rm distribute_save/go; echo "$n" > distribute_save/steps'
)
SAVES = "checkpoint: {signal: TERM, grace: 30s, files: [checkpoint/]}\n"


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


@pytest.fixture(params=["hidden", "bare", "plain"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    found: Sandbox = request.param
    return found


def said(place: RealWorkstation) -> str:
    """What the only run here has said so far."""
    (found,) = (place.data_dir / "runs").glob("*/stdout.txt")
    return found.read_text()


def wait_until_it_counts(place: RealWorkstation) -> None:
    place.wait_for_run("running")
    wait_until(lambda: "from" in said(place), 30, "the job to say where it begins")


def test_a_frozen_job_that_is_sent_elsewhere_goes_on_from_its_checkpoint(
    group: Group, sandbox: Sandbox
) -> None:
    here = group.workstation("ws1", config(cpus=1, sandbox=sandbox), sandbox)
    # What was built is there on both, and a checkpoint goes where the job's own copy of it is.
    built = '  initialize: {run: "echo built > tool"}\n'
    group.submit(one_job(f"cat tool; {COUNTS}", more=built) + SAVES)
    wait_until_it_counts(here)
    births = here.births()
    assert here.verb("pause").returncode == 0
    here.wait_for_run("paused")
    assert here.verb("eject").returncode == 0
    wait_until(lambda: group.job("b")["evictions"] == 1, 40, "the job to be evicted")
    assert not any(each.alive for each in births)
    there = group.workstation("ws2", config(cpus=1, sandbox=sandbox), sandbox)
    wait_until_it_counts(there)
    begun = re.search(r"from (\d+)", said(there))
    assert begun is not None
    assert int(begun[1]) > 0
    there.let_go()
    job = group.wait_for_state("b", "succeeded")
    counts = (job["attempts"], job["evictions"], job["failures"], job["crashes"])
    assert counts == (2, 1, 0, 0)
    folder = group.coordinator.results / "ana/b/j"
    assert int((folder / "steps").read_text()) >= int(begun[1])
    assert (folder / "stdout.txt").read_text().startswith("built\nfrom ")
    # The checkpoint is no result, and gone when nobody can go on from it.
    assert {each.name for each in folder.iterdir()} == {
        "attempt.json",
        "steps",
        "stderr.txt",
        "stdout.txt",
    }
    wait_until(lambda: not here.left_on_disk(), 20, "nothing to be kept")
    assert group.rows("SELECT * FROM checkpoint") == []


def test_a_drained_workstation_hands_over_what_its_job_has_done(group: Group) -> None:
    here = group.workstation("ws1", config(cpus=1))
    group.submit(one_job(COUNTS) + SAVES)
    wait_until_it_counts(here)
    births = here.births()
    there = group.workstation("ws2", config(cpus=1))
    group.coordinator.verbs.ok("drain", "ws1", "--now")
    wait_until_it_counts(there)
    assert not any(each.alive for each in births)
    assert "from 0\n" not in said(there)
    there.let_go()
    job = group.wait_for_state("b", "succeeded")
    assert (job["attempts"], job["evictions"], job["failures"]) == (2, 1, 0)


def test_who_is_short_of_memory_is_rid_of_the_largest_paused_job(
    group: Group, tmp_path: Path
) -> None:
    total = machine.total_memory()
    big = total // 50
    meminfo = tmp_path / "meminfo"
    says_free(meminfo, total)
    offer = config(cpus=2).replace('memory = "1GiB"', 'memory = "90%"')
    here = group.workstation("ws1", offer, meminfo=meminfo)
    holds = f"held = b'x' * {big}; print('has it', flush=True); import time; time.sleep(600)"
    line = f'python3 -c "{holds}"'
    group.submit(one_job(line, "large").replace("64MiB", f"{2 * big}"))
    group.submit(one_job("echo has it; sleep 600", "small"))

    def both_have_it() -> bool:
        found = (here.data_dir / "runs").glob("*/stdout.txt")
        return sum("has it" in each.read_text() for each in found) == 2

    wait_until(both_have_it, 40, "both jobs to run")
    assert here.verb("pause").returncode == 0
    wait_until(lambda: group.job("large")["state"] == "paused", 20, "the pause")
    says_free(meminfo, total // 10 - big // 2)
    wait_until(lambda: group.job("large")["evictions"] == 1, 40, "the large one to go")
    small = group.job("small")
    assert (small["state"], small["evictions"]) == ("paused", 0)


def says_free(meminfo: Path, size: int) -> None:
    """What the kernel would say; written as one, since it is read at any time."""
    text = f"MemTotal: 0 kB\nMemFree: 0 kB\nMemAvailable: {size // 1024} kB\n"
    meminfo.write_text(text)


def test_a_job_that_runs_for_too_long_has_failed_and_its_files_are_kept(group: Group) -> None:
    here = group.workstation()
    line = "echo part > distribute_save/part; while :; do /bin/sleep 0.05; done"
    group.submit(one_job(line) + "limits: {run_time: 1s}\n")
    job = group.wait_for_state("b", "failed")
    assert (job["attempts"], job["failures"]) == (1, 1)
    assert job["run_seconds"] >= 1.0
    assert "run_time" in json.dumps((job["exit"], job["reason"]))
    folder = group.coordinator.results / "ana/b/j"
    assert (folder / "part").read_text() == "part\n"
    wait_until(lambda: not here.left_on_disk(), 20, "nothing to be kept")


def test_a_job_that_holds_more_memory_than_it_asked_for_has_failed(group: Group) -> None:
    here = group.workstation()
    taking = "held = b'x' * (200 << 20); import time; time.sleep(600)"
    sharing = "import os, time; held = b'x' * (40 << 20); [os.fork() for _ in range(2)]"
    group.submit(one_job(f'echo part > distribute_save/part; python3 -c "{taking}"'))
    group.submit(one_job(f'python3 -c "{sharing}; time.sleep(5)"', "sharing"))
    job = group.wait_for_state("b", "failed")
    assert (job["attempts"], job["failures"]) == (1, 1)
    assert job["reason"] == "memory: it held more than it may"
    assert (group.coordinator.results / "ana/b/j/part").read_text() == "part\n"
    # Four processes of 40 MiB each that are the same pages hold 40 MiB.
    assert group.wait_for_state("sharing", "succeeded")["failures"] == 0
    wait_until(lambda: not here.left_on_disk(), 20, "nothing to be kept")


def test_a_job_that_fills_the_disk_has_failed_and_gives_it_back(group: Group) -> None:
    free = machine.free_disk(group.coordinator.folder)
    offer = config(cpus=2).replace('disk_reserve = "0"', f'disk_reserve = "{free - (500 << 20)}"')
    here = group.workstation("ws1", offer)
    group.submit(one_job("echo modest; sleep 600", "modest"))
    group.submit(one_job("fallocate -l 1100M big; sleep 600"))
    job = group.wait_for_state("b", "failed")
    assert (job["attempts"], job["failures"], job["evictions"]) == (1, 1, 0)
    assert job["reason"].startswith("disk: it filled its computer's disk")
    wait_until(lambda: not [*here.data_dir.glob("runs/*/work/big")], 20, "the disk to be free")
    assert group.job("modest")["state"] == "running"


def test_an_agent_that_dies_while_a_job_saves_itself_loses_nothing(group: Group) -> None:
    here = group.workstation("ws1", config(cpus=1))
    slow = COUNTS.replace('mkdir -p "$box/deep"', 'mkdir -p "$box/deep"; /bin/sleep 1')
    group.submit(one_job(slow) + SAVES)
    wait_until_it_counts(here)
    assert here.verb("pause").returncode == 0
    here.wait_for_run("paused")
    assert here.verb("eject").returncode == 0
    here.kill()
    here.start()
    here.wait_online()
    wait_until(lambda: group.job("b")["evictions"] == 1, 40, "the job to be evicted")
    assert here.verb("resume").returncode == 0
    wait_until_it_counts(here)
    assert "from 0\n" not in said(here)
    here.let_go()
    group.wait_for_state("b", "succeeded")
