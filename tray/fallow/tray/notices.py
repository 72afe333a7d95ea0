"""What is worth a notification: the first job here, work that moves away, a need for somebody.

Not how it is shown (`ui/notify`), nor whether its person wants any (`habits`). Pure: what was told
already is a value that goes in and comes out.
"""

from msgspec import Struct
from msgspec.structs import replace

from fallow.tray.status import AgentStatus, RunStatus
from fallow.tray.view import IconName, Menu, working

# Seconds: what starts, or is started anew, needs nobody yet.
PATIENCE = 60.0


class Notice(Struct, frozen=True):
    """One notification; `kind` is the word by which a later one of its sort takes its place."""

    kind: str
    title: str
    text: str
    icon: IconName = "running"
    urgent: bool = False


class Told(Struct, frozen=True):
    """What was told: that there was a job at all, which runs leave, and since when help is needed.

    `troubled` is boot-clock seconds. `called` is whether somebody was called for this trouble.
    """

    met: bool = False
    leaving: frozenset[str] = frozenset()
    troubled: float | None = None
    called: bool = False


def notices(
    told: Told, status: AgentStatus | None, menu: Menu, boot: float
) -> tuple[Told, tuple[Notice, ...]]:
    """What to say of this state, shown as this menu, at boot-clock second `boot`."""
    found: list[Notice] = []
    if status is not None:
        here = working(status)
        if here and not told.met:
            told = replace(told, met=True)
            found.append(_first(here[0]))
        leaving = frozenset(run.attempt for run in status.runs if run.leaving)
        fresh = [run for run in status.runs if run.attempt in leaving - told.leaving]
        # Who sent them away knows.
        if fresh and not any(reason.kind == "eject" for reason in status.reasons):
            found.append(_moved(fresh))
        told = replace(told, leaving=leaving)
    if menu.icon != "attention":
        return replace(told, troubled=None, called=False), tuple(found)
    since = boot if told.troubled is None else told.troubled
    told = replace(told, troubled=since)
    if boot - since >= PATIENCE and not told.called:
        told = replace(told, called=True)
        found.append(_trouble(menu))
    return told, tuple(found)


def _first(run: RunStatus) -> Notice:
    what = f"{run.job} of {run.batch}" if run.job else f"The build of {run.batch}"
    return Notice(
        "first",
        "The first job of your group is here",
        f"{what}, for {run.owner}. It stops the moment you touch keyboard or mouse. "
        "Fallow's icon shows what runs, and has a pause.",
    )


def _moved(runs: list[RunStatus]) -> Notice:
    if len(runs) > 1:
        title = f"{len(runs)} jobs move to other computers"
    else:
        title = f"{runs[0].job} of {runs[0].batch} moves to another computer"
    return Notice("moved", title, "So it is not in your way; nothing is left to do.", "idle")


def _trouble(menu: Menu) -> Notice:
    line = menu.tooltip.removeprefix("Fallow: ")
    text = f"{line[:1].upper()}{line[1:]}. Click Fallow's icon to see more."
    return Notice("trouble", "Fallow needs you", text, "attention", urgent=True)
