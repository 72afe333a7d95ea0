"""Stories of what people do to the queue: hold, release, retry, follow, drain, hurry, try again."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from fakes import FakeCoordinator, ScriptedAgent, sweep_batch
from fallow.coordinator.events import Caller, Change, ClientAsked, Tell
from fallow.coordinator.records import Done, Held, Queued, Waiting
from fallow.shared.batch import Batch, OnFailure, OnLost, Resources
from fallow.shared.messages import (
    BuildReport,
    Drain,
    Failed,
    Hold,
    Kill,
    Release,
    Remove,
    Retry,
    RunReport,
    Submitted,
    Undrain,
    Why,
    WhyReply,
)
from fallow.shared.messages import Done as Did
from fallow.shared.messages import Resources as Offer
from fallow.shared.runs import Building, Declined, Exited, Finished, Running, Stopped

ADMIN = Caller("root", "admin")
BOB = Caller("bob", "submitter")


@pytest.fixture
def office() -> Iterator[FakeCoordinator]:
    coordinator = FakeCoordinator()
    yield coordinator
    assert coordinator.core.check() == []
    coordinator.restart()
    assert coordinator.core.check() == []


@pytest.fixture
def desk(office: FakeCoordinator) -> ScriptedAgent:
    agent = ScriptedAgent(office, "desk")
    agent.connect()
    return agent


@pytest.fixture
def loft(office: FakeCoordinator, desk: ScriptedAgent) -> ScriptedAgent:
    agent = ScriptedAgent(office, "loft")
    agent.connect()
    return agent


def batch(name: str = "sweep", jobs: int = 1, **keys: object) -> Batch:
    return replace(sweep_batch(name, jobs), **keys)


# --- hold and release -----------------------------------------------------------------------------


def test_a_hold_lets_go_on_what_runs_and_starts_nothing(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch(jobs=3))
    assert desk.read() == ["assign 0#1"]
    desk.run(Running())
    done = office.ask(Hold("sweep"))
    assert done == Did("3 jobs of ana:sweep held; 1 job of them goes on to its end")
    assert office.shown("sweep") == ["running", "held", "held"]
    assert office.notes("held") == ["held ana:sweep 3 jobs by ana"]
    assert desk.finish() == ["accepted 0#1 committed"]
    assert office.shown("sweep") == ["succeeded", "held", "held"]
    office.restart()
    desk.connect()
    assert desk.assigned == desk.assigned[:1]
    assert office.ask(Release("sweep/j2")) == Did("ana:sweep/j2 goes on")
    assert desk.read() == ["assign 2#1"]
    assert office.ask(Release("sweep")) == Did("1 job of ana:sweep goes on")
    assert office.ask(Release("sweep")) == Did("ana:sweep is not held")


def test_a_held_job_that_was_running_does_not_start_again_after_an_eviction(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch())
    desk.read()
    desk.run(Running())
    office.ask(Hold("sweep"))
    office.restart()
    desk.connect()
    assert desk.run(Finished(Stopped("evict"))) == ["accepted 0#1 discarded"]
    assert office.job("sweep/j0").state == Held("held by ana", "hand")
    assert office.notes("held")[1:] == ["held ana:sweep/j0 held by ana"]
    office.ask(Release("sweep"))
    assert desk.read() == ["assign 0#2"]


def test_only_the_owner_and_admins_change_a_batch(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch(jobs=2))
    for verb in (Hold("sweep"), Release("sweep"), Retry("sweep")):
        answer = office.ask(verb, BOB)
        assert isinstance(answer, Failed)
        assert answer.title == "Batch ana:sweep belongs to ana"
        assert type(verb).__name__.lower() in answer.detail
    assert isinstance(office.ask(Hold("sweep"), ADMIN), Did)
    assert isinstance(office.ask(Hold("swep"), ADMIN), Failed)


# --- retry ----------------------------------------------------------------------------------------


def test_a_retry_tries_anew_what_failed_or_was_killed(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch(jobs=3))
    desk.read()
    desk.finish(Exited(3))
    desk.finish(Exited(0))
    office.ask(Kill("sweep/j2"))
    desk.read()
    desk.finish(Exited(0))
    assert office.shown("sweep") == ["failed", "succeeded", "killed"]
    assert office.ask(Retry("sweep", "failed")) == Did("1 job of ana:sweep is tried again")
    assert desk.read() == ["assign 0#2"]
    assert office.job("sweep/j0").failures == 0
    assert office.ask(Retry("sweep")) == Did("1 job of ana:sweep is tried again")
    assert office.shown("sweep") == ["staging", "succeeded", "queued"]
    desk.finish(Exited(0))
    assert office.job("sweep/j0").state == Done("succeeded", 2)
    desk.finish(Exited(0))
    assert office.shown("sweep") == ["succeeded"] * 3


def test_a_retry_that_is_said_again_is_done_once(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch())
    desk.read()
    desk.finish(Exited(3))
    ask = Retry("sweep", once="a word")
    assert office.ask(ask) == Did("1 job of ana:sweep is tried again")
    assert desk.read() == ["assign 0#2"]
    desk.finish(Exited(3))
    office.restart()
    desk.connect()
    assert office.ask(ask) == Did("ana:sweep is tried again")
    assert office.shown("sweep") == ["failed"]
    office.ask(Retry("sweep", once="another"))
    assert office.shown("sweep") == ["staging"]


def test_what_succeeded_runs_again_only_when_that_is_said(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch())
    desk.read()
    desk.finish()
    answer = office.ask(Retry("sweep/j0"))
    assert isinstance(answer, Failed)
    assert (answer.title, answer.detail) == (
        "There is nothing of ana:sweep/j0 to try again",
        "It is succeeded.",
    )
    assert "--all" in answer.hint
    assert office.ask(Retry("sweep/j0", "all")) == Did("ana:sweep/j0 is tried again")
    assert desk.read() == ["assign 0#2"]
    desk.finish()
    assert office.job("sweep/j0").state == Done("succeeded", 2)


def test_a_retry_of_a_silent_job_starts_it_elsewhere(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch(on_lost=OnLost(then="wait")))
    desk.read()
    desk.run(Running())
    loft = ScriptedAgent(office, "loft")
    loft.connect()
    assert isinstance(office.ask(Retry("sweep", "lost")), Failed)
    for _ in range(700):
        office.pass_time(10)
        loft.report()
    assert office.shown("sweep") == ["running"]
    assert loft.assigned == []
    assert office.ask(Retry("sweep", "lost")) == Did("1 job of ana:sweep is tried again")
    loft.report()
    assert [str(each.attempt.number) for each in loft.assigned] == ["2"]
    # The silent one comes back and wins: the other is not needed any more.
    desk.connect()
    assert desk.finish() == ["accepted 0#1 committed"]
    assert "withdraw 0#2 superseded" in loft.read()
    loft.finish()


def test_a_job_lost_after_what_its_batch_says(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch(on_lost=OnLost(after=60.0)))
    desk.read()
    desk.run(Running())
    office.pass_time(50)
    assert office.shown("sweep") == ["running"]
    office.pass_time(20)
    assert office.shown("sweep") == ["queued"]


def test_a_rebuild_forgets_what_failed_and_holds_nobody_any_more(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1, build=True))
    desk.read()
    uid, build = office.uid("sweep"), desk.assigned[-1].job.build
    assert build is not None
    desk.builds[uid] = BuildReport(uid, build.key, "failed")
    desk.run(Declined("build_failed", "make: 2"))
    state = office.job("sweep/j0").state
    assert isinstance(state, Held)
    assert state.by == "build"
    assert office.ask(Retry("sweep", rebuild=True)) == Did(
        "ana:sweep is built anew wherever it runs"
    )
    assert desk.read() == ["assign 0#2"]
    desk.run(Building())
    office.restart()
    desk.connect()
    # It still reports the old build; the job comes with another key, so it builds anew.
    again = desk.assigned[-1].job.build
    assert again is not None
    assert (desk.last.number, again.action) == (2, build.action)
    assert again.key != build.key
    desk.builds[uid] = BuildReport(uid, again.key, "built")
    desk.run(Running())
    desk.finish()
    assert office.shown("sweep") == ["succeeded"]


# --- trying again by itself -----------------------------------------------------------------------


def test_retries_wait_twice_as_long_each_time_and_then_it_has_failed(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch(on_failure=OnFailure(retries=3, back_off=10.0)))
    desk.read()
    waited = []
    for _ in range(3):
        desk.finish(Exited(1))
        state = office.job("sweep/j0").state
        assert isinstance(state, Queued)
        assert state.not_before is not None
        waited.append(state.not_before.length)
        for _ in range(5):
            office.pass_time(state.not_before.length / 5)
            desk.report()
        assert office.shown("sweep") == ["staging"]
    assert waited == [10.0, 20.0, 40.0]
    desk.finish(Exited(1))
    job = office.job("sweep/j0")
    assert (job.state, job.failures, job.attempts) == (Done("failed", 4), 4, 4)
    office.ask(Retry("sweep"))
    assert desk.read() == ["assign 0#5"]
    desk.finish(Exited(1))
    assert office.shown("sweep") == ["queued"], "a retry has all its tries again"


def test_evictions_and_crashes_use_up_no_retries(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch(on_failure=OnFailure(retries=1, back_off=1.0)))
    desk.read()
    for _ in range(4):
        desk.run(Running())
        desk.run(Finished(Stopped("evict")))
    desk.finish(Exited(1))
    assert office.shown("sweep") == ["queued"]


# --- following ------------------------------------------------------------------------------------


def test_what_follows_starts_when_all_of_it_has_succeeded(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch("mesh", 2))
    office.submit(batch("grid"))
    reply = office.submit(batch("solve", 2, after=("mesh", "ana:grid/j0", "mesh")))
    assert reply == Submitted("ana", "solve", 2)
    assert office.job("solve/j1").state == Waiting(("ana:mesh", "ana:grid/j0"))
    desk.read()
    desk.finish()
    desk.finish()
    assert office.job("solve/j1").state == Waiting(("ana:grid/j0",))
    desk.run(Running())
    office.restart()
    desk.connect()
    desk.finish()
    assert office.shown("solve") == ["staging", "queued"]
    assert office.submit(batch("late", after=("mesh",))) == Submitted("ana", "late", 1)
    assert office.shown("late") == ["queued"]


def test_what_follows_a_failure_is_held_with_a_sentence_and_goes_on_when_that_is_mended(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch("mesh", 2))
    office.submit(batch("solve", 2, after=("mesh",)))
    office.submit(batch("plot", after=("solve",)))
    desk.read()
    desk.finish(Exited(1))
    assert office.shown("solve") == ["waiting", "waiting"]
    desk.finish()
    why = "ana:mesh, which it follows, has ended, and 1 of its jobs did not succeed"
    assert office.job("solve/j0").state == Held(why, "after")
    assert office.shown("plot") == ["waiting"]
    office.restart()
    desk.connect()
    office.ask(Retry("mesh"))
    assert office.shown("solve") == ["waiting", "waiting"]
    desk.read()
    desk.finish()
    assert office.shown("solve") == ["staging", "queued"]


def test_people_are_told_once_that_nothing_goes_on(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    def told() -> list[str]:
        found = [each.message for each in office.done if isinstance(each, Tell)]
        return [each.title for each in found]

    office.submit(batch("mesh", 2))
    office.submit(replace(batch("solve", 2, after=("mesh",)), notify=("desktop",)))
    desk.read()
    desk.finish(Exited(1))
    desk.finish()
    assert office.shown("solve") == ["held", "held"]
    assert told() == ["ana:solve is held"]
    # By hand: whoever does that knows.
    office.ask(Release("solve/j0"))
    desk.read()
    office.ask(Hold("solve/j1"))
    desk.finish()
    assert office.shown("solve") == ["succeeded", "held"]
    assert told() == ["ana:solve is held"]
    office.ask(Kill("solve/j1"))
    assert told() == ["ana:solve is held", "ana:solve has ended"]


def test_what_is_killed_while_it_waits_and_tried_again_waits_again(
    office: FakeCoordinator,
) -> None:
    office.submit(batch("mesh"))
    office.submit(batch("solve", 2, after=("mesh",)))
    office.ask(Kill("solve"))
    office.ask(Retry("solve"))
    assert office.shown("solve") == ["waiting", "waiting"]
    office.ask(Kill("solve/j0"))
    office.ask(Kill("mesh"))
    said = office.ask(Retry("solve/j0"))
    assert office.shown("solve") == ["held", "held"]
    assert isinstance(said, Did)
    assert said.text.startswith("ana:solve/j0 is tried again; 1 held, since ana:mesh, which it")
    office.ask(Release("solve"))
    assert office.shown("solve") == ["queued", "queued"]


def test_a_release_starts_what_follows_a_failure_all_the_same(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch("mesh"))
    office.submit(batch("solve", after=("mesh",)))
    desk.read()
    desk.finish(Exited(1))
    assert office.shown("solve") == ["held"]
    office.ask(Release("solve"))
    assert office.shown("solve") == ["staging"]


def test_what_follows_is_held_when_that_is_killed_or_removed(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch("mesh"))
    office.submit(batch("solve", after=("mesh",)))
    office.ask(Hold("solve"))
    desk.read()
    desk.finish(Exited(1))
    office.ask(Release("solve"))
    assert "1 of its jobs did not succeed" in str(office.job("solve/j0").state)
    office.ask(Remove("mesh"))
    office.submit(batch("again", after=("solve",)))
    office.ask(Kill("solve"))
    assert office.shown("again") == ["held"]
    office.ask(Remove("solve"))
    office.ask(Remove("again"))


def test_a_hold_of_what_waits_keeps_what_it_waits_for(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch("mesh"))
    office.submit(batch("solve", after=("mesh",)))
    office.ask(Hold("solve"))
    office.ask(Release("solve"))
    assert office.job("solve/j0").state == Waiting(("ana:mesh",))
    office.ask(Hold("solve"))
    desk.read()
    desk.finish()
    assert office.shown("solve") == ["held"]
    office.ask(Release("solve"))
    assert office.shown("solve") == ["staging"]


def test_only_what_is_there_can_be_followed(office: FakeCoordinator) -> None:
    answer = office.submit(batch("solve", after=("mseh",)))
    assert isinstance(answer, Failed)
    assert (answer.title, answer.exit_code) == ("There is no batch 'mseh'", 1)
    answer = office.submit(batch("solve", after=("solve",)))
    assert isinstance(answer, Failed), "nobody can wait for itself"
    office.submit(sweep_batch("mesh", 1))
    office.submit(sweep_batch("mesh", 1, namespace="bob"))
    answer = office.submit(batch("solve", after=("mesh",)))
    assert isinstance(answer, Failed)
    assert (answer.exit_code, answer.detail) == (2, "ana:mesh, bob:mesh")
    office.ask(Kill("ana:mesh"))
    reply = office.submit(batch("solve", after=("ana:mesh",)))
    assert isinstance(reply, Submitted)
    assert reply.warnings[0].startswith("it is held: ana:mesh, which it follows, has ended")
    assert office.shown("solve") == ["held"]


# --- priority, and what a workstation is asked for ------------------------------------------------


def test_an_urgent_batch_of_the_same_owner_goes_first(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch("slow", 3))
    office.submit(batch("later", 1, priority="low"))
    office.submit(batch("urgent", 1, priority="high"))
    desk.read()
    order = []
    for _ in range(5):
        order.append(desk.assigned[-1].job.batch)
        desk.finish()
    assert order == ["slow", "urgent", "slow", "slow", "later"]


def test_a_job_that_needs_all_of_a_workstation_is_not_kept_waiting_by_small_ones(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch("small", 500, cpus=1))
    office.submit(batch("wide"), BOB)
    desk.read()
    first, second = (each.attempt for each in desk.assigned)
    desk.runs[first] = RunReport(first, Running())
    desk.run(Running(), second)
    for _ in range(100):
        # One of the two small ones ends, and another takes its place.
        office.pass_time(10)
        ended, *_ = desk.runs
        before = len(desk.assigned)
        desk.finish(attempt=ended)
        if len(desk.assigned) == before:
            break
        desk.run(Running())
    else:
        raise AssertionError("the wide job starved")
    assert 600 <= office.now.boot - 100 < 700
    assert office.shown("wide") == ["queued"]
    reply = office.ask(Why("small"))
    assert isinstance(reply, WhyReply)
    assert reply.nodes[0].kind == "kept"
    desk.finish(attempt=next(iter(desk.runs)))
    assert desk.assigned[-1].job.batch == "wide"
    desk.run(Running())
    desk.finish()
    assert desk.assigned[-1].job.batch == "small"


def test_a_job_that_comes_back_to_the_queue_has_not_waited_all_that_time(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(batch("wide"), BOB)
    desk.read()
    desk.run(Running())
    wide = desk.last
    office.submit(sweep_batch("small", 9, cpus=1))
    for _ in range(70):
        office.pass_time(10)
        desk.report()
    desk.accepting = False
    desk.run(Finished(Stopped("evict")), wide)
    desk.accepting = True
    assert desk.report() == ["assign 0#2"], "it is bob's turn"
    desk.run(Running())
    live, _ = office.core.find("wide")
    assert not live.has_waited(live.kind(0), office.now)
    office.ask(Hold("wide"), BOB)
    desk.run(Finished(Stopped("evict")))
    office.pass_time(1000)
    office.ask(Release("wide"), BOB)
    assert not live.has_waited(live.kind(0), office.now)


def test_what_is_kept_for_a_job_that_is_killed_is_free_again(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch("small", 9, cpus=1))
    office.submit(batch("wide"), BOB)
    desk.read()
    first, second = (each.attempt for each in desk.assigned)
    for _ in range(70):
        office.pass_time(10)
        desk.runs = {each: RunReport(each, Running()) for each in (first, second)}
        desk.report()
    desk.finish(attempt=first)
    assert len(desk.assigned) == 2
    office.ask(Kill("wide"), BOB)
    desk.read()
    assert len(desk.assigned) == 3


def test_gpus_and_disk_are_given_out_and_taken_back(office: FakeCoordinator) -> None:
    desk = ScriptedAgent(office, "desk", cpus=4)
    desk.offer = Offer(4, 8 << 30, 2, 100 << 30, ("gpu",))
    desk.connect()
    wishes = Resources(cpus=1, gpus=1, disk=60 << 30)
    office.submit(replace(sweep_batch(jobs=3, capabilities=("gpu",)), resources=wishes))
    assert desk.read() == ["assign 0#1"]
    assert (desk.assigned[-1].job.gpus, desk.assigned[-1].job.disk) == (1, 60 << 30)
    office.submit(replace(sweep_batch("cards", 3, cpus=1, capabilities=("gpu",))))
    assert desk.read() == ["assign 0#1"]
    assert desk.assigned[-1].job.gpus == 1, "the capability alone asks for one"
    first, cards = desk.assigned
    desk.runs[first.attempt] = RunReport(first.attempt, Running())
    desk.run(Running(), cards.attempt)
    office.restart()
    desk.connect()
    assert desk.finish(attempt=cards.attempt) == ["assign 1#1", "accepted 0#1 committed"]
    assert desk.assigned[-1].job.batch == "cards", "the disk is still the first one's"


def test_a_workstation_runs_nothing_of_people_it_does_not_run(office: FakeCoordinator) -> None:
    desk = ScriptedAgent(office, "desk")
    desk.offer = replace(desk.offer, not_from=("bob",))
    desk.connect()
    reply = office.submit(batch("his"), BOB)
    assert isinstance(reply, Submitted)
    assert reply.warnings == (
        "no workstation known now can run 1 of the jobs: desk does not run jobs of bob",
    )
    office.submit(batch("hers"))
    desk.read()
    assert [each.job.owner for each in desk.assigned] == ["ana"]
    assert office.shown("his") == ["queued"]


# --- drain ----------------------------------------------------------------------------------------


def test_a_drained_workstation_finishes_what_it_has_and_gets_nothing_over_a_restart(
    office: FakeCoordinator, desk: ScriptedAgent, loft: ScriptedAgent
) -> None:
    office.submit(batch(jobs=4))
    desk.read()
    loft.read()
    done = office.ask(Drain("desk"), ADMIN)
    assert done == Did("desk takes no new jobs; 1 job there goes on to its end (--now: elsewhere)")
    assert desk.finish() == ["accepted 0#1 committed"]
    assert loft.finish() == ["assign 2#1", "accepted 1#1 committed"]
    loft.run(Running())
    office.restart()
    desk.connect()
    loft.connect()
    assert [str(each.attempt.index) for each in desk.assigned] == ["0"]
    assert office.ask(Undrain("desk"), ADMIN) == Did("desk takes jobs again")
    assert desk.read() == ["assign 3#1"]
    assert office.notes("drained", "undrained") == [
        "drained desk by root",
        "undrained desk by root",
    ]


def test_a_drain_now_sends_what_runs_elsewhere_and_costs_it_nothing(
    office: FakeCoordinator, desk: ScriptedAgent, loft: ScriptedAgent
) -> None:
    office.submit(batch())
    desk.read()
    desk.run(Running())
    done = office.ask(Drain("desk", True), ADMIN)
    assert done == Did("desk takes no new jobs; 1 job there goes elsewhere")
    assert desk.read() == ["withdraw 0#1 evict"]
    assert desk.run(Finished(Stopped("evict"))) == ["accepted 0#1 discarded"]
    assert loft.read() == ["assign 0#2"]
    job = office.job("sweep/j0")
    assert (job.failures, job.evictions) == (0, 1)


def test_drains_of_nobody_and_twice(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    answer = office.ask(Drain("dsek"), ADMIN)
    assert isinstance(answer, Failed)
    assert (answer.title, answer.hint) == ("There is no workstation 'dsek'", "did you mean desk?")
    office.ask(Drain("desk"), ADMIN)
    assert office.ask(Drain("desk"), ADMIN) == Did("desk takes no new jobs, and has none")
    desk.accepting = False
    desk.report()
    done = office.ask(Undrain("desk"), ADMIN)
    assert done == Did("desk takes jobs again, but now it takes no new jobs")
    assert office.ask(Undrain("desk"), ADMIN) == Did("desk was not drained")


def test_every_change_said_twice_does_no_harm(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(batch(jobs=2))
    desk.read()
    every: tuple[Change, ...] = (Hold("sweep"), Drain("desk"), Undrain("desk"), Release("sweep"))
    for number, body in enumerate(every):
        for again in range(2):
            office.turn(ClientAsked(1000 + 2 * number + again, ADMIN, body))
            assert office.core.check() == []
    assert office.shown("sweep") == ["staging", "queued"]
