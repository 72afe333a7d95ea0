"""What the tray shows: the agent's state as an icon's name, a tooltip and menu items. No Qt.

Not how it is drawn (`ui/`, its opposite, which renders a Menu and sends back intents) and no
decision: the same AgentStatus at the same minute is always the same Menu.
"""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from fallow.tray.status import AgentStatus, RunStatus

IconName = Literal["idle", "running", "paused_by_you", "paused_for_you", "offline", "attention"]


class PauseFor(Struct, frozen=True):
    """Pause; for so many seconds, None until resumed."""

    seconds: float | None


class PauseUntilTomorrow(Struct, frozen=True):
    """Pause until the coming morning."""


class Resume(Struct, frozen=True):
    """End the manual pause."""


class About(Struct, frozen=True):
    """Say what this is."""


class Quit(Struct, frozen=True):
    """End the icon: nobody watches this desk then, and its agent runs no jobs unwatched."""


class StartAgent(Struct, frozen=True):
    """Start the part that runs jobs, which does not answer."""


Intent: TypeAlias = PauseFor | PauseUntilTomorrow | Resume | About | Quit | StartAgent


class Item(Struct, frozen=True):
    """One line of the menu: with `children` a submenu, with neither them nor an intent a text.

    `hint` is a sentence on what follows from choosing it.
    """

    text: str
    intent: Intent | None = None
    children: tuple["Item", ...] = ()
    hint: str = ""


class Separator(Struct, frozen=True):
    """A line between groups."""


class Menu(Struct, frozen=True):
    """All that the tray shows at one instant; the icon's `alt` says its state in words."""

    icon: IconName
    alt: str
    tooltip: str
    items: tuple[Item | Separator, ...]


PAUSES = (
    Item("30 minutes", PauseFor(1800.0)),
    Item("1 hour", PauseFor(3600.0)),
    Item("4 hours", PauseFor(14400.0)),
    Item("Until tomorrow", PauseUntilTomorrow()),
    Item("Until I resume", PauseFor(None)),
)

QUIT = Item(
    "Quit",
    Quit(),
    hint="Without the icon Fallow cannot see whether you are there, and runs no jobs here.",
)

Say: TypeAlias = Callable[[float], str]
"""Turns a wall-clock instant into the words of this desk: "14:30", "tomorrow 08:00"."""


def menu(status: AgentStatus | None, say: Say, last_words: Sequence[str] = ()) -> Menu:
    """The menu for this state; None when no agent answers on this computer.

    `last_words` are the lines in which an agent that ended said why.
    """
    icon, alt = _icon(status)
    headline = _headline(status, say)
    items: list[Item | Separator] = [Item(headline)]
    if status is not None:
        items += [Item(_run(run)) for run in status.runs if run.state != "finished"]
        items += [Item(note) for note in status.notes]
        items += [Separator(), Item("Pause", children=PAUSES)]
        if status.paused_by_hand:
            items.append(Item("Resume", Resume()))
    else:
        items += [Item(line) for line in last_words]
        items += [Separator(), Item("Start it again", StartAgent())]
    items += [Separator(), Item("About Fallow", About()), QUIT]
    return Menu(icon, alt, f"Fallow: {headline}", tuple(items))


def _icon(status: AgentStatus | None) -> tuple[IconName, str]:
    if status is None:
        return "attention", "no agent answers"
    # Who just paused wants to see that, whatever else is wrong.
    if status.paused_by_hand:
        return "paused_by_you", "paused by you"
    if status.notes or status.connection in {"unjoined", "refused"}:
        return "attention", "needs your attention"
    if _blind(status):
        return "attention", "cannot see whether you are there"
    if status.state == "paused":
        return "paused_for_you", "paused because you are here"
    if status.connection == "offline" and not _active(status):
        return "offline", "not connected"
    if _active(status):
        return "running", "running"
    return "idle", "waiting for work"


def _headline(status: AgentStatus | None, say: Say) -> str:
    """One line: what runs for whom, or why not, and until when."""
    if status is None:
        return "the part that runs jobs does not answer"
    if status.paused_by_hand:
        return _why_paused(status, say)
    if status.connection == "unjoined":
        return "this computer has not joined a coordinator yet"
    if status.connection == "refused":
        return "the coordinator does not let this computer in"
    if status.state == "paused":
        return _why_paused(status, say)
    working = _active(status)
    if working:
        first = working[0]
        more = f" and {len(working) - 1} more" if len(working) > 1 else ""
        what = f"{first.job} of {first.batch}" if first.job else first.batch
        return f"{_doing(first)} {what} for {first.owner}{more}"
    if status.connection == "offline":
        return "the coordinator cannot be reached; trying again"
    if status.reasons:
        return f"free for work soon: {status.reasons[0].text}"
    return "waiting for work"


def _why_paused(status: AgentStatus, say: Say) -> str:
    if not status.reasons:
        return "paused"
    reason = status.reasons[0]
    if reason.until is not None:
        when = f", until {say(reason.until)}"
        if reason.kind in {"input", "busy"}:
            when += " if nobody touches it"
    else:
        when = ", until you resume" if status.paused_by_hand else ""
    return f"paused, {reason.text}{when}"


def _run(run: RunStatus) -> str:
    """One run, or the build of a batch, which has no job."""
    share = f", {run.progress.share:.0%}" if run.progress is not None else ""
    return f"{run.job or 'build'} ({run.batch}, {run.owner}): {run.state}{share}"


def _doing(run: RunStatus) -> str:
    words = {"staging": "fetching files of", "building": "building", "ending": "saving results of"}
    return words.get(run.state, "running")


def _active(status: AgentStatus) -> tuple[RunStatus, ...]:
    return tuple(run for run in status.runs if run.state not in {"finished", "declined"})


def _blind(status: AgentStatus) -> bool:
    return bool(status.reasons) and status.reasons[0].kind == "blind"
