"""Sensors that fail, hang and come back, behind a guard; questions put aside."""

import threading
from collections.abc import Callable, Iterator

import pytest

from fallow.shared.moments import Moment
from fallow.tray.presence import Reading
from fallow.tray.sensors.guard import GIVEN_UP_AFTER, Aside, Guarded
from waiting import wait_until

FINE = Reading("inner", "session", True, "", 5.0)


def at(boot: float) -> Moment:
    return Moment(boot, 1e9 + boot)


class Inner:
    """A sensor that does as it is told, in each of its lives."""

    name = "inner"

    def __init__(self, behave: Callable[[], Reading]) -> None:
        self._behave = behave
        self.closed = False

    def read(self, now: Moment) -> Reading:
        return self._behave()

    def close(self) -> None:
        self.closed = True


class Lives:
    """Makes inner sensors, and counts them."""

    def __init__(self) -> None:
        self.made: list[Inner] = []
        self.behave: Callable[[], Reading] = lambda: FINE

    def make(self) -> Inner:
        self.made.append(Inner(lambda: self.behave()))
        return self.made[-1]


@pytest.fixture
def lives() -> Lives:
    return Lives()


@pytest.fixture
def guarded(lives: Lives) -> Iterator[Guarded]:
    guarded = Guarded("inner", "session", lives.make, patience=5.0)
    yield guarded
    guarded.close()


def fail() -> Reading:
    raise ValueError("torn cable")


def test_one_that_works_is_made_once(lives: Lives, guarded: Guarded) -> None:
    assert [guarded.read(at(n)) for n in range(3)] == [FINE] * 3
    assert len(lives.made) == 1
    guarded.close()
    assert lives.made[0].closed


def test_one_that_fails_is_made_anew_ever_more_seldom(lives: Lives, guarded: Guarded) -> None:
    guarded.read(at(0))
    lives.behave = fail
    tries: list[float] = []
    for tenth in range(1000):
        before = len(lives.made)
        reading = guarded.read(at(1 + tenth / 10))
        assert not reading.healthy
        assert reading.why == "it failed: torn cable"
        assert reading.last_activity == 5.0
        if len(lives.made) > before:
            tries.append(1 + tenth / 10)
    assert tries == pytest.approx([2, 4, 8, 16, 32, 64], abs=0.15)
    assert all(each.closed for each in lives.made)
    lives.behave = lambda: FINE
    assert guarded.read(at(124.1)) == FINE


def test_one_that_cannot_be_made(guarded: Guarded) -> None:
    def make() -> Inner:
        raise OSError("no such thing")

    broken = Guarded("inner", "session", make, patience=5.0)
    assert broken.read(at(0)).why == "it failed: no such thing"
    assert broken.read(at(1)).why == "it failed: no such thing"
    broken.close()


def test_one_that_hangs_is_waited_for_once_and_given_up(lives: Lives) -> None:
    free = threading.Event()
    guarded = Guarded("inner", "session", lives.make, patience=0.05)

    def hang() -> Reading:
        free.wait()
        return FINE

    lives.behave = hang
    assert guarded.read(at(0)).why == "it has not answered for 0 s"
    assert guarded.read(at(10)).why == "it has not answered for 10 s"
    assert not guarded.read(at(GIVEN_UP_AFTER + 1)).healthy
    lives.behave = lambda: FINE
    after = GIVEN_UP_AFTER + 3
    wait_until(lambda: guarded.read(at(after)) == FINE, 5, "a new one")
    assert len(lives.made) == 2
    free.set()
    guarded.close()


def test_one_that_is_only_slow_comes_back_by_itself(lives: Lives) -> None:
    free = threading.Event()
    guarded = Guarded("inner", "session", lives.make, patience=0.05)

    def hang() -> Reading:
        free.wait()
        return FINE

    lives.behave = hang
    assert not guarded.read(at(0)).healthy
    free.set()
    wait_until(lambda: guarded.read(at(1)) == FINE, 5, "its answer")
    assert len(lives.made) == 1
    guarded.close()


def test_the_question_is_put_again_only_after_its_answer() -> None:
    free = threading.Event()
    asked: list[float] = []

    def question(now: Moment) -> float:
        asked.append(now.boot)
        free.wait()
        return now.boot

    aside = Aside("test", question)
    for n in (1.0, 2.0, 3.0):
        with pytest.raises(TimeoutError):
            aside.ask(at(n), 0.01)
    assert aside.waiting_for(at(3.0)) == 2.0
    free.set()

    def answer() -> float | None:
        try:
            return aside.ask(at(4.0), 5.0)
        except TimeoutError:
            return None

    assert wait_until(answer, 5, "the answer") == 1.0
    assert aside.waiting_for(at(4.0)) == 0.0
    assert aside.ask(at(5.0), 5.0) == 5.0
    assert asked == [1.0, 5.0]
    aside.end()
