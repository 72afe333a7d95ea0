"""A desktop that nobody looks at: X server, message bus, window manager and tray.

It is not a test and knows nothing of Fallow: the demo uses it, and `VirtualDesktop` in
`tests/desktop/` adds what only tests need. Every child is started here and ended by its own pid.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import screen_windows
from screen_windows import Area

__all__ = ["Area", "ScreenError", "VirtualScreen"]

PROGRAMS = {
    "Xvfb": "xvfb",
    "dbus-daemon": "dbus",
    "openbox": "openbox",
    "trayer": "trayer",
    "xdotool": "xdotool",
    "import": "imagemagick",
}
# What a real desktop around us would leak into the programs on this screen.
FOREIGN = {
    *("DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "SESSION_MANAGER"),
    *("DESKTOP_SESSION", "XDG_CURRENT_DESKTOP", "XDG_SESSION_ID", "XDG_SESSION_TYPE", "XDG_SEAT"),
    *("QT_QPA_PLATFORM", "QT_QPA_PLATFORMTHEME", "QT_SCALE_FACTOR", "GDK_BACKEND"),
}
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


class ScreenError(RuntimeError):
    """The virtual screen cannot start, or lost a part; the message says which."""


class VirtualScreen:
    """Xvfb with a private message bus, openbox and a tray: `trayer` or `none`.

    The display is the first free one. A screen whose server is to come back after `kill_server`
    needs a `number` far from those, or another screen may take its display meanwhile.
    """

    trays: tuple[str, ...] = ("trayer", "none")

    def __init__(
        self,
        tray: str = "trayer",
        *,
        window_manager: bool = True,
        bus: bool = True,
        size: tuple[int, int] = (1024, 768),
        background: int = 0x44546A,
        number: int | None = None,
    ) -> None:
        if tray not in self.trays:
            raise ValueError(f"tray is one of {', '.join(self.trays)}, not {tray!r}")
        self.tray = tray
        self.window_manager = window_manager
        self.bus = bus
        self.size = size
        self.background = background
        self.number = number
        self.display = ""
        self.folder = Path()
        self.env: dict[str, str] = {}
        self._children: list[subprocess.Popen[bytes]] = []
        self._server: subprocess.Popen[bytes] | None = None
        self._tray: subprocess.Popen[bytes] | None = None

    # -- life

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts every part and waits until each answers; ScreenError says what is missing."""
        self._check_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="fallow-screen-"))
        self.env = self._environment()
        self._start_server(self.number)
        if self.bus:
            self._start_bus()
        if self.window_manager:
            manager = self._serve("openbox", "--sm-disable")
            managed = partial(screen_windows.is_managed, self.display)
            self._wait_for(managed, manager, "openbox")
        self.start_tray(self.tray)

    def stop(self) -> None:
        """Ends all children, the newest first, and removes their folder."""
        for child in reversed(self._children):
            self.end(child)
        self._children.clear()
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _check_programs(self) -> None:
        needed = {"Xvfb", "xdotool", "import"}
        needed |= {"dbus-daemon"} if self.bus else set()
        needed |= {"openbox"} if self.window_manager else set()
        needed |= {"trayer"} if self.tray == "trayer" else set()
        missing = sorted(name for name in needed if shutil.which(name) is None)
        if missing:
            packages = " ".join(PROGRAMS[name] for name in missing)
            raise ScreenError(
                f"The virtual screen needs {', '.join(missing)}, which this computer has not. "
                f"On Debian: apt-get install {packages}"
            )

    def _environment(self) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if key not in FOREIGN}
        places = {
            "HOME": "home",
            "XDG_CONFIG_HOME": "home/.config",
            "XDG_DATA_HOME": "home/.local/share",
            "XDG_STATE_HOME": "home/.local/state",
            "XDG_CACHE_HOME": "home/.cache",
            "XDG_RUNTIME_DIR": "run",
        }
        for key, place in places.items():
            (self.folder / place).mkdir(parents=True, exist_ok=True, mode=0o700)
            env[key] = str(self.folder / place)
        env["LC_ALL"] = "C.UTF-8"
        env["NO_AT_BRIDGE"] = "1"
        env["QT_ACCESSIBILITY"] = "0"
        env["QT_XCB_GL_INTEGRATION"] = "none"
        # Without a bus of its own a program would look for the user's, or start one.
        env["DBUS_SESSION_BUS_ADDRESS"] = "disabled:"
        return env

    # -- the parts

    def _start_server(self, number: int | None) -> None:
        """Starts Xvfb on `number`, or on any free one: Xvfb writes it to a pipe once it answers."""
        read, write = os.pipe()
        try:
            wanted = [f":{number}"] if number is not None else []
            # -noreset: without it the server forgets everything when its last client leaves.
            self._server = self._serve(
                *("Xvfb", *wanted, "-displayfd", str(write)),
                *("-screen", "0", "{}x{}x24".format(*self.size)),
                *("-nolisten", "tcp", "-noreset"),
                pass_fds=(write,),
            )
            os.close(write)
            write = -1
            said = b""
            # To the newline: Xvfb ends itself when the pipe closes before it has written all.
            while not said.endswith(b"\n"):
                ready, _, _ = select.select([read], [], [], 20)
                piece = os.read(read, 32) if ready else b""
                if not piece:
                    raise ScreenError(f"Xvfb did not start: {self.log('Xvfb') or 'no answer'}")
                said += piece
        finally:
            os.close(read)
            if write >= 0:
                os.close(write)
        self.display = f":{said.decode().strip()}"
        self.env["DISPLAY"] = self.display
        screen_windows.paint(self.display, self.background)

    def _start_bus(self) -> None:
        socket = self.folder / "bus"
        config = self.folder / "bus.conf"
        config.write_text(BUS_CONFIG.format(socket=socket))
        bus = self._serve("dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile")
        self._wait_for(socket.exists, bus, "dbus-daemon")
        self.env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={socket}"

    def start_tray(self, tray: str) -> None:
        """Starts a tray host, also later than the programs that want an icon in it."""
        self.tray = tray
        if tray == "trayer":
            self._tray = self._serve(
                *("trayer", "--edge", "bottom", "--align", "right", "--widthtype", "request"),
                *("--height", "32", "--SetDockType", "true", "--transparent", "false"),
            )
            has_tray = partial(screen_windows.has_tray, self.display)
            self._wait_for(has_tray, self._tray, "trayer")

    def stop_tray(self) -> None:
        """Ends the tray host, as when a panel crashes."""
        if self._tray is not None:
            self.end(self._tray)
            self._tray = None

    def kill_server(self) -> None:
        """Ends the X server at once, as in a crash; its clients see their connection close."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    @contextlib.contextmanager
    def frozen_server(self) -> Iterator[None]:
        """Stops the X server for a while: it keeps its connections and answers nobody."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._server.send_signal(signal.SIGCONT)

    def restart_server(self) -> None:
        """Brings a killed X server back on the same display, without window manager and tray."""
        self._start_server(int(self.display.removeprefix(":")))

    # -- processes

    def spawn(
        self,
        *argv: str,
        name: str | None = None,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        stdout: int | IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts a program that ends with this screen; its output is in `log(name)`."""
        return self._start(argv, name, self.env | (env or {}), cwd, stdout, ())

    def _serve(self, *argv: str, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        """Starts one of the screen's own parts, which also ends when this process is killed."""
        guard = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
        name = Path(argv[0]).name
        return self._start((*guard, *argv), name, self.env, None, None, pass_fds)

    def _start(
        self,
        argv: tuple[str, ...],
        name: str | None,
        env: dict[str, str],
        cwd: Path | None,
        stdout: int | IO[bytes] | None,
        pass_fds: tuple[int, ...],
    ) -> subprocess.Popen[bytes]:
        with open(self._log_path(name or Path(argv[0]).name), "ab") as log:
            child = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd or self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        self._children.append(child)
        return child

    def end(self, child: subprocess.Popen[bytes], patience: float = 5.0) -> None:
        """Asks one child to end, and kills it after `patience` seconds."""
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(patience)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if child.stdout is not None:
            child.stdout.close()

    def run(self, *argv: str) -> str:
        """Runs a short program here and returns what it printed; ScreenError if it fails."""
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise ScreenError(f"{' '.join(argv)} failed: {done.stderr.strip()}")
        return done.stdout.strip()

    def log(self, name: str) -> str:
        """What the child called `name` has printed so far."""
        path = self._log_path(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def _log_path(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _wait_for(
        self, ready: Callable[[], bool], child: subprocess.Popen[bytes], name: str
    ) -> None:
        end = time.monotonic() + 20
        while not ready():
            if child.poll() is not None:
                raise ScreenError(f"{name} ended at its start: {self.log(name).strip()}")
            if time.monotonic() > end:
                raise ScreenError(f"{name} does not answer: {self.log(name).strip()}")
            time.sleep(0.01)

    # -- the person at the desk

    def xdo(self, *words: str | int) -> str:
        """Runs xdotool with these words."""
        return self.run("xdotool", *map(str, words))

    def key(self, *names: str) -> None:
        """Presses and releases keys, by X names such as `a`, `Return`, `ctrl+c`."""
        self.xdo("key", *names)

    def type_text(self, text: str, pause_ms: int = 12) -> None:
        """Types text, with a pause in milliseconds between keys."""
        self.xdo("type", "--delay", pause_ms, text)

    def move(self, x: int, y: int) -> None:
        """Moves the pointer to a place in pixels."""
        self.xdo("mousemove", x, y)

    def click(self, button: int = 1, at: tuple[int, int] | None = None) -> None:
        """Clicks (1 left, 2 middle, 3 right, 4 and 5 the wheel), after moving where `at` says."""
        if at is not None:
            self.move(*at)
        self.xdo("click", button)

    def screenshot(self, path: Path | str, area: Area | None = None) -> Path:
        """Writes a picture (PNG by the path's ending) of the screen, or of one area of it."""
        cut: tuple[str, ...] = ()
        if area is not None:
            place = f"{area.width}x{area.height}+{area.x}+{area.y}"
            cut = ("-crop", place, "+repage")
        self.run("import", "-silent", "-window", "root", *cut, str(path))
        return Path(path)

    # -- what is on the screen

    def icon_window(self, program: str = "") -> Area | None:
        """The icon (of `program`, where there are several) in the XEmbed tray; None: no icon."""
        return screen_windows.icon(self.display, program)

    def popups(self) -> list[Area]:
        """Menus and tooltips on the screen: visible windows that no window manager frames."""
        return screen_windows.popups(self.display)

    def windows(self) -> list[Area]:
        """Visible windows that the window manager frames."""
        return screen_windows.framed(self.display)
