"""What would let a job start, for each kind of obstacle: a sentence, and a command where one is.

Not the obstacles themselves (`plan`, `node`): every kind they have is known here. The opposite of
`why`, which chooses the nearest.
"""

from difflib import get_close_matches
from shlex import quote

from msgspec import Struct

from fallow.coordinator.plan import Group, Seat, needs
from fallow.shared import units
from fallow.shared.runs import Reason


class Fix(Struct, frozen=True):
    """What to do, and on which workstation its `command` is to be said ("" for anywhere)."""

    text: str
    command: str = ""
    at: str = ""


# The nearest first: what ends by itself, what somebody at the desk can do, what takes a purchase.
NEAREST = (
    *("ending", "connecting", "gave_back", "busy", "kept", "settle"),
    *("input", "terminal", "present", "inhibitor", "load"),
    *("exclusive", "battery", "hours", "drained", "eject", "finish", "pause", "quarantined"),
    *("build", "blind", "offline", "barred"),
    *("not_from", "memory", "disk", "cpus", "capability", "gpus", "revoked"),
)


def distance(kind: str) -> int:
    """How far a job is from starting where this stands in its way; what is not known counts as
    somebody's presence."""
    return NEAREST.index(kind) if kind in NEAREST else NEAREST.index("present")


def fix(reason: Reason, group: Group, seat: Seat, batch: str, work: str) -> Fix:
    """What would remove this obstacle; `work` is what runs there, in words, `batch` a reference."""
    name = seat.name
    match reason.kind:
        case "connecting" | "ending" | "gave_back" | "settle":
            return Fix(f"it starts on {name} by itself in a moment")
        case "busy":
            return Fix(f"it starts on {name} when {work or 'what runs there'} has ended")
        case "kept":
            return Fix(f"it starts when the job that {name} is kept for has had its turn")
        case "load":
            text = f"it starts when other programs on {name} have less to do"
            return Fix(text, "tray lend 1h", name)
        case "exclusive":
            return Fix(f"it starts when that is closed on {name}")
        case "battery":
            return Fix(f"plug {name} in")
        case "hours":
            return Fix(f"it starts on {name} by itself when its hours allow it")
        case "drained":
            return Fix(f"let {name} take jobs again", f"coordinator undrain {quote(name)}")
        case "pause" | "finish" | "eject":
            return Fix(f"whoever sits at {name} lets jobs in again", "tray resume", name)
        case "quarantined":
            text = f"look why the last jobs on {name} failed; within ten minutes it is tried again"
            return Fix(text, f"coordinator undrain {quote(name)}")
        case "build":
            return Fix(
                f"read build_output_{name}.txt among the results, mend it, and build anew",
                f"coordinator retry {quote(batch)} --rebuild",
            )
        case "blind":
            return Fix(f"let {name} see whether somebody is there", "tray doctor", name)
        case "offline":
            return Fix(f"switch {name} on, or start its agent", "tray agent", name)
        case "revoked":
            return Fix("let a workstation join", "coordinator invite --role workstation")
        case "not_from":
            return Fix(f"ask for {group.owner} to be taken out of not_from in {name}'s agent.toml")
        case "capability":
            lacking = [word for word in group.capabilities if word not in seat.capabilities]
            what = " and ".join(lacking)
            close = get_close_matches(lacking[0], seat.capabilities, 1)
            if close:
                return Fix(f"is {close[0]} meant? {name} has that, and no {lacking[0]}")
            return Fix(
                f"install {what} on {name} and name it under [offer] capabilities in its"
                " agent.toml, or let a workstation join that has it"
            )
        case "cpus" | "memory" | "gpus" | "disk":
            return _smaller(reason.kind, group, seat)
    return Fix(
        f"it starts when nobody uses {name}, or when whoever sits there lends it",
        "tray lend 1h",
        name,
    )


def _smaller(kind: str, group: Group, seat: Seat) -> Fix:
    wanted = needs(group, seat)
    most, wish = {
        "cpus": (str(seat.cpus), wanted.cpus),
        "gpus": (str(seat.gpus), wanted.gpus),
        "memory": (units.about_size(seat.memory), units.about_size(wanted.memory)),
        "disk": (units.about_size(seat.disk), units.about_size(wanted.disk)),
    }[kind]
    more = "disk_reserve" if kind == "disk" else kind
    return Fix(
        f"ask for at most {most} under resources ({kind}: it is {wish}), or let {seat.name} offer"
        f" more ([offer] {more} in its agent.toml)"
    )
