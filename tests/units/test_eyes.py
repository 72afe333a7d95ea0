"""The agent's own eyes: what is new is told at once, what is not is told again now and then."""

from functools import partial

import pytest

from fallow.shared.clock import SystemClock
from fallow.shared.moments import Moment
from fallow.tray.core_words import Seen, Woke
from fallow.tray.eyes import REPEAT_EVERY, Eyes
from fallow.tray.lookout import SILENT_AFTER
from waiting import wait_until


class HeldClock:
    """A clock that stands still until it is moved, and counts who looks at it."""

    def __init__(self) -> None:
        self._now = SystemClock().now()
        self.looks = 0

    def now(self) -> Moment:
        self.looks += 1
        return self._now

    def looked_at(self, times: int) -> bool:
        return self.looks >= times

    def move(self, seconds: float) -> None:
        self._now = self._now.plus(seconds)


def test_what_is_not_new_is_repeated_before_it_is_disbelieved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert 2 * REPEAT_EVERY < SILENT_AFTER
    monkeypatch.setattr("fallow.tray.eyes.SELDOM", 0.001)
    # Without a message bus nothing but terminals is seen; somebody may be typing in one of them.
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
    monkeypatch.setattr("fallow.tray.sensors.terminals._times_of", lambda _: {})
    clock, told = HeldClock(), list[Seen | Woke]()
    eyes = Eyes(clock, clock.now().boot, told.append, foreign_cpu=lambda: 1.0)
    eyes.start()
    try:
        wait_until(lambda: told, 30, "the first look")
        for _ in range(3):
            before, looks = len(told), clock.looks
            clock.move(REPEAT_EVERY)
            wait_until(partial(clock.looked_at, looks + 20), 30, "twenty looks")
            assert len(told) == before + 1
    finally:
        eyes.stop()
    assert isinstance(told[0], Seen)
    assert len(set(map(repr, told))) == 1


def test_a_job_that_begins_is_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallow.tray.eyes.SELDOM", 1e6)
    monkeypatch.setattr("fallow.tray.eyes.EVERY", 0.001)
    clock, told, ours = HeldClock(), list[Seen | Woke](), set[int]()
    eyes = Eyes(clock, clock.now().boot, told.append, ours=lambda: ours)
    eyes.start()
    try:
        wait_until(lambda: told, 30, "the first look")
        ours.add(1)
        looks = clock.looks
        eyes.look_soon()
        wait_until(partial(clock.looked_at, looks + 20), 30, "one look after the other")
    finally:
        eyes.stop()
