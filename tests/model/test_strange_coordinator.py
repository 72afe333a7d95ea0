"""A coordinator that says anything at all: a workstation keeps its own rules.

Not an honest one (`test_group_model`), nor strange workstations (`test_liars`). Nothing works on a
desk in use, no process is forgotten, and no event is impossible.
"""

import random
from typing import Literal

import pytest

from fakes import GIB
from fallow.shared.ids import AttemptId
from fallow.shared.messages import (
    Accepted,
    Ack,
    Argv,
    Assign,
    BuildSpec,
    CoordinatorMessage,
    JobSpec,
    Missing,
    Rejected,
    Tail,
    Welcome,
    Withdraw,
    encode,
)
from fallow.shared.runs import Exit, Exited, Signalled, StopReason
from model.desk import ModelCoordinator, ModelDesk

SEEDS_EACH = 15
EXITS: list[Exit] = [Exited(0), Exited(1), Signalled(11)]
REASONS: list[StopReason] = ["kill", "superseded", "evict", "lost"]
OUTCOMES: list[Literal["committed", "kept", "superseded", "discarded"]] = [
    "committed",
    "kept",
    "superseded",
    "discarded",
]
ATTEMPTS = [
    AttemptId(batch, index, number)
    for batch in ("aa", "bb")
    for index in (0, 1)
    for number in (0, 1, 2)
]


class Bewildered:
    """One workstation, moved by chance and by a coordinator that makes no sense."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.office = ModelCoordinator()
        self.desk = ModelDesk(self.office, "desk", 2)
        self.desk.connect()
        for seconds in (2000.0, 100.0):
            self.pass_time(seconds)
        self.n = 0

    def pass_time(self, seconds: float) -> None:
        self.office.now = self.office.now.plus(seconds)
        self.desk.expire()

    def step(self) -> None:
        chance, desk = self.chance, self.desk
        match chance.randrange(20):
            case 9 | 10 | 11 | 12:
                desk.work(chance.randrange(9))
            case 13:
                for proc in desk.living():
                    if not proc.frozen:
                        desk.ends(proc, chance.choice(EXITS))
                        break
            case 14:
                if chance.random() < 0.15:
                    desk.touch()
            case 15:
                self.pass_time(chance.choice([0.5, 3.0, 30.0, 700.0]))
            case 16:
                desk.cut()
                desk.connect()
            case 17:
                desk.die(with_computer=chance.random() < 0.3)
            case 18:
                desk.patience = chance.randrange(1, 6)
            case 19:
                if chance.random() < 0.3:
                    desk.stop()
            case _:
                desk.linked = True
                desk.down.append(encode(self.nonsense()))
                desk.hears()
        desk.up.clear()

    def nonsense(self) -> CoordinatorMessage:
        chance = self.chance
        attempt = chance.choice(ATTEMPTS)
        self.n += chance.choice([0, 1, 1, 3])
        match chance.randrange(9):
            case 0 | 1:
                return Assign(self.n, attempt, self.job(attempt.batch))
            case 2:
                grace = chance.choice([0.0, -5.0, 10.0])
                return Withdraw(self.n, attempt, chance.choice(REASONS), grace)
            case 3:
                return Accepted(attempt, chance.choice(OUTCOMES))
            case 4:
                return Missing(attempt, ("ab" * 32,))
            case 5:
                return Ack(chance.randrange(30), chance.choice([(), ("aa",), ("bb", "zz")]))
            case 6:
                return Tail(1, attempt, "stdout", -1, 10)
            case 7:
                return Welcome(chance.randrange(5), chance.choice([0.0, 5.0, 1e9]), "x")
            case _:
                return Rejected("no")

    def job(self, batch: str) -> JobSpec:
        chance = self.chance
        key = f"key {chance.randrange(2)}"
        build = BuildSpec(key, Argv(("make",))) if chance.random() < 0.5 else None
        cpus, memory = chance.choice([0, 1, 1, 2, 99]), chance.choice([GIB, GIB, None, 1 << 60])
        return JobSpec("n", batch, "j", "ana", Argv(("true",)), cpus, memory, build)

    def check(self) -> None:
        work = self.desk.core.work
        for proc in self.desk.living():
            assert proc.frozen or self.desk.core.verdict.runs, (
                f"{proc.attempt} works at a used desk"
            )
            known = proc.attempt in work.runs or proc.attempt.batch in work.builds
            assert known, f"{proc.attempt} was forgotten alive"


@pytest.mark.parametrize("first", range(0, 10 * SEEDS_EACH, SEEDS_EACH))
def test_no_word_of_a_coordinator_breaks_a_workstation(first: int) -> None:
    for seed in range(first, first + SEEDS_EACH):
        bewildered = Bewildered(seed)
        for _ in range(bewildered.chance.randrange(30, 200)):
            bewildered.step()
            bewildered.check()
