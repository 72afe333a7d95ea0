"""What the tray shows: the agent's state as an icon's name, a tooltip and menu items. No Qt.

Not how it is drawn (`ui/`, its opposite, which renders a Menu and sends back intents), not the
window's contents (`overview`), and no decision: the same AgentStatus at the same minute is always
the same Menu.
"""

from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from fallow.tray.status import AgentStatus, RunStatus

IconName = Literal["idle", "running", "paused_by_you", "paused_for_you", "offline", "attention"]


class PauseFor(Struct, frozen=True):
    """Pause; for so many seconds, None until resumed."""

    seconds: float | None


class PauseUntilTomorrow(Struct, frozen=True):
    """Pause until the coming morning."""


class Resume(Struct, frozen=True):
    """End what was asked by hand: pause, loan, finishing, sending away."""


class LendFor(Struct, frozen=True):
    """Use this computer for so many seconds while its owner works."""

    seconds: float


class Eject(Struct, frozen=True):
    """Send the running jobs elsewhere."""


class Finish(Struct, frozen=True):
    """Finish what runs, then take no more."""


class OpenWindow(Struct, frozen=True):
    """Show the window."""


class OpenPreferences(Struct, frozen=True):
    """Show what this computer allows, to be changed."""


class About(Struct, frozen=True):
    """Say what this is."""


class Quit(Struct, frozen=True):
    """End the icon: nobody watches this desk then, and its agent runs no jobs unwatched."""


class StartAgent(Struct, frozen=True):
    """Start the part that runs jobs, which does not answer."""


Intent: TypeAlias = (
    PauseFor
    | PauseUntilTomorrow
    | Resume
    | LendFor
    | Eject
    | Finish
    | OpenWindow
    | OpenPreferences
    | About
    | Quit
    | StartAgent
)


class Item(Struct, frozen=True):
    """One line of the menu: with `children` a submenu, with neither them nor an intent a text.

    `hint` is a sentence on what follows from choosing it, `key` its letter on the keyboard.
    `barred` is a sentence on why it cannot be chosen now; empty when it can.
    """

    text: str
    intent: Intent | None = None
    children: tuple["Item", ...] = ()
    hint: str = ""
    key: str = ""
    barred: str = ""


class Separator(Struct, frozen=True):
    """A line between groups."""


class Menu(Struct, frozen=True):
    """All that the tray shows at one instant; the icon's `alt` says its state in words.

    `headline` is what is going on, whole; a menu and a tooltip have no room for all of a long one.
    """

    icon: IconName
    alt: str
    tooltip: str
    items: tuple[Item | Separator, ...]
    headline: str = ""


PAUSES = (
    Item("30 minutes", PauseFor(1800.0)),
    Item("1 hour", PauseFor(3600.0)),
    Item("4 hours", PauseFor(14400.0)),
    Item("Until tomorrow", PauseUntilTomorrow()),
    Item("Until I resume", PauseFor(None)),
)
LOANS = (
    Item("30 minutes", LendFor(1800.0)),
    Item("1 hour", LendFor(3600.0)),
    Item("4 hours", LendFor(14400.0)),
    Item("8 hours", LendFor(28800.0)),
)
QUIT = Item(
    "Quit",
    Quit(),
    hint="Without the icon Fallow cannot see whether you are there, and runs no jobs here.",
    key="Q",
)
# Characters: a menu is as wide as its longest line, and some screens are small.
_LONGEST, _WIDEST = 110, 80
NO_AGENT = "The part that runs jobs does not answer."
NOTHING_ASKED = "Nothing was asked for that could end."
ONLY_LOOK = "Only who sits at this computer, or administers it, may change that."

Say: TypeAlias = Callable[[float], str]
"""Turns a wall-clock instant into the words of this desk: "14:30", "tomorrow 08:00"."""


def menu(status: AgentStatus | None, say: Say, last_words: Sequence[str] = ()) -> Menu:
    """The menu for this state; None when no agent answers on this computer.

    `last_words` are the lines in which an agent that ended said why.
    """
    icon, alt = _icon(status)
    line = headline(status, say)
    items: list[Item | Separator] = [Item(_short(line))]
    if status is not None:
        items += [Item(_short(run_line(run))) for run in status.runs if run.state != "finished"]
        items += [Item(part) for note in status.notes for part in wrap(note, _WIDEST)]
        if status.lent_until is not None:
            items.append(Item(f"lent while you work, until {say(status.lent_until)}"))
        if not status.may_change:
            items.append(Item(ONLY_LOOK))
    else:
        items += [Item(part) for each in last_words for part in wrap(each, _WIDEST)]
    items.append(Separator())
    items += [verb for verb in verbs(status) if verb.barred != NOTHING_ASKED]
    items += [
        Separator(),
        Item("Window", OpenWindow(), key="W"),
        Item("Preferences", OpenPreferences(), key="e", barred=NO_AGENT if status is None else ""),
        Item("About", About(), key="A"),
        QUIT,
    ]
    return Menu(icon, alt, f"Fallow: {_short(line)}", tuple(items), line)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def verbs(status: AgentStatus | None) -> tuple[Item, ...]:
    """What can be asked of the agent: the same lines in every state, so that no button moves.

    Of these the menu leaves out a Resume that would end nothing.
    """
    if status is None:
        return (Item("Start it again", StartAgent(), key="S"),)
    asked = status.paused_by_hand or status.finishing or status.lent_until is not None
    found = (
        Item("Pause", children=PAUSES, hint="Every job here stops at once.", key="P"),
        Item(
            "Resume",
            Resume(),
            hint="Ends what you asked for here: jobs run when nobody uses this computer.",
            key="R",
            barred="" if asked or _ejected(status) else NOTHING_ASKED,
        ),
        Item(
            "Use this computer while I work",
            children=LOANS,
            hint="Jobs run although you are here, until the time is up.",
            key="U",
        ),
        Item(
            "Send the job elsewhere",
            Eject(),
            hint="What runs here starts again on another computer.",
            key="S",
            barred="" if working(status) else "No job is here now.",
        ),
        Item(
            "Finish then stop",
            Finish(),
            hint="What runs here is finished; no more jobs come until you resume.",
            key="F",
            barred="That is asked already." if status.finishing else "",
        ),
    )
    if status.may_change:
        return found
    return tuple(
        item if item.barred == NOTHING_ASKED else replace(item, barred=ONLY_LOOK) for item in found
    )


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
    if status.finishing and not working(status):
        return "paused_by_you", "stopped by you"
    if status.state == "paused":
        return "paused_for_you", "paused because you are here"
    if status.connection == "offline" and not working(status):
        return "offline", "not connected"
    if working(status):
        return "running", "finishing" if status.finishing else "running"
    return "idle", "waiting for work"


def headline(status: AgentStatus | None, say: Say) -> str:
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
    if status.finishing:
        return f"{_finishing(status)}no more jobs until you resume"
    runs = working(status)
    if runs:
        return f"{_doing(runs[0])} {_whose(runs)}"
    if status.connection == "offline":
        return "the coordinator cannot be reached; trying again"
    if status.reasons and status.reasons[0].kind != "lend":
        return f"free for work soon: {status.reasons[0].text}"
    return "waiting for work"


def _why_paused(status: AgentStatus, say: Say) -> str:
    if not status.reasons:
        return "paused"
    reason = status.reasons[0]
    if reason.until is not None:
        when = f", until {say(reason.until)}"
        if reason.kind in {"input", "busy", "eject"}:
            when += " if nobody touches it"
    else:
        when = ", until you resume" if status.paused_by_hand else ""
    return f"paused, {reason.text}{when}"


def _finishing(status: AgentStatus) -> str:
    runs = working(status)
    return f"finishing {_whose(runs)}, then " if runs else ""


def _whose(runs: Sequence[RunStatus]) -> str:
    first = runs[0]
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    what = f"{first.job} of {first.batch}" if first.job else first.batch
    return f"{what} for {first.owner}{more}"


def run_line(run: RunStatus) -> str:
    """One run in a line, or the build of a batch, which has no job."""
    share = f", {run.progress.share:.0%}" if run.progress is not None else ""
    state = "leaving" if run.leaving else run.state
    return f"{run.job or 'build'} ({run.batch}, {run.owner}): {state}{share}"


def _doing(run: RunStatus) -> str:
    if run.leaving:
        return "sending away"
    words = {"staging": "fetching files of", "building": "building", "ending": "saving results of"}
    return words.get(run.state, "running")


def working(status: AgentStatus) -> tuple[RunStatus, ...]:
    """The runs that are not over."""
    return tuple(run for run in status.runs if run.state not in {"finished", "declined"})


def _blind(status: AgentStatus) -> bool:
    return bool(status.reasons) and status.reasons[0].kind == "blind"


def _ejected(status: AgentStatus) -> bool:
    return any(reason.kind == "eject" for reason in status.reasons)
