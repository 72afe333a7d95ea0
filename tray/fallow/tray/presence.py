"""May jobs run on this workstation now? A function of facts; the top rule that applies wins.

Not the sensors (`sensors/`), which find the facts out, and not what follows from the verdict
(`core`). Fail closed: what cannot be seen counts as somebody being there.
"""

from collections.abc import Iterable, Iterator
from datetime import tzinfo
from typing import Literal, NamedTuple

from msgspec import Struct

from fallow.shared.moments import Moment
from fallow.shared.runs import Reason, Verdict, VerdictKind
from fallow.tray.coverage import Cover, Desk, unwatched
from fallow.tray.windows import Window, inside, next_change


class Reading(Struct, frozen=True):
    """What one sensor says: `last_activity` in boot-clock seconds, None when none was seen.

    `input` sensors watch keyboard and mouse of a session, `inhibitor` ones films and calls (`why`
    names who is at it now), `terminal` ones people typing in terminals and over ssh, `session` ones
    who is logged in; only the latter can say `vacant`: nobody is logged in at any seat. `covers`
    is what an input sensor can see, None where it cannot tell; `desks` are the graphical sessions
    in which people are logged in, for who lists them.
    """

    sensor: str
    kind: Literal["input", "terminal", "session", "inhibitor"]
    healthy: bool
    why: str = ""
    last_activity: float | None = None
    vacant: bool = False
    covers: Cover | None = None
    desks: tuple[Desk, ...] = ()


def inhibiting(readings: Iterable[Reading]) -> tuple[str, ...]:
    """Who shows a film or holds a call now, by what the sensors of it say."""
    return tuple(
        each.why for each in readings if each.kind == "inhibitor" and each.healthy and each.why
    )


class Pause(Struct, frozen=True):
    """The desk's owner said pause; `until` in boot-clock seconds, None for until resumed."""

    until: float | None = None


class Facts(Struct, frozen=True):
    """All that the verdict depends on. Instants are boot-clock seconds.

    `started` is when the agent began to look, `watched` when the last tray did that has seen no
    input yet (None: each has seen some), `woke` when the computer last woke from sleep,
    `lent_until` the end of "use it while I am here", `ejected` when the jobs were sent elsewhere.
    `exclusive` are open programs that want the computer for themselves, `inhibitors` those that
    ask for no disturbance (a film, a call), `foreign_cpu` the share of all cores that others use.
    `undisturbed` is when the last film ended, or the load of others.
    `finishing`: the owner wants no job after those that run; it changes no verdict, but explains.
    """

    started: float
    readings: tuple[Reading, ...] = ()
    watched: float | None = None
    pause: Pause | None = None
    on_battery: bool = False
    woke: float | None = None
    lent_until: float | None = None
    ejected: float | None = None
    exclusive: tuple[str, ...] = ()
    inhibitors: tuple[str, ...] = ()
    foreign_cpu: float = 0.0
    undisturbed: float | None = None
    finishing: bool = False


class Policy(Struct, frozen=True):
    """The `[presence]` rules of agent.toml, in seconds; no `hours` means always.

    `exclusive` names the programs that Facts.exclusive looks for; the rule itself needs no names.
    """

    idle_after: float = 600.0
    settle: float = 30.0
    desk: bool = True
    ac_only: bool = True
    hours: tuple[Window, ...] = ()
    exclusive: tuple[str, ...] = ()
    foreign_cpu: float = 0.5


class Judgement(Struct, frozen=True):
    """A verdict, and the boot-clock second at which it may change with no new fact (or None)."""

    verdict: Verdict
    again_at: float | None = None


def disturbed(facts: Facts, policy: Policy) -> bool:
    """Whether somebody is at it without touching anything: a film, or much load of others."""
    return bool(facts.inhibitors) or facts.foreign_cpu > policy.foreign_cpu


def judge(facts: Facts, policy: Policy, now: Moment, zone: tzinfo | None = None) -> Judgement:
    """The verdict on these facts now; the strongest rule decides, weaker ones follow.

    `zone` is the one in which the hours of the policy are meant, None for this computer's.
    """
    found = list(_rules(facts, policy, now, zone))
    if facts.finishing:
        found.append(("away", Reason("finish", "you asked for no more jobs after these"), None))
    changes = [again_at for _, _, again_at in found if again_at is not None]
    closes = next_change(policy.hours, now.wall, zone) if policy.hours else None
    if closes is not None:
        changes.append(now.boot + (closes - now.wall))
    kind = found[0][0] if found else "away"
    reasons = tuple(reason for _, reason, _ in found)
    return Judgement(Verdict(kind, reasons), min(changes, default=None))


_Found = tuple[VerdictKind, Reason, float | None]


def _rules(facts: Facts, policy: Policy, now: Moment, zone: tzinfo | None) -> Iterator[_Found]:
    """Every rule that applies, the strongest first, with the instant at which it may end."""

    def wall(boot: float) -> float:
        return now.wall + (boot - now.boot)

    if facts.pause is not None:
        until = facts.pause.until
        if until is None:
            yield "barred", Reason("pause", "you asked for a pause"), None
        elif now.boot < until:
            yield "barred", Reason("pause", "you asked for a pause", wall(until)), until
    if facts.on_battery and policy.ac_only:
        yield "barred", Reason("battery", "this computer runs on its battery"), None
    if policy.hours and not inside(policy.hours, now.wall, zone):
        opens = next_change(policy.hours, now.wall, zone)
        yield "barred", Reason("hours", "these are your own hours", opens), None
    if facts.exclusive:
        yield "barred", Reason("exclusive", f"{' and '.join(facts.exclusive)} is open"), None
    if facts.lent_until is not None and now.boot < facts.lent_until:
        text = "you lend this computer while you work"
        yield "away", Reason("lend", text, wall(facts.lent_until)), facts.lent_until
        return
    blind = _blind(facts) if policy.desk else None
    if blind is not None:
        yield "barred", Reason("blind", f"Fallow cannot see whether you are there: {blind}"), None
    seen = _last_seen(facts, policy)
    free_at = seen.at + policy.idle_after if seen is not None else facts.started
    if seen is not None and now.boot < free_at:
        yield "present", Reason(seen.kind, seen.text, wall(free_at)), free_at
    if facts.inhibitors:
        text = f"{' and '.join(facts.inhibitors)} asks not to be disturbed"
        yield "present", Reason("inhibitor", text), None
    if facts.foreign_cpu > policy.foreign_cpu:
        # To the ten, for a share that trembles would have everybody told all the time.
        text = f"other programs use about {round(facts.foreign_cpu, 1):.0%} of the processors"
        yield "present", Reason("busy", text), None
    if now.boot < free_at or disturbed(facts, policy):
        return
    free_at = max(free_at, facts.undisturbed or free_at)
    woke = facts.woke if facts.woke is not None else facts.started
    settled_at = max(free_at, woke) + policy.settle
    if now.boot < settled_at:
        text = "the desk has just become free" if free_at >= woke else "this computer just woke up"
        yield "settling", Reason("settle", text, wall(settled_at)), settled_at


def _blind(facts: Facts) -> str | None:
    """Why nobody could be seen at the desk if somebody were there, or None when one could."""
    eyes = [each for each in facts.readings if each.healthy and each.kind == "input"]
    desks = [desk for each in facts.readings if each.healthy for desk in each.desks]
    unseen = unwatched(desks, (each.covers for each in eyes if each.covers is not None))
    if unseen:
        return "; ".join(f"nothing watches {desk}" for desk in unseen)
    if eyes or any(reading.healthy and reading.vacant for reading in facts.readings):
        return None
    whys = [f"{reading.sensor}: {reading.why}" for reading in facts.readings if reading.why]
    return "; ".join(whys) or "no sensor answers"


class _Seen(NamedTuple):
    at: float
    kind: str
    text: str


def _last_seen(facts: Facts, policy: Policy) -> _Seen | None:
    """When anybody was last seen; a desk on which no input came yet counts as used at the start."""
    since = max(facts.started, facts.watched or facts.started)
    unseen = _Seen(since, "input", "nobody has been seen yet since Fallow started to look")
    seen: list[_Seen] = []
    if facts.ejected is not None:
        seen.append(_Seen(facts.ejected, "eject", "you sent the jobs elsewhere"))
    for reading in facts.readings:
        if not reading.healthy:
            continue
        if reading.last_activity is None:
            if reading.kind == "input" and policy.desk:
                seen.append(unseen)
        elif reading.kind == "terminal":
            seen.append(_Seen(reading.last_activity, "busy", "someone is typing in a terminal"))
        else:
            seen.append(_Seen(reading.last_activity, "input", "you are here"))
    return max(seen, key=lambda each: each.at, default=None)
