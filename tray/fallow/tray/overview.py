"""What the window shows of this workstation: runs, countdown, last day and sensors, in words.

Not the menu (`view`) and not how it is drawn (`ui/window`). Pure: `now` and the moment at which the
status came are arguments, so that seconds tick without asking the agent.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Final

from msgspec import Struct

from fallow.shared.units import format_size
from fallow.tray.status import AgentStatus, DayState, RunStatus, SensorStatus, Span
from fallow.tray.view import Say, working

DAY = 86400.0
DAY_WORDS: Final[dict[DayState, str]] = {
    "ran": "jobs ran",
    "paused": "jobs paused",
    "free": "free, no jobs",
    "off": "off",
}
_STATES = {
    "staging": "fetching its files",
    "building": "building",
    "running": "running",
    "paused": "paused",
    "ending": "saving its results",
}


class RunShown(Struct, frozen=True):
    """One run: a title, whose it is and what it does; `share` from 0 to 1 or None; facts in words.

    `key` tells it from other runs, also after its words have changed.
    """

    key: str
    title: str
    state: str
    share: float | None
    facts: str
    paused: bool


class Bar(Struct, frozen=True):
    """A stretch of the last day; `start` and `end` are shares of it, 0 the oldest."""

    start: float
    end: float
    state: DayState


class DayShown(Struct, frozen=True):
    """The last day as bars and marked hours, and in a sentence for who cannot see them."""

    bars: tuple[Bar, ...]
    marks: tuple[tuple[float, str], ...]
    text: str


class SensorShown(Struct, frozen=True):
    """One sensor in words."""

    name: str
    healthy: bool
    text: str


class Overview(Struct, frozen=True):
    """All but headline and verbs; `countdown` says when jobs go on, empty when nobody knows."""

    countdown: str = ""
    reasons: tuple[str, ...] = ()
    runs: tuple[RunShown, ...] = ()
    sensors: tuple[SensorShown, ...] = ()
    sight: str = ""
    coordinator: str = ""
    day: DayShown | None = None


def overview(
    status: AgentStatus, came: float, now: float, say: Say, zone: tzinfo | None = None
) -> Overview:
    """The window at wall-clock second `now`, from a status that came at `came`.

    `zone` is the one of the picture's hours, None for this computer's.
    """
    since = max(now - came, 0.0)
    return Overview(
        countdown=_countdown(status, now),
        reasons=_reasons(status, say),
        runs=tuple(_run(each, status, since) for each in working(status)),
        sensors=tuple(_sensor(each, now) for each in status.sensors),
        sight=_sight(status.sensors),
        coordinator=_coordinator(status),
        day=_day(status.day, now, zone) if status.day else None,
    )


def lasting(seconds: float) -> str:
    """So many seconds as people say it: "45 s", "9 min 12 s", "1 h 05 min", "2 d 3 h"."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def _countdown(status: AgentStatus, now: float) -> str:
    """When jobs go on, to the second, where that is known."""
    if status.lent_until is not None and status.state != "paused":
        return f"Lent while you work for another {lasting(status.lent_until - now)}."
    if not status.reasons or status.state == "finishing":
        return ""
    ends = [reason.until for reason in status.reasons if reason.until is not None]
    if len(ends) < len(status.reasons):
        return ""
    # All of them have to end first.
    left = max(ends) - now
    what = "Jobs go on" if working(status) else "Jobs may come"
    if left <= 0:
        return f"{what} in a moment."
    touched = any(reason.kind in {"input", "busy", "eject"} for reason in status.reasons)
    unless = " if nobody touches keyboard or mouse" if touched else ""
    return f"{what} in {lasting(left)}{unless}."


def _reasons(status: AgentStatus, say: Say) -> tuple[str, ...]:
    """What else would keep jobs from running; the headline has the first reason."""
    found = []
    for reason in status.reasons[1:]:
        until = "" if reason.until is None else f", until {say(reason.until)}"
        found.append(f"Also: {reason.text}{until}")
    return tuple(found)


def _run(run: RunStatus, status: AgentStatus, since: float) -> RunShown:
    going = run.state == "running"
    ran = run.run_seconds + (since if going else 0.0)
    share = None if run.progress is None else min(max(run.progress.share, 0.0), 1.0)
    words = run.progress.text if run.progress is not None else ""
    facts = [] if share is None else [" ".join(filter(None, (f"{share:.0%}", words)))]
    facts += [f"ran {lasting(ran)}"] if ran >= 1 else []
    if run.eta_seconds is not None and going:
        facts.append(f"about {_roughly(max(run.eta_seconds - since, 0.0))} left")
    elif run.eta_seconds is not None:
        facts.append(f"about {_roughly(run.eta_seconds)} of work left")
    paused = run.paused_seconds + (since if run.state == "paused" else 0.0)
    if paused >= 1:
        facts.append(f"paused {lasting(paused)}")
    if run.cores is not None and going:
        facts.append(f"{run.cores:.1f} cores")
    if run.memory is not None:
        facts.append(f"{_about_size(run.memory)} of memory")
    title = f"{run.job} of {run.batch}" if run.job else f"Build of {run.batch}"
    return RunShown(
        key=f"{run.batch}/{run.job}/{run.attempt}",
        title=title,
        state=f"for {run.owner}: {_state(run, status)}",
        share=share,
        facts=" · ".join(facts),
        paused=run.state == "paused",
    )


def _state(run: RunStatus, status: AgentStatus) -> str:
    word = "moves to another computer" if run.leaving else _STATES.get(run.state, run.state)
    if run.leaving or run.state != "paused":
        return word
    why = run.why or (status.reasons[0].text if status.reasons else "")
    return f"{word}, {why}" if why else word


def _roughly(seconds: float) -> str:
    """As an estimate deserves it: no seconds beyond two minutes."""
    if seconds < 120:
        return lasting(seconds)
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    return lasting(seconds)


def _about_size(count: int) -> str:
    """So many bytes with three digits at most, in steps of 1024."""
    for power, name in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        unit = 1024**power
        if count >= unit:
            value = count / unit
            return f"{value:.0f} {name}" if value >= 10 else f"{value:.1f} {name}"
    return format_size(count)


def _sensor(sensor: SensorStatus, now: float) -> SensorShown:
    name = _SENSORS.get(sensor.name, sensor.name)
    if not sensor.healthy:
        return SensorShown(name, False, f"sees nothing: {sensor.why or 'it does not answer'}")
    if sensor.last_activity is None:
        return SensorShown(name, True, "works; saw nobody yet")
    ago = now - sensor.last_activity
    seen = "just now" if ago < 5 else f"{lasting(ago)} ago"
    return SensorShown(name, True, f"works; last saw somebody {seen}")


_SENSORS = {
    "pynput": "Keyboard and mouse",
    "xscreensaver": "Idle time of the screen",
    "mutter": "Idle time of the desktop",
    "idle_notify": "Idle time of the desktop",
    "ext-idle-notify": "Idle time of the desktop",
    "evdev": "Input devices",
    "logind": "Who is logged in",
    "terminals": "Terminals and remote logins",
    "inhibitors": "Films and calls",
    "logind inhibitors": "What keeps the computer awake",
}


def _sight(sensors: tuple[SensorStatus, ...]) -> str:
    healthy = sum(each.healthy for each in sensors)
    if not sensors:
        return "Nothing tells Fallow whether you are here"
    return f"{healthy} of {len(sensors)} sensors can tell whether you are here"


def _coordinator(status: AgentStatus) -> str:
    where = status.coordinator
    words = {
        "online": f"Connected to {where.address}",
        "offline": f"Looking for {where.address}; jobs that are here go on",
        "unjoined": "This computer has not joined a coordinator yet: tray join TOKEN",
        "refused": f"{where.address} does not let this computer in",
    }[status.connection]
    known = f", which knows it as {where.name}" if where.name else ""
    detail = f" ({where.detail})" if where.detail else ""
    return f"{words}{known}{detail}"


def _day(spans: tuple[Span, ...], now: float, zone: tzinfo | None) -> DayShown:
    begin = now - DAY
    bars = []
    totals: dict[DayState, float] = dict.fromkeys(DAY_WORDS, 0.0)
    at = begin
    for span in sorted(spans, key=lambda each: each.start):
        start, end = max(span.start, at), min(span.end, now)
        if end <= start:
            continue
        if start > at:
            totals["off"] += start - at
        bars.append(Bar((start - begin) / DAY, (end - begin) / DAY, span.state))
        totals[span.state] += end - start
        at = end
    totals["off"] += now - at
    words = [f"{DAY_WORDS[state]} {lasting(long)}" for state, long in totals.items() if long >= 60]
    return DayShown(
        tuple(bars), tuple(_marks(begin, zone)), f"The last 24 hours: {', '.join(words)}."
    )


def _marks(begin: float, zone: tzinfo | None) -> Iterator[tuple[float, str]]:
    """Midnight, six, noon and six of the day that begins there, as shares of it and on a clock."""
    first = datetime.fromtimestamp(begin, zone).replace(minute=0, second=0, microsecond=0)
    for hours in range(1, 25):
        # Civil time first: a day of a clock change has its noon at noon.
        civil = first.replace(tzinfo=None) + timedelta(hours=hours)
        share = (civil.replace(tzinfo=zone).timestamp() - begin) / DAY
        if civil.hour % 6 == 0 and 0 <= share < 1:
            yield share, f"{civil:%H:%M}"
