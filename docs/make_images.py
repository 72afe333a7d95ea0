"""Makes the pictures in docs/images: icons in every size, the real tray on a virtual screen.

Run it after a change of icon, menu or window, and look at the result:
`.venv/bin/python docs/make_images.py`. What the agent says in the pictures is made up.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).parents[1]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "examples")]
os.environ["QT_QPA_PLATFORM"] = "offscreen"

from PySide6 import QtCore, QtGui  # noqa: E402

from desktop.agent_end import AgentEnd  # noqa: E402
from desktop.shown_tray import NAMES, settled_icon, show_tray  # noqa: E402
from desktop.virtual_desktop import VirtualDesktop  # noqa: E402
from fallow.shared.runs import Progress, Reason  # noqa: E402
from fallow.tray.status import AgentStatus, RunStatus  # noqa: E402
from fallow.tray.ui.pictures import drawn  # noqa: E402
from virtual_screen import Area  # noqa: E402
from waiting import wait_until  # noqa: E402

IMAGES = TOP / "docs" / "images"
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
RUNS = (
    RunStatus("cylinder-sweep", "re_100", "ana", "running", progress=Progress(0.43)),
    RunStatus("cylinder-sweep", "re_120", "ana", "staging"),
)


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


def menu(agent: AgentEnd) -> None:
    """The open menu with its submenu, in a real tray."""
    agent.say(AgentStatus("running", "online", "away", runs=RUNS))
    with VirtualDesktop("trayer", size=(760, 400)) as desktop:
        show_tray(desktop, agent.data_dir)
        icon = settled_icon(desktop)
        desktop.click(3, (icon.middle[0], icon.y + 1))
        (area,) = wait_until(desktop.popups, 5, "the menu")
        desktop.click(1, (area.x + 40, area.y + area.height * 6 // 11))
        wait_until(lambda: len(desktop.popups()) == 2, 5, "the submenu")
        settle()
        x, y = (
            min(each) - 24 for each in zip(*((a.x, a.y) for a in desktop.popups()), strict=True)
        )
        cut = Area(0, x, y, desktop.size[0] - x, desktop.size[1] - y)
        desktop.screenshot(IMAGES / "menu.png", cut)


def window(agent: AgentEnd) -> None:
    """What stands in for the icon where there is no tray."""
    agent.say(
        AgentStatus(
            "paused",
            "online",
            "present",
            (Reason("input", "you are here", time.time() + 600),),
            runs=(RunStatus("cylinder-sweep", "re_100", "ana", "paused"),),
        )
    )
    with VirtualDesktop("none", size=(600, 300)) as desktop:
        show_tray(desktop, agent.data_dir)
        (area,) = wait_until(desktop.windows, 15, "the window")
        settle()
        framed = Area(0, area.x - 2, area.y - 24, area.width + 4, area.height + 28)
        desktop.screenshot(IMAGES / "window.png", framed)


def settle() -> None:
    """Qt fades menus in."""
    time.sleep(0.6)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    app = QtGui.QGuiApplication([])
    icons()
    del app
    with tempfile.TemporaryDirectory() as folder, AgentEnd(Path(folder)) as agent:
        menu(agent)
        window(agent)
    for path in sorted(IMAGES.glob("*.png")):
        print(f"{path.relative_to(TOP)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
