"""Who may do what with a computer's agent, and whose eyes are believed."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.shared.errors import FallowError
from fallow.tray import core_words as words
from fallow.tray.answering import Answers
from fallow.tray.coverage import Cover
from fallow.tray.local import (
    Activity,
    AskConfig,
    AskStatus,
    ConfigIs,
    Configure,
    Done,
    Eject,
    Finish,
    Leave,
    LendFor,
    LocalRequest,
    PauseFor,
    Rejoined,
    Resume,
    StatusIs,
    Subscribe,
)
from fallow.tray.local_server import Visitor
from fallow.tray.presence import Reading
from fallow.tray.rights import Person
from fallow.tray.status import AgentStatus

AGENT, SEATED, OTHER = 900, 1000, 1001
WISHES = (PauseFor(60.0), Resume(), LendFor(60.0), Eject(), Finish())
RULES = (Configure({"jobs": {"nice": 5}}), Rejoined())


class World:
    """Answers of an agent, and what it was told."""

    def __init__(self, folder: Path) -> None:
        self.steps: list[words.Event] = []
        self.file = folder / "agent.toml"
        self.answers = Answers(
            agent=AGENT,
            seated=lambda: {SEATED},
            step=self.steps.append,
            status=lambda: AgentStatus("idle", "online", "away"),
            kept=lambda: True,
            file=self.file,
            check=lambda config: None,
            obey=lambda config: "Saved.",
            rejoin=lambda: None,
        )
        self._sockets = socket.socketpair()

    def ask(self, person: Person, request: LocalRequest) -> object:
        return self.answers.answer(Visitor(self._sockets[0], "tray-1", person), request)

    def refused(self, person: Person, request: LocalRequest) -> bool:
        try:
            self.ask(person, request)
        except FallowError:
            return True
        return False

    def seen(self, person: Person, reading: Reading) -> Reading | None:
        """What is believed of this reading."""
        self.steps.clear()
        self.ask(person, Activity((reading,)))
        if not self.steps:
            return None
        (step,) = self.steps
        assert isinstance(step, words.Seen)
        return step.readings[0]

    def close(self) -> None:
        for each in self._sockets:
            each.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("person", "may_wish", "may_rule", "may_end"),
    [
        (Person(0), True, True, True),
        (Person(AGENT), True, True, True),
        (Person(OTHER, ("users", "sudo")), True, True, False),
        (Person(OTHER, ("wheel",)), True, True, False),
        (Person(SEATED, ("users",)), True, False, False),
        # A job of somebody's, under the agent's own account or another.
        (Person(AGENT, job=True), False, False, False),
        (Person(0, job=True), False, False, False),
        (Person(SEATED, ("sudo",), job=True), False, False, False),
        (Person(OTHER, ("users", "sudoers")), False, False, False),
    ],
)
def test_who_may_do_what(
    world: World, person: Person, may_wish: bool, may_rule: bool, may_end: bool
) -> None:
    for look in (AskStatus(), Subscribe()):
        told = world.ask(person, look)
        assert isinstance(told, StatusIs)
        assert told.status.may_change is may_wish
    rules = world.ask(person, AskConfig())
    assert isinstance(rules, ConfigIs)
    assert rules.writable is may_rule
    assert not world.steps
    assert [world.refused(person, each) for each in WISHES] == [not may_wish] * len(WISHES)
    assert [world.refused(person, each) for each in RULES] == [not may_rule] * len(RULES)
    assert world.refused(person, Leave()) is not may_end
    assert world.file.exists() is may_rule


OWN = Reading("keys", "input", True, "", 5.0, covers=Cover(uid=SEATED))


@pytest.mark.parametrize(
    ("reading", "believed"),
    [
        (OWN, True),
        (Reading("keys", "input", True, "", 5.0, covers=Cover(uid=OTHER)), False),
        (Reading("keys", "input", True, "", 5.0, covers=Cover(everything=True, uid=SEATED)), False),
        (Reading("keys", "input", True, "", 5.0), False),
        (Reading("logind", "session", True, vacant=True), False),
        (Reading("terminals", "terminal", True, "", 5.0), False),
        (Reading("films", "inhibitor", True, "mpv (a film)"), True),
    ],
)
def test_whose_eyes_are_believed(world: World, reading: Reading, believed: bool) -> None:
    found = world.seen(Person(SEATED), reading)
    assert found is not None
    assert found.healthy is believed
    assert not found.vacant
    assert world.seen(Person(AGENT), reading) == reading
    assert world.seen(Person(OTHER), reading) is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e12])
def test_a_time_that_cannot_be(world: World, seconds: float) -> None:
    for request in (PauseFor(seconds), LendFor(seconds)):
        assert world.refused(Person(0), request)
    assert not world.steps


def test_what_is_done_is_said(world: World) -> None:
    assert world.ask(Person(0), PauseFor(None)) == Done("paused")
    assert world.steps == [words.PauseAsked(None)]
