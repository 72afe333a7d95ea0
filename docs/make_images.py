"""Makes the pictures: the icons of the tray from their SVG, and those in docs/images.

Run it after a change of icon, menu or window, and look at the result: `.venv/bin/python
docs/make_images.py`. The latter show the real tray on a virtual screen; what the agent says there
is made up.
"""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).parents[1]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "examples")]
os.environ["QT_QPA_PLATFORM"] = "offscreen"

from PySide6 import QtCore, QtGui, QtSvg  # noqa: E402

from desktop.agent_end import AgentEnd  # noqa: E402
from desktop.shown_tray import NAMES, settled_icon, show_tray  # noqa: E402
from desktop.virtual_desktop import VirtualDesktop  # noqa: E402
from fallow.shared.runs import Progress, Reason  # noqa: E402
from fallow.tray.status import (  # noqa: E402
    AgentStatus,
    CoordinatorStatus,
    DayState,
    RunStatus,
    SensorStatus,
    Span,
)
from fallow.tray.ui.pictures import SIZES as STRIP  # noqa: E402
from fallow.tray.ui.pictures import drawn  # noqa: E402
from fallow.tray.view import IconName  # noqa: E402
from virtual_screen import Area  # noqa: E402
from waiting import wait_until  # noqa: E402

IMAGES = TOP / "docs" / "images"
ICONS = TOP / "tray" / "fallow" / "tray" / "ui" / "icons"
SIZES = (16, 22, 32, 64)
LIGHT, DARK = "#eff0f1", "#2a2e32"
WORDS = {
    "idle": "waiting for work",
    "running": "running",
    "paused_by_you": "paused by you",
    "paused_for_you": "paused because you are here",
    "offline": "not connected",
    "attention": "needs your attention",
}
# The colours of KDE's own dark scheme.
KDE = {"XDG_CURRENT_DESKTOP": "KDE", "KDE_SESSION_VERSION": "6", "KDE_FULL_SESSION": "true"}
BREEZE_DARK = """[General]
ColorScheme=BreezeDark
[Colors:Window]
BackgroundNormal=42,46,50
ForegroundNormal=252,252,252
[Colors:View]
BackgroundNormal=27,30,32
ForegroundNormal=252,252,252
[Colors:Button]
BackgroundNormal=49,54,59
ForegroundNormal=252,252,252
[Colors:Selection]
BackgroundNormal=61,174,233
ForegroundNormal=252,252,252
[Colors:Tooltip]
BackgroundNormal=49,54,59
ForegroundNormal=252,252,252
"""


def said(*, paused: bool) -> AgentStatus:
    """What the agent says in the pictures."""
    now = time.time()
    runs = tuple(
        RunStatus(
            *("cylinder-sweep", job, "ana", "paused" if paused else "running", f"a/{number}/1"),
            run_seconds=seconds,
            paused_seconds=240.0,
            progress=Progress(share, f"step {int(share * 10000)} of 10000"),
            eta_seconds=left,
            cores=cores,
            memory=memory,
        )
        for number, (job, seconds, share, left, cores, memory) in enumerate(
            (
                ("re_100", 7300.0, 0.43, 9670.0, 1.97, 3 << 29),
                ("re_120", 2110.0, 0.12, 15400.0, 1.99, 3 << 28),
            )
        )
    )
    hours: tuple[tuple[DayState, float], ...] = (
        *(("free", 2.0), ("ran", 5.5), ("paused", 3.0), ("off", 1.0), ("ran", 6.0)),
        *(("paused", 0.5), ("ran", 2.5), ("free", 1.0), ("paused", 1.5), ("ran", 1.0)),
    )
    day, at = [], now - 86400
    for state, length in hours:
        day.append(Span(at, at + length * 3600, state))
        at += length * 3600
    return AgentStatus(
        "paused" if paused else "running",
        "online",
        "present" if paused else "away",
        (Reason("input", "you are here", now + 567),) if paused else (),
        runs,
        (
            SensorStatus("pynput", True, last_activity=now - (33 if paused else 4000)),
            SensorStatus("xscreensaver", True, last_activity=now - (33 if paused else 4000)),
            SensorStatus("logind", True),
            SensorStatus("inhibitors", False, "there is no session bus"),
        ),
        CoordinatorStatus("tcp://lab-server.example.org:8952", "desk1"),
        accepting=not paused,
        day=tuple(day),
    )


@contextlib.contextmanager
def shown_desktop(tray: str, size: tuple[int, int], dark: bool) -> Iterator[VirtualDesktop]:
    """A screen whose desktop has light or dark colours."""
    with VirtualDesktop(tray, size=size) as desktop:
        if dark:
            desktop.env |= KDE
            (Path(desktop.env["XDG_CONFIG_HOME"]) / "kdeglobals").write_text(BREEZE_DARK)
        yield desktop


def named(name: str, dark: bool) -> Path:
    return IMAGES / f"{name}{'-dark' if dark else ''}.png"


def strips() -> None:
    """Each icon in every size, from its SVG, as the tray has it."""
    for name in NAMES:
        drawing(name).save(str(ICONS / f"{name}.png"))


def drawing(name: IconName) -> QtGui.QImage:
    """The strip of one icon."""
    shape = QtGui.QImage.Format.Format_ARGB32_Premultiplied
    renderer = QtSvg.QSvgRenderer(str(ICONS / f"{name}.svg"))
    strip = QtGui.QImage(sum(STRIP), max(STRIP), shape)
    strip.fill(QtCore.Qt.GlobalColor.transparent)
    painter = QtGui.QPainter(strip)
    left = 0
    for size in STRIP:
        # Each by itself: at another place edges would be smoothed in another way.
        image = QtGui.QImage(size, size, shape)
        image.fill(QtCore.Qt.GlobalColor.transparent)
        alone = QtGui.QPainter(image)
        renderer.render(alone)
        alone.end()
        painter.drawImage(left, 0, image)
        left += size
    painter.end()
    return strip


def icons() -> None:
    """Every icon in every size, on a light and on a dark panel."""
    left, row, panel = 230, 84, 220
    image = QtGui.QImage(left + 2 * panel, row * len(NAMES), QtGui.QImage.Format.Format_RGB32)
    image.fill(QtGui.QColor("white"))
    painter = QtGui.QPainter(image)
    painter.setFont(QtGui.QFont("DejaVu Sans", 10))
    for column, ground in enumerate((LIGHT, DARK)):
        x = left + column * panel
        painter.fillRect(x, 0, panel, image.height(), QtGui.QColor(ground))
        for number, name in enumerate(NAMES):
            at = x + 16
            for size in SIZES:
                painter.drawImage(at, number * row + (row - size) // 2, drawn(name, size))
                at += size + 18
    painter.setPen(QtGui.QColor("#222222"))
    for number, name in enumerate(NAMES):
        place = QtCore.QRect(12, number * row, left - 20, row)
        painter.drawText(place, QtCore.Qt.AlignmentFlag.AlignVCenter, WORDS[name])
    painter.end()
    image.save(str(IMAGES / "icons.png"))


def menu(agent: AgentEnd, dark: bool) -> None:
    """The open menu with its submenu, in a real tray."""
    agent.say(said(paused=False))
    with shown_desktop("trayer", (760, 420), dark) as desktop:
        show_tray(desktop, agent.data_dir)
        icon = settled_icon(desktop)
        desktop.click(3, (icon.middle[0], icon.y + 1))
        wait_until(desktop.popups, 5, "the menu")
        desktop.key("p")
        wait_until(lambda: len(desktop.popups()) == 2, 5, "the submenu")
        settle()
        x, y = (
            min(each) - 24 for each in zip(*((a.x, a.y) for a in desktop.popups()), strict=True)
        )
        cut = Area(0, x, y, desktop.size[0] - x, desktop.size[1] - y)
        desktop.screenshot(named("menu", dark), cut)


def window(agent: AgentEnd, dark: bool) -> None:
    """What a left click opens, and what stands in for the icon where there is no tray."""
    agent.say(said(paused=True))
    with shown_desktop("none", (600, 800), dark) as desktop:
        show_tray(desktop, agent.data_dir)
        (area,) = wait_until(desktop.windows, 15, "the window")
        settle()
        desktop.screenshot(named("window", dark), framed(area))


def preferences(agent: AgentEnd, dark: bool) -> None:
    """Each page; the first with a value that cannot be."""
    agent.file = Path("/home/ana/.local/share/fallow/agent/agent.toml")
    agent.say(said(paused=False))
    with shown_desktop("none", (1300, 800), dark) as desktop:
        show_tray(desktop, agent.data_dir)
        wait_until(desktop.windows, 15, "the window")
        desktop.key("alt+e")
        (area,) = wait_until(lambda: others(desktop), 15, "Preferences")
        settle()
        for letter, name in (("o", "offered"), ("h", "jobs"), ("d", "desktop"), ("r", "")):
            if dark and name:
                continue
            desktop.key(f"alt+{letter}")
            if not name:
                # Over the list of an opened box the rest of the page would not be seen.
                desktop.key("Tab", "Tab", "ctrl+a")
                desktop.type_text("a moment")
                desktop.key("Return")
            settle()
            title = f"preferences{'-' if name else ''}{name}"
            desktop.screenshot(named(title, dark), framed(area))


def others(desktop: VirtualDesktop) -> list[Area]:
    return [each for each in desktop.windows() if "Preferences" in each.name]


def framed(area: Area) -> Area:
    """The window with what the window manager draws around it."""
    return Area(0, area.x - 1, area.y - 20, area.width + 2, area.height + 21)


def settle() -> None:
    """Qt fades menus in."""
    time.sleep(0.6)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    app = QtGui.QGuiApplication([])
    strips()
    icons()
    del app
    with tempfile.TemporaryDirectory() as folder, AgentEnd(Path(folder)) as agent:
        for dark in (False, True):
            menu(agent, dark)
            window(agent, dark)
            preferences(agent, dark)
    for path in sorted(IMAGES.glob("*.png")):
        print(f"{path.relative_to(TOP)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
