"""From what the agent knows to what it says about itself to people.

Not what it tells the coordinator (`core` makes the Report) nor how people see it (`view`, `cli`).
"""

from collections.abc import Callable

from msgspec import Struct

from fallow.shared.ids import AttemptId
from fallow.shared.moments import Moment
from fallow.shared.runs import Stopped, Verdict
from fallow.shared.work import build as builds
from fallow.shared.work import phases
from fallow.shared.work.build import Build, build_id
from fallow.shared.work.phases import Run
from fallow.tray import session as sessions
from fallow.tray.core import Core
from fallow.tray.metering import Meter
from fallow.tray.status import (
    AgentState,
    AgentStatus,
    CoordinatorStatus,
    DayState,
    PausingStatus,
    RunStateName,
    RunStatus,
    SensorStatus,
    Span,
)

Pids = Callable[[AttemptId], tuple[int, ...]]


class Outside(Struct, frozen=True):
    """What the agent knows besides its decisions.

    `address` is its coordinator's, empty when it has none, `pids` the processes of a run, `meter`
    what each run uses, `pid` the agent's own process.
    """

    address: str
    pids: Pids
    pid: int
    pausing: PausingStatus
    meter: Meter
    day: tuple[Span, ...] = ()


def day_state(core: Core) -> DayState:
    """What is done now, in a word for the picture of the day."""
    if not core.verdict.runs:
        return "paused"
    alive = any(isinstance(each.phase, phases.Alive) for each in core.work.runs.values())
    building = any(_building(each) for each in core.work.builds.values())
    return "ran" if alive or building else "free"


def show(core: Core, outside: Outside, now: Moment) -> AgentStatus:
    """The agent's state now."""
    runs = [
        _run(each, outside, core.verdict, now)
        for each in core.work.runs.values()
        if not isinstance(each.phase, phases.GivenBack)
    ]
    runs += [_build(each, outside.pids) for each in core.work.builds.values() if _building(each)]
    facts = core.desk.facts
    pause_end = facts.pause.until if facts.pause is not None else None
    by_hand = facts.pause is not None and (pause_end is None or pause_end > now.boot)
    lent = facts.lent_until is not None and facts.lent_until > now.boot
    return AgentStatus(
        state=_state(core, runs),
        connection=sessions.connection(core.session),
        verdict=core.verdict.kind,
        reasons=core.verdict.reasons,
        runs=tuple(runs),
        sensors=_sensors(core, now),
        coordinator=_coordinator(core, outside.address),
        accepting=core.accepting,
        paused_by_hand=by_hand,
        paused_until=_wall(pause_end, now) if by_hand else None,
        lent_until=_wall(facts.lent_until, now) if lent else None,
        finishing=facts.finishing,
        notes=(core.settings.unable,) if core.settings.unable else (),
        day=outside.day,
        pausing=outside.pausing,
        host=core.settings.host,
        pid=outside.pid,
    )


def _state(core: Core, runs: list[RunStatus]) -> AgentState:
    if not core.verdict.runs:
        return "paused"
    if core.desk.wishes.finishing:
        return "finishing"
    return "running" if any(each.state not in {"finished", "declined"} for each in runs) else "idle"


def _run(run: Run, outside: Outside, verdict: Verdict, now: Moment) -> RunStatus:
    ran, paused = phases.seconds(run, now)
    state = _word(run)
    busy, memory = outside.meter.of(run.attempt, ran)
    if state == "paused" and busy is not None:
        busy = 0.0
    return RunStatus(
        batch=run.job.batch,
        job=run.job.job,
        owner=run.job.owner,
        state=state,
        attempt=str(run.attempt),
        pids=outside.pids(run.attempt),
        run_seconds=round(ran, 3),
        paused_seconds=round(paused, 3),
        progress=run.progress,
        eta_seconds=_time_to_go(run, ran),
        cores=None if busy is None else round(busy, 2),
        memory=memory,
        why=_why(run, verdict) if state == "paused" else "",
        leaving=_leaves(run),
    )


def _time_to_go(run: Run, ran: float) -> float | None:
    """Running seconds, if it goes on as it went so far."""
    if run.progress is None or not isinstance(run.phase, phases.Alive) or not ran > 0:
        return None
    share = run.progress.share
    return round(ran * (1 - share) / share, 3) if 0 < share <= 1 else None


def _why(run: Run, verdict: Verdict) -> str:
    keeps = "; it keeps the memory of its GPU meanwhile" if run.job.gpus else ""
    return f"{verdict.why}{keeps}"


def _leaves(run: Run) -> bool:
    match run.phase:
        case phases.Leaving() | phases.Saving():
            return True
        case phases.Aborting(why=why) | phases.Stopping(why=why):
            return why == "evict"
        case phases.Collecting(exit=end) | phases.Spooled(exit=end) | phases.Over(exit=end):
            return isinstance(end, Stopped) and end.why == "evict"
    return False


def _wall(boot: float | None, now: Moment) -> float | None:
    return None if boot is None else now.wall + (boot - now.boot)


def _word(run: Run) -> RunStateName:
    match run.phase:
        case phases.Alive():
            return "paused" if run.frozen else "running"
        case phases.Fetching() | phases.Placing() | phases.Held() | phases.Starting():
            return "staging"
        case phases.AwaitingBuild():
            return "building"
        case (
            phases.Aborting()
            | phases.Stopping()
            | phases.Leaving()
            | phases.Saving()
            | phases.Collecting()
        ):
            return "ending"
        case phases.Spooled() | phases.Over():
            return "finished"
        case phases.GivenBack():
            return "declined"


def _building(build: Build) -> bool:
    return isinstance(build.state, builds.Working)


def _build(build: Build, pids: Pids) -> RunStatus:
    return RunStatus(
        batch=build.job.batch,
        job="",
        owner=build.job.owner,
        state="paused" if build.frozen else "building",
        pids=pids(build_id(build.batch)),
    )


def _sensors(core: Core, now: Moment) -> tuple[SensorStatus, ...]:
    found = []
    for source, readings in core.desk.sources.items():
        for each in readings:
            last = each.last_activity
            found.append(
                SensorStatus(
                    each.sensor,
                    each.healthy,
                    each.why,
                    None if last is None else round(now.wall + (last - now.boot), 3),
                    "agent" if source == "agent" else "tray",
                )
            )
    return tuple(found)


def _coordinator(core: Core, address: str) -> CoordinatorStatus:
    link = core.session.link
    if isinstance(link, sessions.Open):
        return CoordinatorStatus(address, link.name)
    return CoordinatorStatus(address, "", link.reason if isinstance(link, sessions.Turned) else "")
