"""The Wayland sensor: against a stand-in that speaks the wire format, and against a real KWin."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from desktop.virtual_desktop import VirtualDesktop
from desktop.wayland_server import NOTIFIER, SEAT, UNKNOWN, WaylandServer
from fallow.shared.clock import SystemClock
from fallow.tray.coverage import Cover
from fallow.tray.presence import Reading
from fallow.tray.sensors.idle_notify import QUIET, IdleNotify
from waiting import wait_until

CLOCK = SystemClock()
USUAL = [(UNKNOWN, 4), (SEAT, 8), (NOTIFIER, 1)]


class Eye:
    """The sensor of the compositor at `folder`/wayland-test."""

    def __init__(self, folder: Path, probe_every: float = 10.0) -> None:
        self.wakes: list[float] = []
        self.sensor = IdleNotify(
            lambda: self.wakes.append(CLOCK.now().boot),
            CLOCK,
            Cover(uid=1000),
            {"WAYLAND_DISPLAY": "wayland-test", "XDG_RUNTIME_DIR": str(folder)},
            first_wait=0.05,
            probe_every=probe_every,
        )

    def read(self) -> Reading:
        return self.sensor.read(CLOCK.now())

    def wait_healthy(self, healthy: bool = True) -> Reading:
        wait_until(lambda: self.read().healthy is healthy, 20, f"healthy to be {healthy}")
        return self.read()


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="fallow-wayland-") as folder:
        yield Path(folder)


@pytest.fixture
def compositor(folder: Path) -> Iterator[Callable[..., WaylandServer]]:
    """Starts the stand-in, with what it offers."""
    servers: list[WaylandServer] = []

    def start(offers: list[tuple[str, int]] = USUAL, silent: bool = False) -> WaylandServer:
        servers.append(WaylandServer(folder / "wayland-test", list(offers), silent))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
        assert server.faults == []


@pytest.fixture
def eye(folder: Path) -> Iterator[Eye]:
    eye = Eye(folder)
    yield eye
    eye.sensor.close()


Start = Callable[..., WaylandServer]


def test_somebody_comes_and_goes(compositor: Start, eye: Eye) -> None:
    server = compositor()
    reading = eye.wait_healthy()
    assert reading == Reading("idle_notify", "input", True, covers=Cover(uid=1000))
    wait_until(lambda: len(server.notifications) == 1, 5, "the notification")
    ((opcode, timeout, _),) = server.notifications.values()
    assert (opcode, timeout) == (1, 1000)
    server.idled()
    before = CLOCK.now().boot
    server.resumed()
    wait_until(lambda: eye.wakes, 5, "the wake")
    assert (eye.read().last_activity or 0) >= before
    # It goes on, and so the last activity is now; then it ends, which is told a second late.
    wait_until(lambda: CLOCK.now().boot > before + QUIET + 1, 5, "some typing")
    assert CLOCK.now().boot - (eye.read().last_activity or 0) < 0.5
    ended = CLOCK.now().boot
    server.idled()
    wait_until(
        lambda: CLOCK.now().boot - (eye.read().last_activity or 0) > QUIET + 0.2, 5, "the end"
    )
    assert (eye.read().last_activity or 0) == pytest.approx(ended, abs=QUIET + 0.5)


def test_the_silence_after_the_start_tells_nothing(compositor: Start, eye: Eye) -> None:
    server = compositor()
    eye.wait_healthy()
    began = CLOCK.now().boot
    server.idled()
    wait_until(lambda: CLOCK.now().boot > began + QUIET + 1, 5, "a while")
    assert eye.read().last_activity is None


def test_who_types_from_the_start_is_seen(compositor: Start, eye: Eye) -> None:
    compositor()
    eye.wait_healthy()
    # No compositor that works leaves this out unless there is input.
    wait_until(lambda: eye.read().last_activity is not None, 10, "somebody")


def test_any_seat_counts_and_later_ones_too(compositor: Start, eye: Eye) -> None:
    server = compositor([(SEAT, 8), (NOTIFIER, 1), (SEAT, 8)])
    eye.wait_healthy()
    wait_until(lambda: len(server.notifications) == 2, 5, "both seats")
    server.add(SEAT, 9)
    wait_until(lambda: len(server.notifications) == 3, 5, "the third seat")
    for number in range(3):
        server.idled(number)
    server.resumed(2)
    wait_until(lambda: eye.wakes, 5, "the wake")


def test_input_alone_where_the_compositor_can(compositor: Start, eye: Eye) -> None:
    server = compositor([(NOTIFIER, 3), (SEAT, 8)])
    eye.wait_healthy()
    wait_until(lambda: server.notifications, 5, "the notification")
    assert [opcode for opcode, _, _ in server.notifications.values()] == [2]


@pytest.mark.parametrize(
    ("offers", "why"),
    [
        (
            [(SEAT, 8)],
            "this compositor does not tell when nobody is there (ext-idle-notify-v1)",
        ),
        ([(NOTIFIER, 1)], "this compositor has no seat"),
    ],
)
def test_one_that_cannot_tell(
    compositor: Start, eye: Eye, offers: list[tuple[str, int]], why: str
) -> None:
    compositor(offers)
    wait_until(lambda: eye.read().why == why, 10, why)
    assert not eye.read().healthy


def test_no_compositor_and_no_wayland(eye: Eye) -> None:
    wait_until(lambda: "No such file" in eye.read().why, 10, "the reason")
    nowhere = IdleNotify(lambda: None, CLOCK, environment={}, first_wait=0.05)
    wait_until(lambda: "WAYLAND_DISPLAY" in nowhere.read(CLOCK.now()).why, 10, "the reason")
    nowhere.close()


def test_one_that_ends_and_comes_back(compositor: Start, eye: Eye, folder: Path) -> None:
    server = compositor()
    assert eye.wait_healthy().last_activity is None
    before = CLOCK.now().boot
    server.drop()
    wait_until(lambda: eye.read().last_activity is not None, 10, "a new connection")
    # Nobody knows who typed meanwhile.
    assert (eye.read().last_activity or 0) >= before
    eye.wait_healthy()


@pytest.mark.parametrize("fault", [WaylandServer.complain, WaylandServer.babble])
def test_one_that_talks_nonsense(
    compositor: Start, eye: Eye, fault: Callable[[WaylandServer], None]
) -> None:
    server = compositor()
    eye.wait_healthy()
    server.offers.clear()
    fault(server)
    eye.wait_healthy(False)


def test_one_that_hangs(compositor: Start, folder: Path) -> None:
    server = compositor()
    eye = Eye(folder, probe_every=0.1)
    eye.wait_healthy()
    wait_until(lambda: server.syncs > 20, 20, "signs of life")
    assert server.highest < 12, "numbers are used again"
    server.silent = True
    eye.wait_healthy(False)
    assert eye.read().why == "the compositor does not answer"
    eye.sensor.close()


def test_a_real_kwin(bare_screen: VirtualDesktop, folder: Path) -> None:
    """KWin in a window of the virtual screen, whose keys and motions are then Wayland's."""
    env = {
        **os.environ,
        **bare_screen.env,
        "XDG_RUNTIME_DIR": str(folder),
        "HOME": str(folder),
        "KWIN_COMPOSE": "Q",
    }
    env.pop("WAYLAND_DISPLAY", None)
    installed = shutil.which("kwin_wayland")
    assert installed is not None, "the Debian package kwin-wayland is missing"
    # A copy has not the file's right to real-time priority, which a container may not give.
    program = shutil.copy(installed, folder)
    kwin = subprocess.Popen(
        [
            *("dbus-run-session", "--", program, "--no-lockscreen"),
            *("--x11-display", bare_screen.display, "--socket", "wayland-test"),
        ],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    eye = Eye(folder)
    try:
        wait_until(lambda: eye.read().healthy or kwin.poll() is not None, 60, "KWin")
        assert kwin.poll() is None
        began = CLOCK.now().boot
        wait_until(lambda: CLOCK.now().boot > began + 3, 10, "silence")
        assert eye.read().last_activity is None
        bare_screen.move(300, 300)
        before = CLOCK.now().boot
        bare_screen.move(310, 320)
        wait_until(lambda: eye.wakes, 5, "the motion to wake")
        assert (eye.read().last_activity or 0) > before - 0.5
        moved = CLOCK.now().boot
        wait_until(lambda: CLOCK.now().boot > moved + 3, 10, "silence")
        assert (eye.read().last_activity or 0) < moved + 2
        known, before = len(eye.wakes), CLOCK.now().boot
        bare_screen.key("a")
        wait_until(lambda: len(eye.wakes) > known, 5, "the key to wake")
        os.killpg(kwin.pid, 9)
        eye.wait_healthy(False)
    finally:
        eye.sensor.close()
        if kwin.poll() is None:
            os.killpg(kwin.pid, 9)
        kwin.wait()
