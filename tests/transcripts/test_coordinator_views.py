"""What `status` and `nodes` show of a group in various states."""

import pytest

from fakes import FakeCoordinator, ScriptedAgent, sweep_batch
from fallow.coordinator.events import Caller
from fallow.shared.messages import (
    BatchStatus,
    BuildReport,
    Drain,
    Failed,
    JobStatus,
    Kill,
    Nodes,
    NodesReply,
    NodeStatus,
    Retry,
    RunReport,
    Status,
    StatusReply,
    Why,
    WhyReply,
)
from fallow.shared.runs import (
    Declined,
    Exited,
    Progress,
    Reason,
    Running,
    Signalled,
    Stopped,
    Verdict,
)


@pytest.fixture
def office() -> FakeCoordinator:
    return FakeCoordinator()


@pytest.fixture
def desk(office: FakeCoordinator) -> ScriptedAgent:
    agent = ScriptedAgent(office, "desk", capabilities=("gfortran",))
    agent.connect()
    return agent


def status(office: FakeCoordinator, ref: str | None = None) -> BatchStatus:
    reply = office.ask(Status(ref))
    assert isinstance(reply, StatusReply)
    (batch,) = reply.batches
    return batch


def jobs(office: FakeCoordinator) -> tuple[JobStatus, ...]:
    found = status(office, "sweep").jobs
    assert found is not None
    return found


def reasons(office: FakeCoordinator) -> list[str | None]:
    return [job.reason for job in jobs(office)]


def node(office: FakeCoordinator) -> NodeStatus:
    reply = office.ask(Nodes())
    assert isinstance(reply, NodesReply)
    return reply.nodes[0]


def test_counts_sum_to_the_number_of_jobs(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=4))
    desk.read()
    desk.finish()
    desk.finish(Exited(2))
    desk.run(Running())
    shown = status(office)
    assert shown.counts == {"succeeded": 1, "failed": 1, "running": 1, "queued": 1}
    assert (shown.namespace, shown.batch, shown.owner) == ("ana", "sweep", "ana")
    assert (shown.state, shown.jobs) == ("running", None)


def test_nobody_has_joined(office: FakeCoordinator) -> None:
    office.submit(sweep_batch(jobs=1))
    assert reasons(office) == ["no workstation has joined yet"]
    assert status(office).state == "queued"
    assert status(office).eta_seconds is None


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"cpus": 8}, "desk has 2 of the 8 cores it needs"),
        ({"memory": 1 << 40}, "desk has 8.0 GiB of the 1.0 TiB of memory it needs"),
        ({"capabilities": ("gpu",)}, "desk has no gpu"),
    ],
)
def test_no_workstation_could_ever(
    office: FakeCoordinator, desk: ScriptedAgent, wishes: dict[str, object], reason: str
) -> None:
    office.submit(sweep_batch(jobs=1, **wishes))  # type: ignore[arg-type]
    assert reasons(office) == [reason]


def test_the_desk_is_in_use(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    desk.verdict = Verdict("present", (Reason("input", "you are here", 1_000_700.0),))
    desk.report()
    office.submit(sweep_batch(jobs=1))
    assert reasons(office) == ["desk does not take jobs now: you are here"]
    shown = node(office)
    assert (shown.state, shown.verdict, shown.why) == ("paused", "present", "you are here")
    assert shown.until == 1_000_700.0
    assert shown.since == office.now.wall
    assert (shown.cpus, shown.capabilities) == (2, ("gfortran",))


def test_a_paused_job_says_where_and_why(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=2))
    desk.read()
    desk.verdict = Verdict("present", (Reason("input", "you are here"),))
    desk.runs[desk.last] = RunReport(
        desk.last, Running(), True, 12.0, 3.0, Progress(0.43, "step 43")
    )
    desk.report()
    first, second = jobs(office)
    assert (first.state, first.workstation, first.reason) == (
        "paused",
        "desk",
        "desk: you are here",
    )
    assert (first.run_seconds, first.paused_seconds, first.progress) == (12.0, 3.0, 0.43)
    assert second.state == "queued"
    assert status(office).state == "paused"
    assert node(office).runs == ("ana:sweep/j0",)


def test_a_workstation_that_went_quiet(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    office.pass_time(40)
    assert reasons(office) == ["no word from desk for 40 s; what runs goes on"]
    shown = node(office)
    assert (shown.state, shown.last_report_seconds) == ("offline", 40.0)
    office.restart()
    assert reasons(office) == ["no word from desk yet; what runs there goes on"]
    assert node(office).last_report_seconds is None


def test_busy_with_other_jobs(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=2))
    assert reasons(office)[1] == "desk is at work on other jobs"
    assert node(office).state == "running"


def test_a_failed_build_and_a_second_workstation_that_is_away(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    loft = ScriptedAgent(office, "loft")
    loft.connect()
    loft.bye()
    office.submit(sweep_batch(jobs=1, build=True))
    desk.read()
    uid = office.uid("sweep")
    desk.builds[uid] = BuildReport(uid, "k", "failed")
    desk.run(Declined("build_failed"))
    assert reasons(office) == ["desk could not build it; loft is offline"]


def test_the_end_of_a_job(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=3))
    desk.read()
    desk.finish()
    desk.finish(Exited(3))
    desk.finish(Signalled(9))
    good, bad, shot = jobs(office)
    assert (good.exit, good.reason, good.workstation, good.run_seconds) == ("0", None, "desk", 60)
    assert (bad.state, bad.exit, bad.reason) == ("failed", "exit code 3", "ended with exit code 3")
    assert shot.exit == "signal 9"
    assert status(office).state == "failed"


def test_the_time_to_go(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=5, cpus=1))
    desk.read()
    first, second = [each.attempt for each in desk.assigned]
    desk.runs[first] = RunReport(first, Running())
    desk.run(Running(), second, seconds=10.0)
    assert status(office).eta_seconds is None
    desk.finish(attempt=first, seconds=30.0)
    # Two wait, one has just started, one has run 10 of about 30 seconds: 110 s for two at a time.
    assert status(office).eta_seconds == pytest.approx((30 * 2 + 30 + 20) / 2)


def test_killed_and_ended(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    office.ask(Kill("sweep"))
    (job,) = jobs(office)
    assert (job.state, job.reason) == ("stopping", "desk is ending it")
    desk.finish(exit=Stopped("kill"))
    (job,) = jobs(office)
    assert (job.state, job.reason, job.exit) == ("killed", "killed by ana", "stopped: kill")


def test_sent_elsewhere(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    office.ask(Drain("desk", now=True), Caller("boss", "admin"))
    (job,) = jobs(office)
    assert (job.state, job.reason) == ("stopping", "it leaves desk, to go on elsewhere")


def test_killed_before_it_ran(office: FakeCoordinator) -> None:
    office.submit(sweep_batch(jobs=1))
    office.ask(Kill("sweep"), Caller("boss", "admin"))
    (job,) = jobs(office)
    assert (job.state, job.reason) == ("killed", "killed by boss")
    office.restart()
    assert jobs(office)[0].reason == "killed by boss"
    reply = office.ask(Why("sweep"))
    assert isinstance(reply, WhyReply)
    assert reply.text == "it was killed by boss"
    office.ask(Retry("sweep"))
    assert jobs(office)[0].state == "queued"


def test_pages_of_jobs_and_a_single_one(office: FakeCoordinator) -> None:
    office.submit(sweep_batch(jobs=10))
    reply = office.ask(Status("sweep", after=4, limit=2))
    assert isinstance(reply, StatusReply)
    assert [job.name for job in reply.batches[0].jobs or ()] == ["j4", "j5"]
    reply = office.ask(Status("sweep/j7"))
    assert isinstance(reply, StatusReply)
    assert [job.name for job in reply.batches[0].jobs or ()] == ["j7"]
    reply = office.ask(Status("sweep", jobs=False))
    assert isinstance(reply, StatusReply)
    assert reply.batches[0].jobs is None
    assert isinstance(office.ask(Status("nothing")), Failed)
