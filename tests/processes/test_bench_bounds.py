"""What the agent's workbench holds its runs to, seen from inside real jobs."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fallow.shared.blobs import BlobStore
from fallow.shared.ids import AttemptId
from fallow.shared.messages import JobSpec, Shell
from fallow.shared.work import machine, procfs, run_words
from fallow.shared.work.gpus import Gpu
from fallow.shared.work.ground import NOWHERE, Ground
from fallow.shared.work.sandbox import SandboxAbility
from fallow.shared.work.settings import Jobs
from fallow.shared.work.spool import Spool
from fallow.shared.work.workbench import Workbench
from fallow.tray.records import Records
from waiting import wait_until

ONE, TWO, THREE = (AttemptId("abcdefgh", index, 1) for index in (1, 2, 3))
CORES = "sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status; "


class Nobody:
    """Waits for no end: these jobs are ended by the test."""

    def watch(self, source: int, ready: Callable[[], None]) -> None:
        pass

    def unwatch(self, source: int) -> None:
        pass


class Bench:
    def __init__(
        self,
        folder: Path,
        ability: SandboxAbility,
        jobs: Jobs,
        ground: Ground = NOWHERE,
        gpus: tuple[Gpu, ...] = (),
    ) -> None:
        self.records = Records(folder, "boot")
        self.facts: list[tuple[AttemptId, run_words.Event]] = []
        self.bench = Workbench(
            folders=self.records,
            cache=BlobStore(folder / "cache", durable=False),
            spool=Spool(folder / "spool"),
            jobs=jobs,
            ability=ability,
            in_place=False,
            boot_id=procfs.boot_id(),
            watcher=Nobody(),
            post=lambda attempt, fact: self.facts.append((attempt, fact)),
            tell=lambda attempt, fact: self.facts.append((attempt, fact)),
            ground=ground,
            cores=machine.cores(),
            gpus=gpus,
            covered=(str(folder),),
        )

    def start(
        self, attempt: AttemptId, line: str, network: bool = True, gpus: int = 0
    ) -> run_words.Event:
        """The job's place is made, and the job started; how that went."""
        job = JobSpec("n", "b", "j", "ana", Shell(line), 1, network=network, gpus=gpus)
        self.records.folder(attempt).mkdir(parents=True)
        self.bench.order(attempt, run_words.Place(), job)
        wait_until(lambda: (attempt, run_words.Placed()) in self.facts, 20, "its place")
        self.bench.order(attempt, run_words.Spawn(), job)
        return self.facts[-1][1]

    def said(self, attempt: AttemptId) -> str:
        """Standard output, once the job has said that this is all."""
        place = self.records.folder(attempt) / "stdout.txt"
        wait_until(lambda: "all\n" in place.read_text(), 20, "the job's words")
        return place.read_text()


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def go(
        ability: SandboxAbility, jobs: Jobs, ground: Ground = NOWHERE, gpus: tuple[Gpu, ...] = ()
    ) -> Bench:
        made.append(Bench(tmp_path / "agent", ability, jobs, ground, gpus))
        return made[-1]

    yield go
    for each in made:
        for attempt in (ONE, TWO, THREE):
            each.bench.order(attempt, run_words.Kill(), None)
        each.bench.close()


def test_two_jobs_get_a_core_each(
    begin: Callable[..., Bench], ability: SandboxAbility, ground: Ground
) -> None:
    before = os.sched_getaffinity(0)
    here = begin(ability, Jobs(nice=0), ground)
    for attempt in (ONE, TWO):
        fact = here.start(attempt, CORES + "echo all; sleep 600")
        assert isinstance(fact, run_words.Spawned)
    first, second = here.said(ONE), here.said(TWO)
    if len(machine.cores()) > 1:
        assert first != second
    assert os.sched_getaffinity(0) == before


def test_a_job_cannot_read_the_agents_own_folder(
    begin: Callable[..., Bench], ability: SandboxAbility, tmp_path: Path
) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "key").write_text("the secret")
    (tmp_path / "data").write_text("to be read")
    here = begin(ability, Jobs(nice=0, read_only=(str(tmp_path),)))
    line = f"cat {tmp_path}/data; echo; cat {tmp_path}/agent/key; ls {tmp_path}/agent; echo all"
    assert isinstance(here.start(ONE, line), run_words.Spawned)
    assert here.said(ONE) == "to be read\nall\n"


# Devices of every Linux that no sandbox has unless it is told to, in the place of graphics cards.
FIRST, SECOND = "/dev/kmsg", "/dev/net/tun"
CARDS = (
    Gpu("nvidia", 0, "GPU-a", (FIRST,)),
    Gpu("nvidia", 1, "GPU-b", (SECOND,)),
)
SEES = (
    f"for each in {FIRST} {SECOND}; do test -e $each && echo $each; done; "
    "echo $FALLOW_GPUS; echo $CUDA_VISIBLE_DEVICES; echo all; sleep 600"
)


def test_a_job_sees_the_gpus_that_it_was_given_and_no_other(
    begin: Callable[..., Bench], ability: SandboxAbility, ground: Ground
) -> None:
    here = begin(ability, Jobs(nice=0), ground, CARDS)
    assert isinstance(here.start(ONE, SEES, gpus=1), run_words.Spawned)
    assert isinstance(here.start(TWO, SEES, gpus=1), run_words.Spawned)
    assert here.said(ONE).split() == [FIRST, "1", "GPU-a", "all"]
    assert here.said(TWO).split() == [SECOND, "1", "GPU-b", "all"]
    refused = here.start(THREE, SEES, gpus=1)
    assert isinstance(refused, run_words.NotSpawned)
    assert "1 GPUs are needed" in refused.text


def test_a_job_that_asked_for_none_sees_no_gpu(
    begin: Callable[..., Bench], ability: SandboxAbility
) -> None:
    here = begin(ability, Jobs(nice=0), NOWHERE, CARDS)
    assert isinstance(here.start(ONE, SEES), run_words.Spawned)
    assert here.said(ONE).split("\n") == ["0", "", "all", ""]


def test_the_next_agent_knows_whose_the_gpus_are(
    begin: Callable[..., Bench], ability: SandboxAbility
) -> None:
    here = begin(ability, Jobs(nice=0), NOWHERE, CARDS)
    spawned = here.start(ONE, SEES, gpus=1)
    assert isinstance(spawned, run_words.Spawned)
    here.said(ONE)
    here.bench.close()
    here = begin(ability, Jobs(nice=0), NOWHERE, CARDS)
    job = JobSpec("n", "b", "j", "ana", Shell(SEES), 1, gpus=1)
    here.bench.order(ONE, run_words.Find(), job)
    assert here.facts == [(ONE, spawned)]
    assert isinstance(here.start(TWO, SEES, gpus=1), run_words.Spawned)
    assert here.said(TWO).split() == [SECOND, "1", "GPU-b", "all"]


def test_a_job_without_the_network_is_given_back_where_it_would_have_it(
    begin: Callable[..., Bench], ability: SandboxAbility
) -> None:
    here = begin(SandboxAbility("none"), Jobs(sandbox="none", nice=0))
    fact = here.start(ONE, "true", network=False)
    assert isinstance(fact, run_words.NotSpawned)
    assert fact.reason == "sandbox"
    assert "away from the network" in fact.text
