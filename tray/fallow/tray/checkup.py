"""`tray doctor`: what works on this computer, what does not, and what to do about it.

Not the agent's own judgement: this only asks. Each finding stands alone.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from fallow.shared import units
from fallow.shared.errors import FallowError, Unreachable
from fallow.tray import config
from fallow.tray.local import AskConfig, ConfigIs, LocalClient
from fallow.tray.membership import load_membership
from fallow.tray.status import AgentStatus, PausingStatus, SensorStatus

if TYPE_CHECKING:
    from fallow.shared.work.sandbox import SandboxAbility


class Finding(Struct, frozen=True):
    """One thing that was looked at; `hint` says what to do where it is not good."""

    name: str
    good: bool
    text: str
    hint: str = ""


def examine(data_dir: Path) -> list[Finding]:
    """Look at everything there is to look at; takes at most some seconds."""
    try:
        with LocalClient(data_dir) as client:
            status = client.status()
            rules, wishes = _rules_of(client)
    except (Unreachable, FallowError) as error:
        rules, wishes = _rules_in(data_dir / "agent.toml", data_dir)
        found = [rules, _sandbox(wishes.sandbox), _containers(), _membership(data_dir)]
        return [*found, Finding("agent", False, str(error.title), error.hint)]
    return [
        rules,
        _sandbox(wishes.sandbox),
        _containers(),
        _coordinator(status),
        Finding("agent", True, f"process {status.pid} on {status.host}"),
        *_rights(status),
        *pausing_findings(status.pausing),
        _connection(status),
        *sensor_findings(status, wishes.desk, time.time()),
    ]


def as_json(findings: list[Finding]) -> str:
    """One JSON object with `"schema": 1`."""
    content = {"schema": 1, "findings": findings}
    return msgspec.json.format(msgspec.json.encode(content)).decode()


def in_words(findings: list[Finding]) -> str:
    """A line each, and what to do."""
    lines = []
    for each in findings:
        lines.append(f"{'ok ' if each.good else '!! '} {each.name}: {each.text}")
        if each.hint and not each.good:
            lines.append(f"    {each.hint}")
    return "\n".join(lines)


class _Wishes(Struct, frozen=True):
    """What of agent.toml decides whether a finding is a bad one."""

    sandbox: str = "auto"
    desk: bool = True


def _rules_of(client: LocalClient) -> tuple[Finding, _Wishes]:
    """What the agent that runs goes by, which may be somebody else's."""
    try:
        rules = client.ask(AskConfig())
    except FallowError as error:
        return _wrong_rules(error), _Wishes()
    assert isinstance(rules, ConfigIs)
    wishes = _Wishes(str(rules.values["jobs"]["sandbox"]), bool(rules.values["presence"]["desk"]))
    return Finding("configuration", True, rules.path), wishes


def _rules_in(file: Path, data_dir: Path) -> tuple[Finding, _Wishes]:
    """What an agent would go by that was started now."""
    from fallow.tray.offering import computer

    try:
        rules = config.load(file)
        config.check_offer(rules.offer, computer(data_dir), str(file))
    except FallowError as error:
        return _wrong_rules(error), _Wishes()
    text = str(file) if file.exists() else f"all defaults: there is no {file}"
    return Finding("configuration", True, text), _Wishes(rules.jobs.sandbox, rules.presence.desk)


def _wrong_rules(error: FallowError) -> Finding:
    return Finding("configuration", False, f"{error.title} {error.detail}", error.hint)


def _rights(status: AgentStatus) -> list[Finding]:
    if status.may_change:
        return []
    text = "you may look at this computer's agent, but not pause it: you have no session here"
    return [Finding("rights", True, text)]


def _coordinator(status: AgentStatus) -> Finding:
    if status.connection == "unjoined":
        return Finding("coordinator", False, "none joined yet", "tray join TOKEN")
    name = f", joined as {status.coordinator.name}" if status.coordinator.name else ""
    return Finding("coordinator", True, f"{status.coordinator.address}{name}")


def _sandbox(wish: str) -> Finding:
    from fallow.shared.work.sandbox import probe

    return sandbox_finding(probe(), wish)


def sandbox_finding(ability: "SandboxAbility", wish: str) -> Finding:
    """What jobs are kept from here, and what they are not."""
    if ability.kind == "bubblewrap" and wish == "none":
        text = "bubblewrap works; jobs see this computer's files, as agent.toml says"
        return Finding("sandbox", True, text)
    if ability.kind == "bubblewrap" and not ability.scoped:
        return Finding(
            "sandbox",
            True,
            "bubblewrap works; jobs run in it. But this system cannot hide the screen of the "
            "agent's account from jobs that use the network: Linux 6.12 or newer can, and an agent "
            "with an account of its own (a system unit) has no screen",
        )
    if ability.kind == "bubblewrap":
        return Finding("sandbox", True, "bubblewrap works; jobs run in it")
    if wish == "none":
        return Finding("sandbox", True, f"none, as agent.toml says ({ability.why})")
    return Finding(
        "sandbox",
        False,
        f"no job runs here: {ability.why}",
        'install bubblewrap, or write sandbox = "none" under [jobs] in agent.toml',
    )


def _containers() -> Finding:
    from fallow.shared.work import container

    runtime = container.find()
    if runtime is None:
        return Finding("containers", True, "none run here: there is no apptainer or singularity")
    return Finding("containers", True, f"{runtime.program} runs them")


def _membership(data_dir: Path) -> Finding:
    try:
        member = load_membership(data_dir)
    except FallowError as error:
        return Finding("coordinator", False, error.title, error.hint)
    if member is None:
        return Finding("coordinator", False, "none joined yet", "tray join TOKEN")
    return Finding("coordinator", True, f"{member.addresses[0]}, joined as {member.name}")


def _connection(status: AgentStatus) -> Finding:
    return Finding(
        "connection",
        status.connection == "online",
        " ".join(filter(None, (status.connection, status.coordinator.detail))),
        "check the network, and that the coordinator runs and has not revoked this key",
    )


def pausing_findings(status: PausingStatus) -> list[Finding]:
    """How jobs are stopped, and what they are held to."""
    if status.way == "unknown":
        return []
    hint = "install bubblewrap, or run the agent as the systemd unit that comes with Fallow"
    memory = (
        "cores and memory are held to what a job asked for"
        if "memory" in status.held_to
        else "cores are held to what a job asked for; one that takes more memory is ended some"
        " seconds later, since no memory controller (cgroup v2) is handed down to the agent"
    )
    return [
        Finding("pausing", status.way != "processes", status.text, hint),
        Finding("bounds", True, memory),
    ]


def sensor_findings(status: AgentStatus, desk: bool, now: float) -> list[Finding]:
    """Who watches the desk, and how well; where there is none, nobody has to."""
    found = []
    for each in status.sensors:
        text = sight(each, now)
        if not each.healthy and not desk:
            text += "; not needed, as agent.toml says desk = false"
        found.append(Finding(f"sensor {each.name}", each.healthy or not desk, text))
    blind = any(reason.kind == "blind" for reason in status.reasons)
    hint = "start the tray in your session, or say desk = false if nobody ever sits here"
    return [*found, Finding("presence", not blind, status.verdict, hint)]


def sight(sensor: SensorStatus, now: float) -> str:
    """What a sensor says, and how long ago the last event was that it saw; wall-clock seconds."""
    said = sensor.why or "sees this desk"
    if sensor.last_activity is None:
        return f"{said}; no event yet"
    ago = max(round(now - sensor.last_activity), 0)
    return f"{said}; last event {units.format_duration(ago)} ago"
