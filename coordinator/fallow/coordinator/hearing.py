"""What a workstation's Hello, Report and Bye mean.

Not what follows for jobs (`lives`). A Report is the whole truth, so every rule here compares it
with what is known; nothing is ever asked again.
"""

from msgspec.structs import replace

from fallow.coordinator import attempt as attempts
from fallow.coordinator.attempt import is_over
from fallow.coordinator.events import KeepBuildLog, ToNode
from fallow.coordinator.lives import assign, happen, is_committing, stop, unwanted, withdraw
from fallow.coordinator.node import REPORT_EVERY, Session, Workstation, is_at_work
from fallow.coordinator.records import (
    Assigned,
    AttemptRecord,
    BuildRecord,
    Collecting,
    Live,
    NodeRecord,
    Phase,
)
from fallow.coordinator.world import World
from fallow.shared.messages import (
    PROTOCOL,
    Accepted,
    Ack,
    BuildReport,
    Bye,
    Hello,
    Rejected,
    Report,
    RunReport,
    Welcome,
)
from fallow.shared.moments import Moment
from fallow.shared.runs import Building, Declined, Ending, Finished, Running, Staging

_PHASES: dict[type, Phase] = {
    Staging: "staging",
    Building: "building",
    Running: "running",
    Ending: "ending",
}


def hear(world: World, name: str, message: Hello | Report | Bye, now: Moment) -> None:
    """Take in what a workstation said."""
    node = world.nodes.get(name)
    if node is None:
        node = world.add_node(NodeRecord(name=name, joined=now.wall), now)
    match message:
        case Report():
            _hear_report(world, node, message, now)
        case Hello():
            _hear_hello(world, node, message, now)
        case Bye():
            _hear_bye(world, node, message, now)


def _hear_hello(world: World, node: Workstation, hello: Hello, now: Moment) -> None:
    name = node.name
    if node.record.revoked is not None:
        world.send(ToNode(name, Rejected("This computer's key was revoked.")))
        return
    if hello.protocol != PROTOCOL:
        reason = (
            f"This computer speaks protocol {hello.protocol}, the coordinator {PROTOCOL}: "
            "install the same version of Fallow on both."
        )
        world.say(now.wall, "trouble", node=name, text=reason)
        world.send(ToNode(name, Rejected(reason)))
        return
    record = replace(
        node.record,
        resources=hello.resources,
        host=hello.host,
        boot=hello.boot,
        sessions=node.record.sessions + 1,
        seen=now.wall,
    )
    session = node.open(record, now)
    world.listen(node)
    world.save(record)
    world.say(now.wall, "online", node=name, text=hello.host)
    world.send(ToNode(name, Welcome(session.number, REPORT_EVERY, name)))


def _hear_bye(world: World, node: Workstation, bye: Bye, now: Moment) -> None:
    if node.session is None or bye.session != node.session.number:
        return
    node.close(now)
    world.say(now.wall, "offline", node=node.name, text=bye.why)
    if bye.why == "shutdown":
        for record in list(node.attempts.values()):
            if not is_committing(world, record):
                happen(world, record, attempts.ShutDown(), now)


def _hear_report(world: World, node: Workstation, report: Report, now: Moment) -> None:
    if not node.is_news(report):
        return
    session = node.session
    assert session is not None
    if not node.is_online(now):
        world.plan_wanted = True
    silent, node.heard = now.boot - node.heard, now.boot
    if not node.listening:
        world.listen(node)
        world.say(now.wall, "online", node=node.name, text=f"after {silent:.0f} s without a word")
        node.verdict = None  # which it says anew, for those who read what happened
    _hear_verdict(world, node, report, now)
    for build in report.builds:
        _hear_build(world, node, build, now)
    if len(node.builds) > len(report.builds):
        _forget_builds(world, node, report)
    strays = 0
    runs = {}
    for run in report.runs:
        runs[run.attempt] = run
        strays += not _hear_run(world, node, report.heard, run, now)
    node.runs = runs
    if strays != node.strays:
        node.strays = strays
        world.plan_wanted = True
    for record in list(node.attempts.values()):
        if record.id in runs or is_committing(world, record):
            continue
        said = session.said.get(record.id)
        if said is None or said.n <= report.heard:
            happen(world, record, attempts.Absent(), now)
        elif type(record.state) is Assigned and said.was_lost(report.heard, now):
            assign(world, node, record, now)
    session.forget(runs, node.attempts)
    forget = _forgettable(world, report) if report.builds else ()
    world.send(ToNode(node.name, Ack(report.seq, forget)))


def _hear_verdict(world: World, node: Workstation, report: Report, now: Moment) -> None:
    verdict, was = report.verdict, node.verdict
    if was is None or was.kind != verdict.kind:
        node.since = now.wall
        world.say(now.wall, "verdict", node=node.name, text=f"{verdict.kind}: {verdict.why}")
        world.plan_wanted = True
    if report.accepting != node.accepting:
        node.accepting = report.accepting
        world.plan_wanted = True
    node.verdict = verdict


def _hear_build(world: World, node: Workstation, build: BuildReport, now: Moment) -> None:
    batch = world.batches.get(build.batch)
    if batch is None:
        return
    if batch.rebuilt_key is not None and build.key != batch.rebuilt_key:
        return  # built before everything was told to build it anew
    was = node.builds.get(build.batch)
    record = BuildRecord(
        batch=build.batch,
        node=node.name,
        key=build.key,
        state=build.state,
        log=build.log,
        log_size=build.log_size,
        text=build.text,
    )
    if record == was:
        return
    world.put_build(record)
    if was is None or was.state != build.state:
        world.plan_wanted = True
        kind = "build_failed" if build.state == "failed" else build.state
        world.say(now.wall, kind, batch, node=node.name, text=build.text)
    if build.log is not None and (was is None or was.log != build.log):
        world.do(keep_log(world, record))


def _forget_builds(world: World, node: Workstation, report: Report) -> None:
    """A build that is not reported is not there: it may be tried again, even if it had failed."""
    there = {build.batch for build in report.builds}
    for uid in [uid for uid in node.builds if uid not in there]:
        del node.builds[uid]
        world.plan_wanted = True


def keep_log(world: World, build: BuildRecord) -> KeepBuildLog:
    """The effect that writes this build's log beside the jobs."""
    batch = world.batches[build.batch].record
    assert build.log is not None
    return KeepBuildLog(batch.namespace, batch.name, build.node, build.log, build.log_size)


def _hear_run(world: World, node: Workstation, heard: int, run: RunReport, now: Moment) -> bool:
    """Take in one run; False when nobody wants it and it still takes room."""
    record = world.attempts.get(run.attempt)
    if record is None or record.node != node.name:
        return _hear_stranger(world, node, heard, run, now)
    state = run.state
    if type(state) is Finished:
        if not is_committing(world, record):
            wanted = is_wanted(world, record)
            happen(world, record, attempts.SeenFinished(state, wanted), now, run)
        return True
    if type(state) is Declined:
        happen(world, record, attempts.SeenDeclined(state), now, run)
        return True
    session = node.session
    assert session is not None
    known = record.state
    phase = _PHASES[type(state)]
    if (
        type(known) is not Live
        or known.phase != phase
        or known.frozen != run.frozen
        or record.doubtful
    ):
        told = _was_told(session, run, heard, now)
        record = happen(world, record, attempts.Seen(phase, run.frozen, told), now, run)
    job = world.job(run.attempt.job)
    why = unwanted(job) if job is not None else None
    if why is not None and type(record.state) in {Live, Collecting}:
        stop(world, record, why, now)
    return not is_over(record)


def is_wanted(world: World, record: AttemptRecord) -> bool:
    """Whether the outcome of this attempt is still wanted: a success may upgrade a failure."""
    job = world.job(record.id.job)
    if job is None or job.killed:
        return False
    return world.shown(job) != "succeeded"


def _was_told(session: Session, run: RunReport, heard: int, now: Moment) -> bool:
    said = session.told.get(run.attempt)
    return said is not None and not said.was_lost(heard, now)


def _hear_stranger(
    world: World, node: Workstation, heard: int, run: RunReport, now: Moment
) -> bool:
    session = node.session
    assert session is not None
    if not is_at_work(run.state):
        world.send(ToNode(node.name, Accepted(run.attempt, "discarded")))
        return True
    if not _was_told(session, run, heard, now):
        withdraw(world, node.name, run.attempt, "kill", now)
    return False


def _forgettable(world: World, report: Report) -> tuple[str, ...]:
    """Batches with a build there that nobody needs any more."""
    in_use = {run.attempt.batch for run in report.runs}
    found = []
    for build in report.builds:
        batch = world.batches.get(build.batch)
        # Its log may still be on its way: told to forget the build, the workstation drops that too.
        over = batch is None or (batch.ended and build.log is not None)
        if over and build.batch not in in_use:
            found.append(build.batch)
    return tuple(found)
