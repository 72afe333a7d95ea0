"""Several sensors as one: faults, sleep, and what the presence rule makes of it."""

from fallow.shared.moments import Moment
from fallow.tray.presence import Pause, Policy, Reading, judge
from fallow.tray.sensors.around import Surroundings
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


def film(why: str, healthy: bool = True) -> Reading:
    return Reading("inhibitors", "inhibitor", healthy, why, 900.0)


def test_facts_of_what_goes_on_around() -> None:
    seen = Surroundings(foreign_cpu=0.7, exclusive=("matlab",))
    watch = Watch(
        [Scripted(film("mpv (a film)")), Scripted(film(""))],
        started=0,
        battery=lambda: False,
        asleep=lambda: 0.0,
        around=lambda _: seen,
    )
    facts = watch.facts(at(1000), others=[film("zoom"), film("no bus", healthy=False)])
    assert facts.foreign_cpu == 0.7
    assert facts.exclusive == ("matlab",)
    assert facts.inhibitors == ("mpv (a film)", "zoom")


def test_what_cannot_be_asked_now_is_as_it_was() -> None:
    broken: list[bool] = []

    def around(_: Moment) -> Surroundings:
        if broken:
            raise OSError("no list of processes")
        return Surroundings(0.5)

    def battery() -> bool:
        if broken:
            raise OSError("no battery")
        return True

    watch = Watch([], started=0, battery=battery, asleep=lambda: 0.0, around=around)
    watch.facts(at(10))
    broken.append(True)
    facts = watch.facts(at(20))
    assert facts.on_battery
    assert facts.foreign_cpu == 0.5
    watch.close()


def test_who_is_told_of_a_wake_need_not_have_noticed_it() -> None:
    told: list[float | None] = [None, 50.0, 50.0, 90.0]
    watch = Watch(
        *([], 0),
        battery=lambda: False,
        asleep=lambda: 0.0,
        told_woke=lambda: told.pop(0),
    )
    assert [watch.facts(at(n)).woke for n in (40, 51, 60, 91)] == [None, 50.0, 50.0, 90.0]


class Eye(Scripted):
    """A scripted sensor of its own name."""

    def __init__(self, name: str, last: float | None) -> None:
        self.name = name
        self.tell(last)

    def tell(self, last: float | None, healthy: bool = True) -> None:
        super().__init__(Reading(self.name, "input", healthy, "", last))


def test_a_sensor_that_misses_what_another_sees_says_so_and_goes_on() -> None:
    deaf, fine = Eye("pynput", None), Eye("xscreensaver", 5.0)
    watch = Watch([deaf, fine], started=0, battery=lambda: False, asleep=lambda: 0.0)
    for boot in (10.0, 200.0, 310.0):
        fine.tell(boot - 5)
        assert [each.why for each in watch.readings(at(boot))] == ["", ""], boot
    fine.tell(310.0)
    first, second = watch.readings(at(320.0))
    assert first.healthy
    assert first.why == "xscreensaver saw input 10 s ago, this one none for 5 minutes"
    assert second.why == ""
    deaf.tell(319.0)
    assert [each.why for each in watch.readings(at(320.0))] == ["", ""]


def test_a_sensor_that_was_blind_has_not_looked_meanwhile() -> None:
    blind, fine = Eye("pynput", None), Eye("xscreensaver", 5.0)
    watch = Watch([blind, fine], started=0, battery=lambda: False, asleep=lambda: 0.0)
    watch.readings(at(10.0))
    blind.tell(None, healthy=False)
    watch.readings(at(200.0))
    blind.tell(None)
    watch.readings(at(300.0))
    fine.tell(590.0)
    assert watch.readings(at(599.0))[0].why == ""
    assert watch.readings(at(601.0))[0].why != ""


def test_close_closes_every_sensor() -> None:
    sensors = [Scripted(TYPED), Scripted(TYPED)]
    Watch(sensors, started=0, battery=lambda: False).close()
    assert all(sensor.closed for sensor in sensors)
