"""logind, Mutter and who keeps the desktop awake, as python-dbusmock plays them on a real bus."""

from collections.abc import Callable, Iterator

import pytest

from desktop.mocked_bus import MockedBus, available
from fallow.shared.clock import SystemClock
from fallow.shared.moments import Moment
from fallow.tray.coverage import Cover, Desk
from fallow.tray.presence import Reading
from fallow.tray.sensors.choice import told_woke
from fallow.tray.sensors.inhibitors import ASK_EVERY, Inhibitors
from fallow.tray.sensors.logind import Logind
from fallow.tray.sensors.mutter import Mutter
from waiting import wait_until

pytestmark = [
    pytest.mark.may_skip("python-dbusmock is a package of the system: Debian's python3-dbusmock"),
    pytest.mark.skipif(not available(), reason="python-dbusmock is not installed"),
]

LOGIN1, ROOT = "org.freedesktop.login1", "/org/freedesktop/login1"
MUTTER = "org.gnome.Mutter.IdleMonitor"
CORE = "/org/gnome/Mutter/IdleMonitor/Core"
GNOME, SESSIONS = "org.gnome.SessionManager", "/org/gnome/SessionManager"
CLOCK = SystemClock()
PATIENCE = 10.0  # Other tests run beside this one.


def at(boot: float) -> Moment:
    return Moment(boot, 1e9 + boot)


@pytest.fixture
def bus() -> Iterator[MockedBus]:
    with MockedBus() as bus:
        yield bus


# --- logind ---


@pytest.fixture
def logind(bus: MockedBus) -> Iterator[Logind]:
    bus.mock(LOGIN1, "--template", "logind")
    logind = Logind(bus.address, PATIENCE)
    yield logind
    logind.close()


def log_in(bus: MockedBus, number: str, seat: str, uid: int, user: str, screen: str) -> None:
    words = (number, seat, uid, user, True)
    bus.call(LOGIN1, ROOT, "org.freedesktop.DBus.Mock.AddSession", "ssusb", *words)
    path = f"{ROOT}/session/{number}"
    change = 'self.UpdateProperties("org.freedesktop.login1.Session", {args[0]: %s})'
    bus.teach(LOGIN1, path, "test.Tell.Word", "ss", "", change % "args[1]")
    bus.teach(LOGIN1, path, "test.Tell.Truth", "sb", "", change % "args[1]")
    bus.call(LOGIN1, path, "test.Tell.Word", "ss", "Type", screen)


def tell(bus: MockedBus, number: str, hint: str, value: bool) -> None:
    bus.call(LOGIN1, f"{ROOT}/session/{number}", "test.Tell.Truth", "sb", hint, value)


def test_people_on_several_seats(bus: MockedBus, logind: Logind) -> None:
    assert logind.read(at(100)).vacant
    log_in(bus, "c1", "seat0", 1000, "ana", "x11")
    log_in(bus, "c2", "seat1", 1001, "ben", "wayland")
    log_in(bus, "c3", "seat0", 1002, "eva", "tty")
    reading = logind.read(at(102))
    assert not reading.vacant
    assert reading.why == (
        "ana is logged in at seat0 and ben is logged in at seat1 and eva is logged in at seat0"
    )
    assert reading.desks == (
        Desk("c1", "ana", 1000, "seat0", ":7"),
        Desk("c2", "ben", 1001, "seat1", ":7"),
    )


def test_a_screen_that_is_unlocked_is_activity(bus: MockedBus, logind: Logind) -> None:
    log_in(bus, "c1", "seat0", 1000, "ana", "x11")
    assert logind.read(at(100)).last_activity is None
    tell(bus, "c1", "LockedHint", True)
    reading = logind.read(at(102))
    assert reading.why == "ana is logged in at seat0 (locked)"
    assert reading.last_activity is None, "a screen locks itself"
    tell(bus, "c1", "LockedHint", False)
    assert logind.read(at(104)).last_activity == 104


def test_a_desktop_that_is_no_longer_idle_is_activity(bus: MockedBus, logind: Logind) -> None:
    log_in(bus, "c1", "seat0", 1000, "ana", "wayland")
    logind.read(at(100))
    tell(bus, "c1", "IdleHint", True)
    reading = logind.read(at(102))
    assert reading.why == "ana is logged in at seat0 (idle)"
    assert reading.last_activity is None
    tell(bus, "c1", "IdleHint", False)
    assert logind.read(at(104)).last_activity == 104
    assert logind.read(at(106)).last_activity == 104


def test_sleep_and_wake(bus: MockedBus, logind: Logind) -> None:
    logind.read(at(100))
    code = 'self.EmitSignal("org.freedesktop.login1.Manager", "PrepareForSleep", "b", [args[0]])'
    bus.teach(LOGIN1, ROOT, "test.Tell.Sleep", "b", "", code)
    bus.call(LOGIN1, ROOT, "test.Tell.Sleep", "b", True)
    wakes = [woke_by(logind, 102)]
    bus.call(LOGIN1, ROOT, "test.Tell.Sleep", "b", False)
    wakes += [woke_by(logind, 7300), woke_by(logind, 7400)]
    assert wakes == [None, 7300, 7300]
    assert told_woke([logind]) == 7300


def woke_by(logind: Logind, boot: float) -> float | None:
    logind.read(at(boot))
    return logind.woke


# --- Mutter ---


class Gnome:
    """A GNOME session's idle monitor, and the sensor that asks it."""

    def __init__(self, bus: MockedBus, doubts: Callable[[float], bool] | None) -> None:
        self.bus = bus
        self.wakes: list[float] = []
        self.start()
        self.sensor = Mutter(
            lambda: self.wakes.append(CLOCK.now().boot),
            CLOCK,
            Cover(uid=1000),
            doubts,
            bus.address,
            first_wait=0.05,
            patience=PATIENCE,
        )

    def start(self) -> None:
        self.service = self.bus.mock(MUTTER, MUTTER, CORE, MUTTER)
        self.idle(600_000)
        self.teach("AddUserActiveWatch", "", "u", "self.armed = True; ret = 7")
        self.teach("IsArmed", "", "b", "ret = getattr(self, 'armed', False)")
        fire = 'self.armed = False; self.EmitSignal("", "WatchFired", "u", [7])'
        self.teach("Fire", "", "", fire)

    def teach(self, member: str, takes: str, gives: str, code: str) -> None:
        self.bus.teach(MUTTER, CORE, f"{MUTTER}.{member}", takes, gives, code)

    def idle(self, milliseconds: int) -> None:
        self.teach("GetIdletime", "", "t", f"ret = {milliseconds}")

    def armed(self) -> bool:
        return bool(self.bus.call(MUTTER, CORE, f"{MUTTER}.IsArmed")[0])

    def come_back(self) -> float:
        """Somebody comes back, when the sensor waits for it."""
        wait_until(self.armed, 10, "a watch")
        before = CLOCK.now().boot
        self.idle(0)
        self.bus.call(MUTTER, CORE, f"{MUTTER}.Fire")
        return before

    def read(self) -> Reading:
        return self.sensor.read(CLOCK.now())

    def wait_healthy(self, healthy: bool = True) -> Reading:
        wait_until(lambda: self.read().healthy is healthy, 15, f"healthy to be {healthy}")
        return self.read()


@pytest.fixture
def gnome(bus: MockedBus) -> Iterator[Gnome]:
    gnome = Gnome(bus, None)
    yield gnome
    gnome.sensor.close()


def test_mutter_tells_since_when_nobody_moved(gnome: Gnome) -> None:
    reading = gnome.wait_healthy()
    assert reading.covers == Cover(uid=1000)
    assert (reading.last_activity or 0) == pytest.approx(CLOCK.now().boot - 600, abs=5)


def test_mutter_wakes_at_once(gnome: Gnome) -> None:
    gnome.wait_healthy()
    before = gnome.come_back()
    wait_until(lambda: gnome.wakes, 10, "the wake")
    assert gnome.wakes[0] - before < 2, "asking now and then would take up to ten seconds"
    assert (gnome.read().last_activity or 0) >= before - 0.1
    gnome.idle(5000)
    before = gnome.come_back()
    wait_until(lambda: gnome.wakes[-1] >= before, 10, "the second wake")


def test_a_bump_is_nobody(bus: MockedBus) -> None:
    gnome = Gnome(bus, lambda _: True)
    wait_until(gnome.armed, 20, "a watch")
    gnome.come_back()
    gnome.idle(3000)
    wait_until(gnome.armed, 10, "the next watch")
    assert gnome.wakes == []
    assert gnome.read().last_activity is None
    gnome.sensor.close()


def test_a_mutter_that_ends_and_comes_back(gnome: Gnome) -> None:
    gnome.wait_healthy()
    wait_until(gnome.armed, 10, "a watch")
    gnome.bus.end(gnome.service)
    reading = gnome.wait_healthy(False)
    assert reading.why.startswith("GNOME's idle monitor does not answer: ")
    gnome.start()
    gnome.wait_healthy()
    gnome.come_back()
    wait_until(lambda: gnome.wakes, 10, "the wake")


# --- films, presentations, calls ---


def test_logind_tells_who_keeps_it_awake(bus: MockedBus) -> None:
    bus.mock(LOGIN1, LOGIN1, ROOT, f"{LOGIN1}.Manager")
    listed = f"{LOGIN1}.Manager.ListInhibitors"
    rows = [
        ("sleep", "NetworkManager", "it goes to sleep with the computer", "delay", 0, 1),
        ("shutdown:sleep", "apt", "an update", "block", 0, 2),
        ("idle", "a clock", "it only delays", "delay", 0, 3),
    ]
    bus.teach(LOGIN1, ROOT, listed, "", "a(ssssuu)", f"ret = {rows}")
    sensor = Inhibitors("system", bus.address, PATIENCE)
    assert sensor.read(at(100)) == Reading("logind inhibitors", "inhibitor", True)
    rows.append(("sleep:idle", "mpv", "a film", "block", 1000, 4))
    bus.teach(LOGIN1, ROOT, listed, "", "a(ssssuu)", f"ret = {rows}")
    assert sensor.read(at(101)).why == "", "it asks now and then, not at every read"
    film = Reading("logind inhibitors", "inhibitor", True, "mpv (a film)", 100 + ASK_EVERY)
    assert sensor.read(at(100 + ASK_EVERY)) == film
    bus.teach(LOGIN1, ROOT, listed, "", "a(ssssuu)", "ret = []")
    after = sensor.read(at(200))
    assert (after.why, after.last_activity) == ("", 100 + ASK_EVERY)
    sensor.close()


def test_no_logind_cannot_tell(bus: MockedBus) -> None:
    sensor = Inhibitors("system", bus.address, PATIENCE)
    assert not sensor.read(at(100)).healthy
    sensor.close()


def test_a_session_without_such_services_has_nobody_to_ask(bus: MockedBus) -> None:
    sensor = Inhibitors("session", bus.address, PATIENCE)
    assert sensor.read(at(100)) == Reading("inhibitors", "inhibitor", True)
    sensor.close()


def test_gnome_tells_who_keeps_it_awake(bus: MockedBus) -> None:
    bus.mock(GNOME, GNOME, SESSIONS, GNOME)
    bus.teach(GNOME, SESSIONS, f"{GNOME}.IsInhibited", "u", "b", "ret = args[0] == 8")
    paths = []
    for number, (app, reason, flags) in enumerate(
        [("firefox", "video-playing", 8), ("nautilus", "copying", 1), ("zoom", "", 12)]
    ):
        path = f"{SESSIONS}/Inhibitor{number}"
        paths.append(path)
        add = (
            f'self.AddObject("{path}", "{GNOME}.Inhibitor", {{}}, ['
            f'("GetAppId", "", "s", "ret = \\"{app}\\""), '
            f'("GetReason", "", "s", "ret = \\"{reason}\\""), '
            f'("GetFlags", "", "u", "ret = {flags}")])'
        )
        bus.teach(GNOME, SESSIONS, f"test.Make.Add{number}", "", "", add)
        bus.call(GNOME, SESSIONS, f"test.Make.Add{number}")
    bus.teach(GNOME, SESSIONS, f"{GNOME}.GetInhibitors", "", "ao", f"ret = {paths}")
    sensor = Inhibitors("session", bus.address, PATIENCE)
    assert sensor.read(at(100)).why == "firefox (video-playing) and zoom"
    sensor.close()


KDE = "org.kde.Solid.PowerManagement"
AGENT = "/org/kde/Solid/PowerManagement/PolicyAgent"
POWER = "org.freedesktop.PowerManagement"
INHIBIT = "/org/freedesktop/PowerManagement/Inhibit"


def test_kde_tells_who_keeps_it_awake(bus: MockedBus) -> None:
    bus.mock(KDE, KDE, AGENT, f"{KDE}.PolicyAgent")
    asked = f"{KDE}.PolicyAgent"
    bus.teach(KDE, AGENT, f"{asked}.HasInhibition", "u", "b", "ret = args[0] == 4")
    bus.teach(KDE, AGENT, f"{asked}.ListInhibitions", "", "a(ss)", 'ret = [("vlc", "a film")]')
    sensor = Inhibitors("session", bus.address, PATIENCE)
    assert sensor.read(at(100)).why == "vlc (a film)"
    bus.teach(KDE, AGENT, f"{asked}.HasInhibition", "u", "b", "ret = False")
    assert sensor.read(at(200)).why == ""
    sensor.close()


def test_an_older_desktop_tells_who_keeps_it_awake(bus: MockedBus) -> None:
    bus.mock(POWER, POWER, INHIBIT, f"{POWER}.Inhibit")
    bus.teach(POWER, INHIBIT, f"{POWER}.Inhibit.HasInhibit", "", "b", "ret = True")
    sensor = Inhibitors("session", bus.address, PATIENCE)
    assert sensor.read(at(100)).why == "a program", "it need not say which"
    bus.teach(POWER, INHIBIT, f"{POWER}.Inhibit.GetInhibitors", "", "as", 'ret = ["parole"]')
    assert sensor.read(at(200)).why == "parole"
    sensor.close()
