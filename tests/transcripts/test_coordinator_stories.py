"""Stories of the coordinator's core as transcripts: what is said to it, what it says back.

Every story ends with the whole world checked, here and after one more restart.
"""

from collections.abc import Iterator

import pytest

from fakes import ANA, GIB, FakeCoordinator, ScriptedAgent, short, sweep_batch
from fallow.coordinator.events import (
    AgentSaid,
    Caller,
    Commit,
    KeepBuildLog,
    NodeRevoked,
    RemoveTree,
)
from fallow.coordinator.records import Active, Done, Ended, Held, Queued
from fallow.shared.ids import AttemptId
from fallow.shared.messages import (
    BuildReport,
    Failed,
    Hello,
    Kill,
    Need,
    Remove,
    Report,
    RunReport,
    Submitted,
)
from fallow.shared.messages import (
    Done as Did,
)
from fallow.shared.runs import (
    Building,
    Crashed,
    Declined,
    DeclineReason,
    Ending,
    Exited,
    Finished,
    Reason,
    Running,
    Signalled,
    Staging,
    Stopped,
    Verdict,
)


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


def test_a_job_from_submit_to_result(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    assert office.submit(sweep_batch(jobs=1)) == Submitted("ana", "sweep", 1)
    assert desk.read() == ["assign 0#1"]
    assign = desk.assigned[-1]
    assert (assign.job.job, assign.job.cpus, assign.job.memory) == ("j0", 2, None)
    assert office.shown("sweep") == ["staging"]
    assert desk.run(Staging(3, 10)) == []
    assert desk.run(Running()) == []
    assert office.shown("sweep") == ["running"]
    assert desk.run(Running(), frozen=True) == []
    assert office.shown("sweep") == ["paused"]
    assert desk.run(Running(), seconds=50) == []
    assert desk.run(Ending(), seconds=60) == []
    assert desk.finish(stored=False) == []
    assert office.shown("sweep") == ["collecting"]
    assert desk.finish() == ["accepted 0#1 committed"]
    assert office.shown("sweep") == ["succeeded"]
    (commit,) = [each for each in office.done if isinstance(each, Commit)]
    assert (commit.outcome, commit.job, commit.node) == ("result", "j0", "desk")
    assert commit.run_seconds == 60
    assert office.notes("paused", "resumed", "done") == [
        "paused ana:sweep/j0 desk",
        "resumed ana:sweep/j0 desk",
        "done ana:sweep/j0 succeeded",
    ]
    assert desk.report() == []


def test_the_next_job_starts_as_soon_as_the_processors_are_free(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=2))
    desk.read()
    assert desk.finish(stored=False) == ["assign 1#1"]
    assert office.shown("sweep") == ["collecting", "staging"]


def test_jobs_that_ask_for_less_run_side_by_side(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=3, cpus=1))
    assert desk.read() == ["assign 0#1", "assign 1#1"]
    assert [each.job.memory for each in desk.assigned] == [4 * GIB, 4 * GIB]
    assert [each.job.cpus for each in desk.assigned] == [1, 1]


def test_a_failing_job_brings_its_partial_results_and_is_not_tried_again(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    assert desk.finish(Exited(3)) == ["accepted 0#1 kept"]
    job = office.job("sweep/j0")
    assert job.state == Done("failed", 1)
    assert (job.failures, job.crashes, job.evictions) == (1, 0, 0)
    assert [(each.outcome, each.exit) for each in office.done if isinstance(each, Commit)] == [
        ("failed", Exited(3))
    ]


def test_a_signal_of_its_own_is_a_failure(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.finish(Signalled(11))
    assert office.shown("sweep") == ["failed"]


def test_withdrawn_and_exit_0_is_not_finished(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    assert office.ask(Kill("sweep")) == Did("1 job of ana:sweep is being ended")
    assert desk.read() == ["withdraw 0#1 kill"]
    assert office.shown("sweep") == ["stopping"]
    # It saves itself on SIGTERM and exits 0; even if its agent says so, that is no success.
    assert desk.finish(Exited(0)) == ["accepted 0#1 discarded"]
    assert office.shown("sweep") == ["killed"]
    assert office.on_disk == {}


def test_evicted_and_exit_0_is_not_finished(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    assert desk.run(Finished(Stopped("evict"))) == ["accepted 0#1 discarded", "assign 0#2"]
    job = office.job("sweep/j0")
    assert (job.failures, job.crashes, job.evictions) == (0, 0, 1)


def test_a_build_that_fails_on_one_workstation_costs_no_job_anything(
    office: FakeCoordinator, desk: ScriptedAgent, loft: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=3, build=True))
    uid = office.uid("sweep")
    key = desk.assigned[-1].job.build if desk.read() == ["assign 0#1"] else None
    assert key is not None
    assert loft.read() == ["assign 1#1"]
    desk.builds[uid] = BuildReport(uid, key.key, "building")
    desk.run(Building())
    loft.builds[uid] = BuildReport(uid, key.key, "building")
    loft.run(Building())
    assert office.shown("sweep") == ["building", "building", "queued"]
    desk.builds[uid] = BuildReport(uid, key.key, "failed", "cd" * 32, 9, "make: 2")
    assert desk.run(Declined("build_failed", "make: 2")) == ["accepted 0#1 discarded"]
    loft.builds[uid] = BuildReport(uid, key.key, "built", "ef" * 32, 9)
    loft.run(Running())
    assert office.shown("sweep") == ["queued", "running", "queued"]
    assert office.logs_kept() == [
        KeepBuildLog("ana", "sweep", "desk", "cd" * 32, 9),
        KeepBuildLog("ana", "sweep", "loft", "ef" * 32, 9),
    ]
    loft.finish()
    for expected in ("0#2", "2#1"):
        assert short(loft.last) == expected
        loft.finish()
    assert desk.report() == ["forget 1"]
    assert desk.assigned == desk.assigned[:1]
    assert office.shown("sweep") == ["succeeded"] * 3
    assert all(
        (job.failures, job.crashes, job.evictions) == (0, 0, 0)
        for job in office.core.find("sweep")[0].jobs
    )


def test_a_build_that_fails_everywhere_holds_the_batch_and_says_where_the_logs_are(
    office: FakeCoordinator, desk: ScriptedAgent, loft: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=3, build=True))
    uid = office.uid("sweep")
    for agent in (desk, loft):
        agent.read()
        agent.builds[uid] = BuildReport(uid, "k", "failed", "cd" * 32, 9)
        agent.run(Declined("build_failed"))
    assert office.shown("sweep") == ["held"] * 3
    held = office.job("sweep/j2").state
    assert isinstance(held, Held)
    assert "build_output_desk.txt, build_output_loft.txt" in held.why


def test_a_build_is_forgotten_only_once_its_log_is_here(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1, build=True))
    uid = office.uid("sweep")
    desk.read()
    desk.builds[uid] = BuildReport(uid, "k", "built")
    desk.finish()
    assert desk.report() == []
    desk.builds[uid] = BuildReport(uid, "k", "built", "cd" * 32, 9)
    assert desk.report() == ["forget 1"]
    assert len(office.logs_kept()) == 1


def test_a_workstation_that_was_set_up_anew_may_build_again(
    office: FakeCoordinator, desk: ScriptedAgent, loft: ScriptedAgent
) -> None:
    loft.bye()
    office.submit(sweep_batch(jobs=1, build=True))
    uid = office.uid("sweep")
    desk.read()
    desk.builds[uid] = BuildReport(uid, "k", "failed")
    desk.run(Declined("build_failed"))
    office.pass_time(10)
    assert desk.report() == []
    desk.builds.clear()
    desk.hello()
    assert desk.report() == ["assign 0#2"]


def test_a_build_log_that_may_have_been_lost_with_the_process_is_written_again(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1, build=True))
    uid = office.uid("sweep")
    desk.read()
    desk.builds[uid] = BuildReport(uid, "k", "built", "cd" * 32, 9)
    desk.run(Running())
    assert len(office.logs_kept()) == 1
    office.restart()
    assert len(office.logs_kept()) == 2


def test_killed_while_offline_ends_when_it_comes_back(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    office.pass_time(60)
    office.ask(Kill("sweep/j0"))
    desk.cut()
    assert office.shown("sweep") == ["stopping"]
    assert desk.hello() == ["welcome 2"]
    assert desk.run(Running()) == ["withdraw 0#1 kill"]
    assert desk.run(Running()) == []  # said once in a session
    assert office.shown("sweep") == ["stopping"]
    assert desk.run(Finished(Stopped("kill"))) == ["accepted 0#1 discarded"]
    assert office.shown("sweep") == ["killed"]
    assert office.on_disk == {}


def test_killed_while_offline_and_the_result_was_spooled_already(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    office.ask(Kill("sweep/j0"))
    desk.cut()
    desk.hello()
    assert desk.finish(stored=False) == ["accepted 0#1 discarded"]
    assert office.shown("sweep") == ["killed"]
    assert office.on_disk == {}


def test_a_build_is_forgotten_when_its_log_is_here(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1, build=True))
    uid = office.uid("sweep")
    desk.read()
    desk.builds[uid] = BuildReport(uid, "k", "built")
    assert desk.finish() == ["accepted 0#1 committed"]
    assert office.shown("sweep") == ["succeeded"]
    assert desk.report() == []
    desk.builds[uid] = BuildReport(uid, "k", "built", "ef" * 32, 9)
    assert desk.report() == ["forget 1"]
    assert office.logs_kept() == [KeepBuildLog("ana", "sweep", "desk", "ef" * 32, 9)]


def test_killed_and_removed_while_offline_for_long(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1, build=True))
    uid = office.uid("sweep")
    desk.read()
    desk.builds[uid] = BuildReport(uid, "k", "built")
    desk.run(Running())
    office.pass_time(60)
    office.ask(Kill("sweep"))
    assert isinstance(office.ask(Remove("sweep")), Failed)
    office.pass_time(31 * 60)
    assert office.shown("sweep") == ["killed"]
    assert office.ask(Remove("sweep")) == Did("ana:sweep and its results are removed")
    assert RemoveTree(uid, "ana", "sweep") in office.done
    desk.cut()
    desk.hello()
    assert desk.run(Running()) == ["withdraw 0#1 kill"]
    assert desk.run(Finished(Stopped("kill"))) == ["accepted 0#1 discarded"]
    assert desk.report() == ["forget 1"]


def test_a_coordinator_that_restarts_finds_the_run_again(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=2))
    desk.read()
    desk.run(Running())
    office.restart()
    assert office.shown("sweep") == ["running", "queued"]
    assert desk.run(Running()) == []  # of a session that this process does not know: no Ack
    assert desk.hello() == ["welcome 2"]
    assert desk.run(Running()) == []
    assert desk.finish() == ["assign 1#1", "accepted 0#1 committed"]


def test_the_coordinator_dies_while_the_job_ends(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    office.restart()
    desk.hello()
    assert desk.finish() == ["accepted 0#1 committed"]
    assert office.on_disk == {desk.last.job: [(1, "result")]}


def test_the_acceptance_is_lost_and_said_again_but_committed_once(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.finish()
    attempt = desk.last
    for _ in range(2):
        assert desk.finish(attempt=attempt) == ["accepted 0#1 committed"]
    office.restart()
    desk.hello()
    assert desk.finish(attempt=attempt) == ["accepted 0#1 committed"]
    assert office.on_disk == {attempt.job: [(1, "result")]}


def test_the_coordinator_dies_after_the_commit_and_before_it_could_save_its_end(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    office.commits_wait = True
    desk.finish()
    office.on_disk[desk.last.job].append((1, "result"))
    office.commits_wait = False
    office.restart()
    assert office.shown("sweep") == ["succeeded"]
    desk.hello()
    assert desk.finish() == ["accepted 0#1 committed"]
    assert office.on_disk == {desk.last.job: [(1, "result")]}


def test_the_coordinator_dies_before_the_commit(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    office.commits_wait = True
    desk.finish()
    office.commits_wait = False
    office.restart()
    assert office.shown("sweep") == ["collecting"]
    desk.hello()
    assert desk.finish() == ["accepted 0#1 committed"]
    assert office.on_disk == {desk.last.job: [(1, "result")]}


def test_the_assignment_was_saved_but_never_sent(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    office.restart()
    assert office.shown("sweep") == ["staging"]
    assert desk.connect() == ["welcome 2"]
    assert office.shown("sweep") == ["queued"]
    office.pass_time(2)
    assert desk.report() == ["assign 0#2"]


def test_absent_counts_only_once_the_agent_has_heard_of_it(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    # This Report crossed the assignment on the wire.
    desk.seq += 1
    crossed = Report(desk.session, desk.seq, 0, desk.verdict, True)
    office.turn(AgentSaid("desk", crossed))
    assert office.shown("sweep") == ["staging"]
    assert desk.read() == ["assign 0#1"]
    # Heard, but not there: lost.
    assert desk.report() == []
    assert office.shown("sweep") == ["queued"]
    office.pass_time(1.5)
    assert desk.report() == ["assign 0#2"]


def test_what_was_lost_on_the_way_is_said_again(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.cut()
    assert desk.report() == []
    office.pass_time(11)
    assert desk.report() == ["assign 0#1"]
    desk.run(Running())
    office.ask(Kill("sweep"))
    desk.cut()
    assert desk.run(Running()) == []
    office.pass_time(11)
    assert desk.run(Running()) == ["withdraw 0#1 kill"]
    office.pass_time(11)
    # This time it was heard.
    assert desk.run(Running()) == []


def test_a_job_lost_three_times_in_one_place_goes_elsewhere(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    for _ in range(3):
        desk.read()
        desk.report()
        office.pass_time(10)
        desk.report()
    state = office.job("sweep/j0").state
    assert isinstance(state, Queued)
    assert [each.node for each in state.avoid] == ["desk"]
    assert len(desk.assigned) == 3
    loft = ScriptedAgent(office, "loft")
    assert loft.connect() == ["welcome 1", "assign 0#4"]


def test_reports_of_another_session_and_old_ones_are_dropped(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    old = Report(desk.session, desk.seq, 99, desk.verdict, True)
    office.turn(AgentSaid("desk", old))
    assert office.shown("sweep") == ["running"]
    desk.hello()
    office.turn(AgentSaid("desk", Report(desk.session - 1, 1000, 99, desk.verdict, True)))
    assert office.shown("sweep") == ["running"]
    assert desk.read() == []


def test_a_run_that_vanished_is_started_again(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    desk.runs.clear()
    desk.hello()
    desk.report()
    assert office.shown("sweep") == ["queued"]
    assert office.notes("ended") == [
        "ended ana:sweep/j0 desk lost: its workstation does not have it"
    ]


def test_a_silent_workstation_is_doubted_and_the_first_success_wins(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    first = desk.last
    loft = ScriptedAgent(office, "loft")
    loft.connect()
    office.pass_time(29 * 60)
    assert loft.report() == []
    office.pass_time(61)
    assert loft.report() == ["assign 0#2"]
    loft.run(Running())
    assert office.job("sweep/j0").state == Active((2,))
    # The first one comes back, and is as good as the second.
    desk.hello()
    desk.run(Running(), first)
    assert office.job("sweep/j0").state == Active((1, 2))
    assert desk.finish(attempt=first) == ["accepted 0#1 committed"]
    assert loft.read() == ["withdraw 0#2 superseded"]
    # It was quicker than the withdrawal: too late all the same.
    assert loft.finish() == ["accepted 0#2 discarded"]
    assert office.on_disk == {first.job: [(1, "result")]}


def test_a_silence_is_told_when_it_begins_and_when_it_ends(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    desk.report()
    seen = len(office.notes("online", "offline", "verdict"))
    for _ in range(10):
        office.pass_time(10)
        desk.report()
    assert len(office.notes("online", "offline", "verdict")) == seen
    office.pass_time(600)
    assert office.notes("online", "offline", "verdict")[seen:] == ["offline desk no word for 15 s"]
    desk.report()
    desk.report()
    assert office.notes("online", "offline", "verdict")[seen + 1 :] == [
        "online desk after 600 s without a word",
        "verdict desk away: ",
    ]
    office.pass_time(20)
    desk.connect()
    desk.report()
    desk.bye("shutdown")
    office.pass_time(100)
    assert office.notes("online", "offline")[-3:] == [
        "offline desk no word for 15 s",
        "online desk host-desk",
        "offline desk shutdown",
    ]


def test_a_workstation_may_fall_silent_twice(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    for _ in range(2):
        office.pass_time(31 * 60)
        assert office.job("sweep/j0").state == Queued()
        desk.hello()
        desk.run(Running(), desk.last)
        assert office.job("sweep/j0").state == Active((1,))
    assert len(office.notes("doubtful")) == 2


def test_alarms_do_not_pile_up(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=50))
    desk.read()
    for _ in range(50):
        desk.finish()
    # One for the silence of the workstation, one for that of its runs.
    assert len(office.core.world.alarms) == 2


def test_others_are_withdrawn_only_after_the_commit(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    first = desk.last
    office.pass_time(31 * 60)
    loft = ScriptedAgent(office, "loft")
    loft.connect()
    loft.run(Running())
    desk.hello()
    office.commits_wait = True
    desk.finish(attempt=first)
    loft.report()
    assert loft.read() == []
    # The other one is done too, meanwhile: it waits its turn.
    assert loft.finish() == []
    assert len(office.under_way) == 1
    office.finish_commits()
    assert desk.read() == ["accepted 0#1 committed"]
    assert loft.report() == ["accepted 0#2 superseded"]
    assert office.on_disk == {first.job: [(1, "result")]}


def test_a_success_after_the_job_had_failed_upgrades_it(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    first = desk.last
    office.pass_time(31 * 60)
    loft = ScriptedAgent(office, "loft")
    loft.connect()
    assert loft.finish(Exited(1)) == ["accepted 0#2 kept"]
    assert office.shown("sweep") == ["failed"]
    desk.hello()
    assert desk.finish(attempt=first) == ["accepted 0#1 committed"]
    assert office.shown("sweep") == ["succeeded"]


def test_a_run_of_a_job_that_is_over_is_withdrawn_when_seen(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    first = desk.last
    office.pass_time(31 * 60)
    loft = ScriptedAgent(office, "loft")
    loft.connect()
    loft.finish()
    desk.hello()
    assert desk.run(Running(), first) == ["withdraw 0#1 superseded"]
    assert desk.run(Finished(Stopped("superseded")), first) == ["accepted 0#1 discarded"]


def test_an_unknown_run_is_withdrawn_and_nothing_starts_beside_it(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    stranger = AttemptId("gone0000", 4, 2)
    assert desk.run(Running(), stranger) == ["withdraw 4#2 kill"]
    office.submit(sweep_batch(jobs=1))
    assert desk.run(Running(), stranger) == []
    assert desk.run(Finished(Stopped("kill")), stranger) == ["accepted 4#2 discarded", "assign 0#1"]


def test_nobody_reports_for_another_workstation(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    loft = ScriptedAgent(office, "loft")
    loft.connect()
    assert loft.finish(attempt=desk.last) == ["accepted 0#1 discarded"]
    assert office.shown("sweep") == ["running"]
    assert office.on_disk == {}


def test_blobs_that_are_missing_are_asked_for_again(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    office.lacking[desk.last] = ("aa" * 32, "bb" * 32)
    assert desk.finish() == ["missing 0#1 2"]
    assert desk.finish(stored=False) == []
    assert office.shown("sweep") == ["collecting"]
    office.lacking.clear()
    assert desk.finish() == ["accepted 0#1 committed"]


def test_a_manifest_that_can_never_be_stored_fails_the_job_with_a_reason(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    office.broken[desk.last] = "a path would leave its folder"
    assert desk.finish() == ["accepted 0#1 discarded"]
    assert office.job("sweep/j0").state == Done("failed", 1)
    assert "trouble ana:sweep/j0 desk a path would leave its folder" in office.notes("trouble")


def test_a_kill_while_the_commit_is_under_way_comes_too_late(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    office.commits_wait = True
    desk.finish()
    office.ask(Kill("sweep"))
    assert desk.report() == []
    office.finish_commits()
    assert desk.read() == ["accepted 0#1 committed"]
    assert office.shown("sweep") == ["succeeded"]


def test_a_kill_while_a_commit_is_under_way_that_does_not_come_about(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    office.commits_wait = True
    office.lacking[desk.last] = ("aa" * 32,)
    desk.finish()
    office.ask(Kill("sweep"))
    office.finish_commits()
    assert desk.read() == ["withdraw 0#1 kill"]
    assert desk.report() == ["accepted 0#1 discarded"]
    assert office.shown("sweep") == ["killed"]
    assert office.on_disk == {}


def test_a_kill_while_its_results_come_frees_nothing_twice(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=2))
    desk.read()
    assert desk.finish(stored=False) == ["assign 1#1"]
    office.ask(Kill("sweep/j0"))
    assert desk.read() == ["withdraw 0#1 kill"]
    seat = office.core.world.nodes["desk"].seat(office.now)
    assert seat is not None
    assert seat.free_cpus == 0
    assert office.shown("sweep") == ["stopping", "staging"]


def test_killed_before_it_started(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=3))
    assert office.ask(Kill("sweep")) == Did("3 jobs of ana:sweep killed")
    assert office.shown("sweep") == ["stopping", "killed", "killed"]
    assert desk.read() == ["assign 0#1", "withdraw 0#1 kill"]
    desk.report()  # it never began, and is gone already
    assert office.shown("sweep") == ["killed"] * 3
    assert office.ask(Kill("sweep")) == Did("ana:sweep is over or being ended already")


def test_the_owner_comes_back_before_the_start(
    office: FakeCoordinator, desk: ScriptedAgent, loft: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    assert desk.read() == ["assign 0#1"]
    desk.verdict = Verdict("present", (Reason("input", "somebody is at the desk"),))
    assert desk.run(Declined("owner")) == ["accepted 0#1 discarded"]
    assert loft.read() == ["assign 0#2"]
    job = office.job("sweep/j0")
    assert (job.failures, job.crashes, job.evictions) == (0, 0, 0)


def test_a_workstation_that_declines_is_left_for_a_while_then_asked_again(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    assert desk.run(Declined("does_not_fit")) == ["accepted 0#1 discarded"]
    assert desk.report() == []
    office.pass_time(1)
    assert desk.report() == []
    office.pass_time(1.5)
    assert desk.report() == ["assign 0#2"]
    desk.run(Declined("does_not_fit"))
    office.pass_time(2.5)
    assert desk.report() == []
    office.pass_time(2)
    assert desk.report() == ["assign 0#3"]


def test_a_clean_stop_of_the_agent_costs_nothing(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    desk.bye("stop")
    assert office.shown("sweep") == ["running"]
    office.pass_time(600)
    desk.hello()
    assert desk.run(Running()) == []
    assert office.shown("sweep") == ["running"]
    assert office.job("sweep/j0").attempts == 1


def test_a_shutdown_evicts_and_the_job_starts_elsewhere(
    office: FakeCoordinator, desk: ScriptedAgent, loft: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    first = desk.last
    desk.bye("shutdown")
    assert loft.read() == ["assign 0#2"]
    assert office.job("sweep/j0").failures == 0
    assert office.job("sweep/j0").crashes == 0
    desk.boot = "boot-2"
    desk.hello()
    assert desk.run(Finished(Crashed()), first) == ["accepted 0#1 discarded"]
    assert office.job("sweep/j0").crashes == 0


def test_crashes_are_counted_apart_and_three_workstations_are_enough(
    office: FakeCoordinator,
) -> None:
    office.submit(sweep_batch(jobs=1))
    for name in ("a", "b", "c"):
        agent = ScriptedAgent(office, name)
        agent.connect()
        agent.run(Running())
        agent.boot = "boot-2"
        agent.verdict = Verdict("barred")
        agent.hello()
        agent.finish(Crashed())
    job = office.job("sweep/j0")
    assert (job.failures, job.crashes, job.evictions) == (0, 3, 0)
    assert isinstance(job.state, Held)


def test_outputs_that_were_lost_on_their_workstation_cost_only_time(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.finish(stored=False)
    assert desk.run(Finished(Crashed())) == ["accepted 0#1 discarded"]
    office.pass_time(1.5)
    assert desk.report() == ["assign 0#2"]
    job = office.job("sweep/j0")
    assert (job.failures, job.crashes, job.evictions) == (0, 0, 0)


def test_what_a_crash_left_on_disk_is_kept(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    assert desk.finish(Crashed()) == ["accepted 0#1 kept", "assign 0#2"]
    assert office.job("sweep/j0").crashes == 1


def test_a_workstation_that_fails_everything_is_left_alone(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch("first", jobs=20))
    desk.read()
    loft = ScriptedAgent(office, "loft")
    loft.connect()
    for _ in range(5):
        desk.finish(Exited(127), seconds=0.1)
    assert office.core.world.nodes["desk"].state(office.now) == "quarantined"
    # The sixth came while the fifth was still being stored.
    assert len(desk.assigned) == 6
    desk.finish(Exited(127), seconds=0.1)
    assert len(desk.assigned) == 6
    loft.finish()
    assert len(loft.assigned) == 2
    office.pass_time(601)
    loft.report()
    desk.report()
    assert len(desk.assigned) == 7


def test_a_broken_batch_quarantines_nobody(
    office: FakeCoordinator, desk: ScriptedAgent, loft: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=20))
    desk.read()
    loft.read()
    for _ in range(10):
        desk.finish(Exited(1), seconds=0.1)
        loft.finish(Exited(1), seconds=0.1)
    assert office.shown("sweep") == ["failed"] * 20
    assert office.notes("quarantined") == []


def test_the_last_workstation_is_never_quarantined(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=8))
    desk.read()
    for _ in range(8):
        desk.finish(Exited(1), seconds=0.1)
    assert office.shown("sweep") == ["failed"] * 8


@pytest.mark.parametrize(("reason", "asked"), [("staging", 5), ("sandbox", 5), ("owner", 20)])
def test_a_workstation_with_a_full_disk_is_not_asked_job_after_job(
    office: FakeCoordinator, desk: ScriptedAgent, reason: DeclineReason, asked: int
) -> None:
    office.submit(sweep_batch(jobs=20))
    desk.read()
    for _ in range(20):
        desk.run(Declined(reason, "the disk is full"))
    assert len(desk.assigned) == asked
    office.pass_time(601)
    desk.report()
    assert len(desk.assigned) > asked


def test_nothing_starts_where_somebody_is(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    desk.verdict = Verdict("present", (Reason("input", "somebody is at the desk"),))
    desk.report()
    office.submit(sweep_batch(jobs=1))
    assert desk.report() == []
    desk.verdict = Verdict("settling")
    assert desk.report() == []
    desk.verdict = Verdict("away")
    desk.accepting = False
    assert desk.report() == []
    desk.accepting = True
    assert desk.report() == ["assign 0#1"]


def test_a_workstation_that_went_quiet_gets_nothing_new(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.pass_time(20)
    office.submit(sweep_batch(jobs=1))
    assert desk.read() == []
    assert desk.report() == ["assign 0#1"]


def test_a_revoked_workstation_loses_its_jobs_and_is_refused(
    office: FakeCoordinator, desk: ScriptedAgent, loft: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    office.turn(NodeRevoked("desk"))
    office.pass_time(1)
    office.pass_time(1)
    loft.report()
    assert [short(each.attempt) for each in loft.assigned] == ["0#2"]
    # No doubt here: the attempt ended with the key.
    attempts = office.core.attempts_of(office.job("sweep/j0").id)
    assert [each.state for each in attempts][:1] == [Ended("lost")]


def test_another_protocol_is_refused_with_words(office: FakeCoordinator) -> None:
    agent = ScriptedAgent(office, "old")
    (answer,) = agent.say(Hello("h", "b", 99, "9", agent.offer))
    assert "install the same version" in answer


def test_this_computer_slept_and_doubts_nobody(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    office.submit(sweep_batch(jobs=1))
    desk.read()
    desk.run(Running())
    office.now = office.now.plus(8 * 3600)
    office.turn()
    desk.run(Running())
    assert office.job("sweep/j0").state == Active((1,))
    assert office.notes("doubtful") == []


def test_submit_saves_nothing_before_all_is_here(office: FakeCoordinator) -> None:
    batch = sweep_batch()
    assert office.submit(batch, missing=("aa" * 32,)) == Need(("aa" * 32,))
    assert office.store.load().batches == ()
    dry = office.submit(batch, dry_run=True)
    assert isinstance(dry, Submitted)
    assert office.store.load().batches == ()
    first = office.submit(batch, once="w1")
    assert isinstance(first, Submitted)
    assert office.submit(batch, once="w1") == first
    assert len(office.store.load().batches) == 1
    taken = office.submit(batch, once="w2")
    assert isinstance(taken, Failed)
    assert "taken" in taken.title
    other_case = office.submit(sweep_batch("SWEEP"))
    assert isinstance(other_case, Failed)
    office.restart()
    assert office.submit(batch, once="w1") == first


def test_a_bad_batch_is_refused_here_too(office: FakeCoordinator) -> None:
    answer = office.submit(sweep_batch("../up"))
    assert isinstance(answer, Failed)
    assert answer.exit_code == 2
    assert office.store.load().batches == ()


def test_wishes_that_nobody_can_fulfil_are_a_warning(
    office: FakeCoordinator, desk: ScriptedAgent
) -> None:
    answer = office.submit(sweep_batch(cpus=64, jobs=2))
    assert isinstance(answer, Submitted)
    assert answer.warnings == (
        "no workstation known now can run 2 of the jobs: desk has 2 of the 64 cores it needs",
    )


def test_people_end_only_what_is_theirs(office: FakeCoordinator) -> None:
    office.submit(sweep_batch())
    bob = Caller("bob", "submitter")
    answer = office.ask(Kill("sweep"), bob)
    assert isinstance(answer, Failed)
    assert "belongs to ana" in answer.title
    assert office.shown("sweep") == ["queued"] * 3
    assert isinstance(office.ask(Kill("sweep"), Caller("root", "admin")), Did)
    assert isinstance(office.ask(Remove("sweep"), bob), Failed)


def test_names_that_mean_nothing_or_two_things(office: FakeCoordinator) -> None:
    office.submit(sweep_batch(namespace="ana"))
    office.submit(sweep_batch(namespace="bob"))
    answer = office.ask(Kill("sweep"))
    assert isinstance(answer, Failed)
    assert (answer.exit_code, answer.detail) == (2, "ana:sweep, bob:sweep")
    answer = office.ask(Kill("ana:sweeep"))
    assert isinstance(answer, Failed)
    assert (answer.exit_code, answer.hint) == (1, "did you mean ana:sweep or bob:sweep?")
    answer = office.ask(Kill("carl:sweep"))
    assert isinstance(answer, Failed)
    assert "ana:sweep" in answer.hint
    answer = office.ask(Kill("ana:sweep/j00"))
    assert isinstance(answer, Failed)
    assert answer.hint.startswith("did you mean j")


def test_ana_is_a_submitter() -> None:
    assert ANA.role == "submitter"


def test_run_reports_of_many_runs(office: FakeCoordinator) -> None:
    agent = ScriptedAgent(office, "big", cpus=4)
    agent.connect()
    office.submit(sweep_batch(jobs=6, cpus=1))
    agent.read()
    assert len(agent.assigned) == 4
    for assign in agent.assigned[:]:
        agent.runs[assign.attempt] = RunReport(assign.attempt, Running())
    agent.report()
    assert office.shown("sweep") == ["running"] * 4 + ["queued"] * 2


def test_several_jobs_are_being_ended(office: FakeCoordinator, desk: ScriptedAgent) -> None:
    office.submit(sweep_batch(jobs=2, cpus=1, memory=1))
    desk.read()
    assert office.shown("sweep") == ["staging", "staging"]
    assert office.ask(Kill("sweep")) == Did("2 jobs of ana:sweep are being ended")
