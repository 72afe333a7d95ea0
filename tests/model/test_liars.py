"""Workstations that say anything at all, in any order: the group stays sound, and nothing falls.

Not honest ones (`test_group_model`). What they say passes the doors of the coordinator's shell; of
each turn the fake shell asserts that the world keeps its rules.
"""

import random

import pytest

from fakes import AWAY, GIB, MANIFEST, FakeCoordinator, sweep_batch
from fallow.coordinator.events import AgentSaid, NodeJoined, NodeRevoked
from fallow.coordinator.soundness import check_said
from fallow.shared.ids import AttemptId
from fallow.shared.messages import (
    PROTOCOL,
    BuildReport,
    Bye,
    Hello,
    Kill,
    Nodes,
    Remove,
    Report,
    Resources,
    RunReport,
    Status,
    Welcome,
    decode_for_agent,
    decode_from,
    encode,
)
from fallow.shared.runs import (
    Building,
    Crashed,
    Declined,
    Ending,
    Exited,
    Finished,
    Reason,
    Running,
    RunState,
    Signalled,
    Staging,
    Stopped,
    Verdict,
)

NAMES = ("ant", "bee", "cat")
SEEDS_EACH = 15
STRANGE = (
    AttemptId("zzzzzzzz", 0, 1),
    AttemptId("u0000001", 99, 1),
    AttemptId("u0000001", 0, 99),
    AttemptId("u0000001", 0, 0),
    AttemptId("u0000001", -1, 1),
)
EXITS = (
    Exited(0),
    Exited(1),
    Signalled(9),
    Crashed(),
    Stopped("kill"),
    Stopped("superseded"),
    Stopped("evict"),
    Stopped("lost"),
)
HERE = Verdict("present", (Reason("input", "you are here", 5.0),))


class Liars:
    """Three workstations and some batches, moved by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.office = FakeCoordinator()
        self.sessions = dict.fromkeys(NAMES, 0)
        self.seqs = dict.fromkeys(NAMES, 0)
        self.batches = 0
        self.office.turn(*map(NodeJoined, NAMES))
        for name in NAMES:
            self.greet(name)

    def greet(self, name: str) -> None:
        self.office.post[name].clear()
        hello = Hello(name, "boot", PROTOCOL, "1", Resources(2, 8 * GIB))
        self.office.turn(AgentSaid(name, hello))
        self.seqs[name] = 0
        for data in self.office.post.pop(name, []):
            said = decode_for_agent(data)
            if isinstance(said, Welcome):
                self.sessions[name] = said.session

    def step(self) -> None:
        office, chance = self.office, self.chance
        name = chance.choice(NAMES)
        batch = f"b{chance.randrange(1, self.batches + 1)}" if self.batches else ""
        match chance.randrange(40):
            case 0 if self.batches < 4:
                self.batches += 1
                jobs, cpus = chance.randrange(1, 5), chance.choice([None, 1])
                build = chance.random() < 0.5
                office.submit(sweep_batch(f"b{self.batches}", jobs=jobs, cpus=cpus, build=build))
            case 1:
                self.greet(name)
            case 2:
                office.pass_time(chance.choice([0.5, 3.0, 20.0, 400.0, 2000.0]))
            case 3:
                if office.commits_wait:
                    office.finish_commits()
                else:
                    office.commits_wait = True
            case 4 if batch:
                office.ask(Kill(batch + chance.choice(["", "/j0", "/j0", "/j1"])))
            case 5 if batch:
                office.ask(Remove(batch))
            case 6:
                why = "shutdown" if chance.random() < 0.5 else "stop"
                office.turn(AgentSaid(name, Bye(self.sessions[name], why)))  # type: ignore[arg-type]
            case 7:
                office.restart()
                for each in NAMES:
                    if chance.random() < 0.8:
                        self.greet(each)
            case 8:
                office.ask(Nodes() if chance.random() < 0.5 else Status(batch or None))
            case 9 if chance.random() < 0.2:
                office.turn(NodeRevoked(name), NodeJoined(name))
            case _:
                self.report(name)

    def report(self, name: str) -> None:
        chance = self.chance
        self.seqs[name] += chance.choice([1, 1, 1, 0, 5])
        report = Report(
            self.sessions[name],
            self.seqs[name],
            10**6 if chance.random() < 0.1 else 0,
            HERE if chance.random() < 0.2 else AWAY,
            chance.random() < 0.8,
            tuple(self.build() for _ in range(chance.randrange(3))),
            tuple(self.run(name) for _ in range(chance.randrange(4))),
        )
        check_said(report)
        said = decode_from("workstation", encode(report))
        assert isinstance(said, Report)
        self.office.turn(AgentSaid(name, said))

    def build(self) -> BuildReport:
        chance = self.chance
        batch = chance.choice(["u0000001", "u0000002", "zz"])
        log = chance.choice([None, MANIFEST])
        return BuildReport(batch, "k", chance.choice(["building", "built", "failed"]), log, 3, "t")

    def run(self, name: str) -> RunReport:
        chance, world = self.chance, self.office.core.world
        own = list(world.nodes[name].attempts)
        known = own if own and chance.random() < 0.8 else [*world.attempts, *STRANGE]
        ran = chance.random() * 100
        return RunReport(chance.choice(known), self.state(), chance.random() < 0.3, ran, 1.0)

    def state(self) -> RunState:
        chance = self.chance
        finished = Finished(
            chance.choice(EXITS),
            chance.choice([None, MANIFEST]),
            5,
            chance.random() < 0.7,
            1.0,
            2.0,
        )
        declined = Declined(chance.choice(["does_not_fit", "owner", "staging", "build_failed"]))
        early: tuple[RunState, ...] = (Running(), Running(), Staging(1, 2), Building(), Ending())
        return chance.choice([*early, declined, finished, finished, finished])


@pytest.mark.parametrize("first", range(0, 10 * SEEDS_EACH, SEEDS_EACH))
def test_no_word_of_a_workstation_breaks_the_group(first: int) -> None:
    for seed in range(first, first + SEEDS_EACH):
        liars = Liars(seed)
        for _ in range(liars.chance.randrange(40, 250)):
            liars.step()
        for job, kept in liars.office.on_disk.items():
            won = [number for number, outcome in kept if outcome == "result"]
            assert len(won) <= 1, f"{job} was committed by the attempts {won} (seed {seed})"
