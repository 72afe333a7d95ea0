"""The agent's status as text: JSON for programs, a few lines for people in a terminal.

Not the tray's menu (`view`). Opposite: `show`, which makes the status.
"""

import time

import msgspec

from fallow.tray.hours import say
from fallow.tray.status import AgentStatus, RunStatus


def as_json(status: AgentStatus) -> str:
    """One JSON object, complete, with `"schema": 1`; a run's progress is a number or null."""
    content = msgspec.to_builtins(status)
    for run in content["runs"]:
        progress = run["progress"]
        run["progress"] = progress["share"] if progress else None
        run["progress_text"] = progress["text"] if progress else ""
    return msgspec.json.format(msgspec.json.encode(content)).decode()


def headline(status: AgentStatus) -> str:
    """One line: what is going on, why, and until when."""
    if not status.reasons:
        return status.state
    reason = status.reasons[0]
    until = "" if reason.until is None else f", until {say(reason.until, time.time())}"
    return f"{status.state}: {reason.text}{until}"


def in_words(status: AgentStatus) -> str:
    """All that a person would want to know, a line each."""
    lines = [headline(status), f"coordinator: {_coordinator(status)}"]
    lines += [f"note: {note}" for note in status.notes]
    lines += [_run(run) for run in status.runs]
    for sensor in status.sensors:
        state = "sees this desk" if sensor.healthy else f"sees nothing: {sensor.why}"
        lines.append(f"sensor {sensor.name}: {state}")
    return "\n".join(lines)


def _coordinator(status: AgentStatus) -> str:
    where = status.coordinator
    known = f", known there as {where.name}" if where.name else ""
    detail = f" ({where.detail})" if where.detail else ""
    return " ".join(filter(None, (status.connection, where.address))) + known + detail


def _run(run: RunStatus) -> str:
    share = f", {run.progress.share:.0%} {run.progress.text}".rstrip() if run.progress else ""
    name = f"{run.batch}/{run.job}" if run.job else f"the build of {run.batch}"
    paused = f", paused for {run.paused_seconds:.0f} s" if run.paused_seconds >= 1 else ""
    return f"{name} for {run.owner}: {run.state}, ran for {run.run_seconds:.0f} s{paused}{share}"
