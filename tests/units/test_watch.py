"""Several sensors as one: faults, sleep, and what the presence rule makes of it."""

from fallow.shared.moments import Moment
from fallow.tray.presence import Pause, Policy, Reading, judge
from fallow.tray.sensors.watch import Watch

POLICY = Policy(idle_after=600, settle=30)


def at(boot: float) -> Moment:
    return Moment(boot, 1e9 + boot)


class Scripted:
    """A sensor that says what it is told, or raises it."""

    name = "scripted"

    def __init__(self, answer: Reading | Exception) -> None:
        self.answer = answer
        self.closed = False

    def read(self, now: Moment) -> Reading:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self) -> None:
        self.closed = True


TYPED = Reading("scripted", "input", True, "", 1000.0)
VACANT = Reading("logind", "session", True, "", None, vacant=True)


def test_facts_hold_all_that_was_seen() -> None:
    watch = Watch([Scripted(TYPED)], started=900, battery=lambda: True, asleep=lambda: 0.0)
    facts = watch.facts(at(1001), Pause(2000), others=[VACANT])
    assert facts.started == 900
    assert facts.readings == (TYPED, VACANT)
    assert facts.pause == Pause(2000)
    assert facts.on_battery
    assert facts.woke is None


def test_a_sensor_that_raises_is_blind_and_harms_no_other() -> None:
    watch = Watch(
        [Scripted(ValueError("torn cable")), Scripted(TYPED)],
        started=900,
        battery=lambda: False,
        asleep=lambda: 0.0,
    )
    broken, fine = watch.readings(at(1001))
    assert not broken.healthy
    assert broken.why == "it failed: torn cable"
    assert fine == TYPED


def test_a_sleep_is_noticed_once() -> None:
    asleep = [5.0, 5.0001, 3605.0, 3605.0002]
    watch = Watch([], started=0, battery=lambda: False, asleep=lambda: asleep.pop(0))
    assert watch.facts(at(10)).woke is None
    assert watch.facts(at(4000)).woke == 4000
    assert watch.facts(at(4010)).woke == 4000


def test_nothing_seen_is_never_a_free_desk() -> None:
    blind = Reading("pynput", "input", False, "no X server")
    quiet = Reading("terminals", "terminal", True, "", 10.0)
    taken = Reading("logind", "session", True, "ana is logged in at seat0")
    for readings in ([], [blind], [quiet], [blind, quiet], [taken, quiet]):
        sensors = [Scripted(reading) for reading in readings]
        watch = Watch(sensors, started=0, battery=lambda: False, asleep=lambda: 0.0)
        verdict = judge(watch.facts(at(1e6)), POLICY, at(1e6)).verdict
        assert verdict.kind == "barred", readings


def test_an_empty_login_screen_with_quiet_terminals_is_free() -> None:
    quiet = Reading("terminals", "terminal", True, "", 10.0)
    watch = Watch(
        [Scripted(VACANT), Scripted(quiet)], started=0, battery=lambda: False, asleep=lambda: 0.0
    )
    assert judge(watch.facts(at(1e6)), POLICY, at(1e6)).verdict.kind == "away"


def test_close_closes_every_sensor() -> None:
    sensors = [Scripted(TYPED), Scripted(TYPED)]
    Watch(sensors, started=0, battery=lambda: False).close()
    assert all(sensor.closed for sensor in sensors)
