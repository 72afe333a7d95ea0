"""`why` in every situation: what it says is true, and doing what it names starts the job."""

import shlex
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from fakes import AWAY, GIB, FakeCoordinator, ScriptedAgent, sweep_batch
from fallow.coordinator.events import Caller
from fallow.shared.batch import Batch, OnFailure, OnLost, Resources
from fallow.shared.messages import (
    BuildReport,
    Drain,
    Failed,
    Hold,
    Obstacle,
    Release,
    Retry,
    RunReport,
    Undrain,
    Why,
    WhyReply,
)
from fallow.shared.messages import Resources as Offer
from fallow.shared.runs import (
    Crashed,
    Declined,
    Exited,
    Finished,
    Reason,
    Running,
    Stopped,
    Verdict,
)

ADMIN = Caller("root", "admin")
BOB = Caller("bob", "submitter")
HERE = Verdict("present", (Reason("input", "you are here", 1_000_700.0),))


@pytest.fixture
def office() -> Iterator[FakeCoordinator]:
    coordinator = FakeCoordinator()
    yield coordinator
    assert coordinator.core.check() == []


@pytest.fixture
def desk(office: FakeCoordinator) -> ScriptedAgent:
    agent = ScriptedAgent(office, "desk")
    agent.connect()
    return agent


def why(office: FakeCoordinator, ref: str = "sweep") -> WhyReply:
    before = {batch: tuple(live.jobs) for batch, live in office.core.world.batches.items()}
    reply = office.ask(Why(ref))
    assert isinstance(reply, WhyReply)
    after = {batch: tuple(live.jobs) for batch, live in office.core.world.batches.items()}
    assert before == after, "asking changes nothing"
    return reply


def started(office: FakeCoordinator, ref: str = "sweep") -> bool:
    return office.shown(ref)[0] == "staging"


def batch(name: str = "sweep", jobs: int = 1, **keys: object) -> Batch:
    return replace(sweep_batch(name, jobs), **keys)


# --- the eight situations of the promise ----------------------------------------------------------


def test_1_someone_is_there(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    desk.verdict = HERE
    desk.report()
    office.submit(batch())
    said = why(office)
    assert (said.ref, said.state) == ("ana:sweep/j0", "queued")
    assert said.text == "desk does not take jobs now: you are here"
    text = "does not take jobs now: you are here"
    assert said.nodes == (Obstacle("desk", "input", text, 1_000_700.0),)
    assert said.fix == "it starts when nobody uses desk, or when whoever sits there lends it"
    assert (said.command, said.at, said.until) == ("tray lend 1h", "desk", 1_000_700.0)
    # They lend it.
    desk.verdict = Verdict("away", (Reason("lend", "you lend it"),))
    desk.report()
    assert started(office)


def test_2_a_pause_by_hand(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    desk.verdict = Verdict("barred", (Reason("pause", "you asked for a pause"),))
    desk.report()
    office.submit(batch())
    said = why(office)
    assert said.nodes[0].kind == "pause"
    assert (said.command, said.at, said.until) == ("tray resume", "desk", None)
    desk.verdict = AWAY
    desk.report()
    assert started(office)


def test_3_a_missing_capability(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=1, capabilities=("gfortran", "mpirun")))
    desk.offer = replace(desk.offer, capabilities=("gfortran",))
    desk.connect()
    said = why(office)
    assert said.nodes == (Obstacle("desk", "capability", "has no mpirun"),)
    assert said.fix.startswith("install mpirun on desk and name it under [offer] capabilities")
    office.submit(sweep_batch("typo", 1, capabilities=("gfortan",)))
    assert why(office, "typo").fix == "is gfortran meant? desk has that, and no gfortan"
    desk.offer = replace(desk.offer, capabilities=("gfortran", "mpirun"))
    desk.connect()
    assert started(office)


def test_4_too_little_memory(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=1, memory=12 * GIB))
    said = why(office)
    assert said.text == "desk has 8.0 GiB of the 12.0 GiB of memory it needs"
    assert said.nodes[0].kind == "memory"
    assert said.fix == (
        "ask for at most 8.0 GiB under resources (memory: it is 12.0 GiB), or let desk offer more"
        " ([offer] memory in its agent.toml)"
    )
    office.submit(sweep_batch("modest", 1, memory=8 * GIB))
    assert started(office, "modest")
    desk.read()
    desk.finish()
    desk.offer = replace(desk.offer, memory=16 * GIB)
    desk.connect()
    assert started(office)


def test_5_all_are_busy(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    loft = ScriptedAgent(office, "loft")
    loft.connect()
    office.submit(batch("others", 2), BOB)
    office.submit(batch())
    said = why(office)
    assert said.text == (
        "no workstation takes it now; the nearest to it: desk is at work on other jobs"
    )
    assert said.nodes == (
        Obstacle("desk", "busy", "is at work on ana:others/j0 of bob"),
        Obstacle("loft", "busy", "is at work on ana:others/j1 of bob"),
    )
    assert said.fix == "it starts on desk when ana:others/j0 of bob has ended"
    desk.read()
    desk.finish()
    assert started(office)


def test_6_the_build_failed_here(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    far = ScriptedAgent(office, "far")
    far.connect()
    far.bye()
    office.submit(sweep_batch(jobs=1, build=True))
    desk.read()
    uid, build = office.uid("sweep"), desk.assigned[-1].job.build
    assert build is not None
    desk.builds[uid] = BuildReport(uid, build.key, "failed")
    desk.run(Declined("build_failed", "make: 2"))
    said = why(office)
    assert [(each.node, each.kind) for each in said.nodes] == [
        ("desk", "build"),
        ("far", "offline"),
    ]
    assert "build_output_desk.txt" in said.fix
    assert said.command == "coordinator retry ana:sweep --rebuild"
    office.pass_time(3)
    desk.report()
    assert office.shown("sweep") == ["queued"]
    office.ask(Retry("ana:sweep", rebuild=True))
    assert started(office)


def test_7_what_it_follows_is_not_done(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch("mesh", 2))
    office.submit(batch(after=("mesh",)))
    said = why(office)
    assert said.state == "waiting"
    assert said.text == "it waits for ana:mesh, of which 0 of 2 jobs have succeeded"
    assert said.command == "coordinator why ana:mesh"
    assert why(office, "ana:mesh").state == "queued"
    desk.read()
    desk.finish()
    assert why(office).text == "it waits for ana:mesh, of which 1 of 2 jobs have succeeded"
    desk.finish()
    assert started(office)


def test_8_held(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    desk.accepting = False
    desk.report()
    office.submit(batch(jobs=3))
    office.ask(Hold("sweep"))
    desk.accepting = True
    desk.report()
    said = why(office)
    assert (said.state, said.text, said.like_it) == ("held", "held by ana", 2)
    assert (said.fix, said.command) == ("let it go on", "coordinator release ana:sweep")
    assert why(office, "sweep/j1").command == "coordinator release ana:sweep/j1"
    assert said.ahead is None
    office.ask(Release("ana:sweep"))
    assert started(office)


# --- and the others -------------------------------------------------------------------------------


def test_nobody_has_joined(office: FakeCoordinator) -> None:
    office.submit(batch())
    said = why(office)
    assert said.text == "no workstation has joined yet"
    assert said.command == "coordinator invite --role workstation --name NAME"
    ScriptedAgent(office, "desk").connect()
    assert started(office)


def test_drained(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.ask(Drain("desk"), ADMIN)
    office.submit(batch())
    said = why(office)
    assert said.text == "desk is drained by root"
    assert said.command == "coordinator undrain desk"
    office.ask(Undrain("desk"), ADMIN)
    assert started(office)


def test_quarantined(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    good = ScriptedAgent(office, "good")
    good.connect()
    office.submit(batch("fine", 9))
    good.read()
    good.run(Running())
    desk.read()
    for _ in range(5):
        desk.finish(Exited(127), seconds=0.1)
    said = why(office, "fine")
    assert [each.kind for each in said.nodes] == ["quarantined", "busy"]
    good.bye()
    said = why(office, "fine")
    assert said.command == "coordinator undrain desk"
    # The sixth had come before the fifth had failed.
    assert desk.finish() == ["accepted 6#1 committed"]
    office.ask(Undrain("desk"), ADMIN)
    assert desk.read() == ["assign 7#1"]


def test_given_back_a_moment_ago(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch())
    desk.read()
    desk.run(Declined("owner", "you are here"))
    said = why(office)
    assert said.nodes[0].kind == "gave_back"
    assert said.fix == "it starts on desk by itself in a moment"
    office.pass_time(3)
    desk.report()
    assert started(office)


def test_offline(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    desk.bye()
    office.submit(batch())
    said = why(office)
    assert (said.nodes[0].kind, said.command, said.at) == ("offline", "tray agent", "desk")
    desk.connect()
    assert started(office)


def test_finishing(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    desk.accepting = False
    desk.report()
    office.submit(batch())
    said = why(office)
    assert (said.nodes[0].kind, said.command, said.at) == ("finish", "tray resume", "desk")


@pytest.mark.parametrize(
    ("verdict", "kind", "text", "command"),
    [
        (
            Verdict("present", (Reason("busy", "other programs use half of it"),)),
            "load",
            "does not take jobs now: other programs use half of it",
            "tray lend 1h",
        ),
        (
            Verdict("settling", (Reason("settle", "the desk has just become free", 1_000_130.0),)),
            "settle",
            "does not take jobs now: the desk has just become free",
            "",
        ),
        (
            Verdict("barred", (Reason("exclusive", "paraview is open"),)),
            "exclusive",
            "does not take jobs now: paraview is open",
            "",
        ),
        (
            Verdict("barred", (Reason("blind", "no sensor answers"),)),
            "blind",
            "does not take jobs now: no sensor answers",
            "tray doctor",
        ),
        (
            Verdict("away", (Reason("finish", "you asked for no more jobs after these"),)),
            "finish",
            "takes no new jobs: you asked for no more jobs after these",
            "tray resume",
        ),
        (
            Verdict("barred", (Reason("of tomorrow", "the stars are wrong"),)),
            "of tomorrow",
            "does not take jobs now: the stars are wrong",
            "tray lend 1h",
        ),
    ],
)
def test_what_keeps_a_desk(
    office: FakeCoordinator,
    desk: ScriptedAgent,
    verdict: Verdict,
    kind: str,
    text: str,
    command: str,
) -> None:
    desk.verdict, desk.accepting = verdict, False
    desk.report()
    office.submit(batch())
    said = why(office)
    until = verdict.until if kind != "finish" else None
    assert said.nodes == (Obstacle("desk", kind, text, until),)
    assert (said.command, said.at) == (command, "desk" if command else "")


def test_gpus_disk_and_people(office: FakeCoordinator) -> None:
    desk = ScriptedAgent(office, "desk")
    desk.offer = Offer(2, 8 * GIB, 1, GIB, ("gpu",), ("bob",))
    desk.connect()
    office.submit(batch("cards", resources=Resources(gpus=2)))
    assert why(office, "cards").text == "desk has 1 of the 2 GPUs it needs"
    office.submit(batch("big", resources=Resources(disk=2 * GIB)))
    assert why(office, "big").text == "desk has 1.0 GiB of the 2.0 GiB of disk it needs"
    office.submit(batch("his"), BOB)
    said = why(office, "his")
    assert said.text == "desk does not run jobs of bob"
    assert said.fix == "ask for bob to be taken out of not_from in desk's agent.toml"


def test_it_backs_off(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch(on_failure=OnFailure(retries=1, back_off=40.0)))
    desk.read()
    desk.finish(Exited(1))
    said = why(office)
    assert (said.text, said.fix) == ("it failed and is tried again in 40 s", "wait")
    assert said.until == office.now.wall + 40


def test_the_nearest_of_several(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    """What ends by itself is nearer than what somebody must do, that nearer than a purchase."""
    paused = ScriptedAgent(office, "paused")
    paused.verdict = Verdict("barred", (Reason("pause", "you asked for a pause"),))
    paused.connect()
    small = ScriptedAgent(office, "small", memory=GIB)
    small.connect()
    desk.verdict = HERE
    desk.report()
    office.submit(sweep_batch(jobs=1, memory=4 * GIB))
    assert why(office).text.endswith("desk does not take jobs now: you are here")
    desk.bye()
    assert why(office).text.endswith("paused does not take jobs now: you asked for a pause")
    paused.bye()
    assert why(office).text.endswith("desk is offline")


def test_the_place_in_the_queue(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch("first", 3))
    office.submit(batch("his", 4), BOB)
    office.submit(batch("second", 5))
    office.submit(batch("urgent", 1, priority="high"))
    office.submit(batch("later", 2, priority="low"))
    assert (why(office, "urgent").ahead, why(office, "urgent").others) == (0, 4)
    assert (why(office, "first").ahead, why(office, "first").others) == (1, 4)
    assert why(office, "first/j2").ahead == 2
    assert why(office, "second").ahead == 3
    assert why(office, "second/j4").ahead == 7
    assert why(office, "later/j1").ahead == 9
    assert (why(office, "his").ahead, why(office, "his").others) == (0, 10)


def test_a_paused_job_and_one_that_runs(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch())
    desk.read()
    desk.run(Running())
    said = why(office)
    assert (said.state, said.text, said.fix) == ("running", "it is running on desk", "")
    desk.verdict = HERE
    desk.runs[desk.last] = RunReport(desk.last, Running(), True)
    desk.report()
    said = why(office)
    assert (said.state, said.text) == ("paused", "desk: you are here")
    assert said.fix == "it goes on when nobody uses desk, or when whoever sits there lends it"
    assert (said.command, said.until) == ("tray lend 1h", 1_000_700.0)


def test_its_workstation_is_silent(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch())
    office.submit(batch("patient", on_lost=OnLost(then="wait")))
    desk.read()
    desk.run(Running())
    office.pass_time(60)
    said = why(office)
    assert said.text == "no word from desk for 60 s; what runs goes on"
    assert said.fix.startswith("after 30 minutes of silence it starts elsewhere")
    assert said.command == "coordinator retry ana:sweep --lost"
    office.ask(Retry("ana:sweep", "lost"))
    assert office.shown("sweep") == ["queued"]


def test_held_by_what_it_follows_and_by_its_crashes(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch("mesh"))
    office.submit(batch(after=("mesh",)))
    desk.read()
    desk.finish(Exited(1))
    said = why(office)
    assert said.text == "ana:mesh, which it follows, has ended, and 1 of its jobs did not succeed"
    assert said.command == "coordinator retry ana:mesh"
    assert "coordinator release ana:sweep" in said.fix
    office.ask(Retry("ana:mesh"))
    desk.read()
    desk.finish()
    assert started(office)
    desk.finish()
    agents = [desk, ScriptedAgent(office, "b"), ScriptedAgent(office, "c")]
    office.submit(batch("killer"))
    for agent in agents:
        agent.read() if agent is desk else agent.connect()
        agent.accepting = False
        agent.finish(Crashed())
    said = why(office, "killer")
    assert "all died" in said.text
    assert said.command == "coordinator release ana:killer"
    office.ask(Release("ana:killer"))
    desk.accepting = True
    desk.report()
    assert started(office, "killer")


def test_what_is_over(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch(jobs=2))
    desk.read()
    desk.finish()
    desk.finish(Exited(3))
    assert why(office).text == "it ended with exit code 3"
    assert why(office).command == "coordinator retry ana:sweep"
    assert why(office, "sweep/j0").text == "it has succeeded"
    office.ask(Retry("sweep"))
    assert office.shown("sweep")[1] == "staging"
    assert isinstance(office.ask(Why("nothing")), Failed)


def test_it_ran_for_too_long(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch())
    desk.read()
    desk.finish(Stopped("run_time"))
    said = why(office)
    assert (said.state, said.text) == ("failed", "run_time: it ran for longer than its limit")


def test_lost_jobs_say_that_they_start_again(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch())
    desk.read()
    desk.run(Running())
    del desk.runs[desk.last]
    desk.report()
    assert why(office).text == "it was lost and starts again in 1 s"


def test_a_finished_run_that_comes_slowly(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch())
    desk.read()
    desk.run(Finished(Exited(0), "ab" * 32, 7))
    said = why(office)
    assert (said.state, said.text) == ("collecting", "its results come from desk")


def test_references_in_commands_can_be_pasted(office: FakeCoordinator) -> None:
    office.submit(batch("it's $(mine)"))
    office.ask(Hold("it's $(mine)"))
    said = why(office, "it's $(mine)")
    assert shlex.split(said.command) == ["coordinator", "release", "ana:it's $(mine)"]
