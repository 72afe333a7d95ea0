"""The workstation's stories: what happens, and what its agent does about it, in that order."""

import pytest
from msgspec.structs import replace

from fakes import FakeDesk
from fallow.shared.ids import AttemptId
from fallow.shared.messages import (
    Accepted,
    Ack,
    Argv,
    BuildSpec,
    Input,
    JobSpec,
    Missing,
    Resources,
    Welcome,
)
from fallow.shared.runs import (
    Crashed,
    Declined,
    Exited,
    Finished,
    Running,
    Signalled,
    Stopped,
)
from fallow.shared.work import run_words
from fallow.shared.work.phases import Process, seconds
from fallow.tray import core_words as words

GIB = 1 << 30
JOB = JobSpec(
    namespace="ana",
    batch="sweep",
    job="j",
    owner="ana",
    action=Argv(("true",)),
    cpus=1,
    memory=GIB,
    shared=(Input("mesh", "00" * 32, 1000),),
)
BUILT = JobSpec(
    namespace="ana",
    batch="sweep",
    job="j",
    owner="ana",
    action=Argv(("true",)),
    cpus=1,
    memory=GIB,
    build=BuildSpec("key", Argv(("make",))),
)
MANIFEST = "ab" * 32


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk()
    made.online()
    return made


def test_a_good_day(desk: FakeDesk) -> None:
    assert desk.assign(JOB) == ["save 1-1 Fetching", "Fetch 1-1"]
    assert desk.happened(run_words.Staged(built=True)) == ["Place 1-1"]
    assert desk.happened(run_words.Placed()) == ["save 1-1 Starting", "Spawn 1-1"]
    assert desk.happened(run_words.Spawned(Process("boot-1", 7, 1))) == ["save 1-1 Alive"]
    # What lasts is reported, what passes at once is not.
    assert desk.wait(0.06) == ["say Report"]
    assert desk.reports[-1].runs[0].state == Running()
    assert desk.reports[-1].heard == 1
    assert desk.happened(run_words.Ended(Exited(0))) == ["save 1-1 Collecting", "Collect 1-1"]
    assert desk.happened(run_words.OutputsHashed(MANIFEST, 5)) == [
        "save 1-1 Spooled",
        "Upload 1-1",
        "say Report",
    ]
    assert desk.happened(run_words.Uploaded()) == ["say Report"]
    state = desk.reports[-1].runs[0].state
    assert isinstance(state, Finished)
    assert (state.exit, state.manifest, state.stored) == (Exited(0), MANIFEST, True)
    assert desk.said(Accepted(AttemptId("b", 1, 1), "committed")) == ["Forget 1-1"]
    assert desk.phases == {}


def test_the_owner_returns_while_inputs_are_still_coming(desk: FakeDesk) -> None:
    desk.assign(JOB)
    assert desk.touch() == ["save 1-1 Fetching", "hold traffic", "say Report"]
    assert desk.reports[-1].verdict.kind == "present"
    assert not desk.reports[-1].accepting
    # The last bytes were on their way already: they change nothing but what is on disk.
    assert desk.happened(run_words.Staged(built=True)) == ["Place 1-1"]
    assert desk.happened(run_words.Placed()) == []
    assert desk.phases == {"1-1": "Held"}
    assert desk.wait(601.0)[:3] == ["let traffic go", "save 1-1 Starting", "Spawn 1-1"]


def test_the_owner_returns_in_the_millisecond_of_a_start(desk: FakeDesk) -> None:
    desk.assign(JOB)
    desk.happened(run_words.Staged(built=True))
    assert desk.happened(run_words.Placed()) == ["save 1-1 Starting", "Spawn 1-1"]
    assert "Freeze 1-1" not in desk.touch()
    assert desk.happened(run_words.Spawned(Process("boot-1", 7, 1)))[:2] == [
        "save 1-1 Alive",
        "Freeze 1-1",
    ]


def test_everything_is_frozen_before_anything_is_saved_or_said(desk: FakeDesk) -> None:
    desk.running(JOB, 1)
    desk.running(JOB, 2)
    assert desk.touch() == [
        "Freeze 1-1",
        "Freeze 2-1",
        "save 1-1 Alive",
        "save 2-1 Alive",
        "hold traffic",
        "say Report",
    ]


def test_while_somebody_types_the_coordinator_is_left_in_peace(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.touch()
    before = len(desk.reports)
    for _ in range(20):
        desk.now = desk.now.plus(0.2)
        assert desk.touch() == []
    assert len(desk.reports) == before


def test_gpus_and_disk_are_promised_once(desk: FakeDesk) -> None:
    offer = Resources(8, 8 << 30, 2, 100)
    desk.core.settings = replace(desk.core.settings, resources=offer)
    job = replace(JOB, cpus=1, memory=1, gpus=1, disk=40)
    desk.running(job, 1)
    desk.assign(replace(job, gpus=2, disk=None), 2)
    assert desk.reports[-1].runs[-1].state == Declined("does_not_fit", "1 of 2 GPUs are free")
    desk.assign(replace(job, disk=61), 3)
    assert desk.reports[-1].runs[-1].state == Declined(
        "does_not_fit", "60 of 100 bytes of disk are free"
    )
    desk.running(replace(job, disk=60), 4)


def test_refused_and_why(desk: FakeDesk) -> None:
    desk.running(JOB, 1)
    desk.running(JOB, 2)
    assert desk.assign(JOB, 3) == ["say Report"]
    declined = desk.reports[-1].runs[-1].state
    assert isinstance(declined, Declined)
    assert declined.reason == "does_not_fit"
    assert "0 of 2 processors" in declined.text
    # It is told until it was heard, and forgotten then.
    assert desk.said(Ack(desk.reports[-1].seq)) == ["Forget 3-1"]
    desk.touch()
    desk.assign(JOB, 4)
    assert desk.reports[-1].runs[-1].state == Declined("owner", "you are here")
    desk.do(words.StopAsked())
    assert not desk.core.accepting


def test_without_a_sandbox_no_job_runs() -> None:
    desk = FakeDesk(unable="bubblewrap is not installed")
    desk.online()
    assert not desk.reports[-1].accepting
    desk.assign(JOB)
    assert desk.reports[-1].runs[0].state == Declined("sandbox", "bubblewrap is not installed")


def test_a_refusal_that_was_not_heard_is_told_again(desk: FakeDesk) -> None:
    desk.touch()
    desk.assign(JOB)
    assert len(desk.reports[-1].runs) == 1
    desk.do(words.Lost())
    desk.do(words.Connected())
    assert desk.said(Welcome(2, 5.0, "desk")) == ["say Report"]
    assert len(desk.reports[-1].runs) == 1
    assert desk.reports[-1].session == 2
    assert desk.reports[-1].heard == 0


def test_one_build_serves_all(desk: FakeDesk) -> None:
    for index in (1, 2):
        assert desk.assign(BUILT, index)[-1] == f"Fetch {index}-1"
    assert desk.happened(run_words.Staged(built=False), 1) == [
        "save build Working",
        "Place build",
    ]
    assert desk.happened(run_words.Staged(built=False), 2) == []
    desk.build(run_words.Placed())
    desk.build(run_words.Spawned(Process("boot-1", 9, 1)))
    assert desk.touch()[0] == "Freeze build"
    assert desk.reports[-1].builds[0].state == "building"
    assert "Thaw build" in desk.wait(601.0)
    desk.do(words.Connected())
    desk.said(Welcome(2, 5.0, "desk"))
    desk.build(run_words.Ended(Exited(0)))
    assert desk.build(run_words.OutputsHashed("cd" * 32, 9)) == [
        "save build Built",
        "Upload build",
        "Place 1-1",
        "Place 2-1",
        "say Report",
    ]
    assert desk.build(run_words.Uploaded())[0] == "save build Built"
    desk.wait(0.06)
    assert desk.reports[-1].builds[0].log == "cd" * 32


def test_without_a_constant_path_one_job_at_a_time() -> None:
    desk = FakeDesk(in_place=True)
    desk.online()
    for index in (1, 2):
        desk.assign(BUILT, index)
        desk.happened(run_words.Staged(built=False), index)
    for event in (
        run_words.Placed(),
        run_words.Spawned(Process("boot-1", 9, 1)),
        run_words.Ended(Exited(0)),
        run_words.OutputsHashed("cd" * 32, 9),
    ):
        desk.build(event)
    assert desk.phases == {"1-1": "Placing", "2-1": "AwaitingBuild"}
    desk.happened(run_words.Placed())
    desk.happened(run_words.Spawned(Process("boot-1", 10, 1)))
    desk.happened(run_words.Ended(Exited(0)))
    assert "Place 2-1" in desk.happened(run_words.OutputsHashed(MANIFEST, 9))


def test_a_build_that_fails_costs_no_run_anything(desk: FakeDesk) -> None:
    desk.assign(BUILT)
    desk.happened(run_words.Staged(built=False))
    desk.build(run_words.Placed())
    desk.build(run_words.Spawned(Process("boot-1", 9, 1)))
    desk.build(run_words.Ended(Exited(2)))
    desk.build(run_words.OutputsHashed("cd" * 32, 9))
    assert desk.reports[-1].runs[0].state == Declined(
        "build_failed", "the build ended with exit code 2"
    )
    assert desk.reports[-1].builds[0].state == "failed"
    # The next one need not try: it is known.
    desk.assign(BUILT, 2)
    assert "save build Working" not in desk.happened(run_words.Staged(built=False), 2)
    assert desk.phases["2-1"] == "GivenBack"
    # Forgotten on request, once no run of the batch is here.
    desk.said(Ack(desk.reports[-1].seq))
    assert desk.said(Ack(desk.reports[-1].seq, forget=("b",))) == [
        "Forget build",
        "ForgetInputs",
    ]


def test_a_build_that_nobody_wants_ends(desk: FakeDesk) -> None:
    desk.assign(BUILT)
    desk.happened(run_words.Staged(built=False))
    desk.build(run_words.Placed())
    desk.build(run_words.Spawned(Process("boot-1", 9, 1)))
    assert "Kill build" in desk.withdraw("kill")
    desk.build(run_words.Ended(Signalled(9)))
    assert desk.core.work.builds == {}


def test_killed_while_it_saves_itself(desk: FakeDesk) -> None:
    desk.running(JOB)
    assert desk.withdraw("kill", grace=10.0) == ["save 1-1 Stopping", "Terminate 1-1"]
    desk.wait(3.0)
    assert desk.happened(run_words.Ended(Exited(0))) == [
        "save 1-1 Over",
        "Kill 1-1",
        "Drop 1-1",
        "say Report",
    ]
    state = desk.reports[-1].runs[0].state
    assert isinstance(state, Finished)
    assert (state.exit, state.manifest) == (Stopped("kill"), None)
    assert desk.said(Ack(desk.reports[-1].seq)) == ["Forget 1-1"]


def test_killed_on_a_desk_in_use_it_never_runs_again(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.touch()
    assert desk.withdraw("kill") == ["save 1-1 Stopping", "Kill 1-1"]


def test_the_owner_returns_within_its_grace(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.withdraw("superseded", grace=60.0)
    assert desk.touch()[:2] == ["Freeze 1-1", "save 1-1 Stopping"]
    assert desk.happened(run_words.Ended(Signalled(9)))[0] == "save 1-1 Over"


def test_killed_while_offline(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.do(words.Lost())
    desk.wait(3600.0)
    assert desk.phases == {"1-1": "Alive"}
    desk.do(words.Connected())
    desk.said(Welcome(2, 5.0, "desk"))
    assert desk.withdraw("kill") == ["save 1-1 Stopping", "Terminate 1-1"]
    assert desk.wait(10.0)[0] == "save 1-1 Stopping"


def test_an_acceptance_is_lost_and_sent_again(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.happened(run_words.Ended(Exited(0)))
    desk.happened(run_words.OutputsHashed(MANIFEST, 5))
    desk.happened(run_words.Uploaded())
    # Ack is not enough to drop a result: it is offered again in a new session.
    assert desk.said(Ack(desk.reports[-1].seq)) == []
    desk.do(words.Lost())
    desk.do(words.Connected())
    desk.said(Welcome(2, 5.0, "desk"))
    state = desk.reports[-1].runs[0].state
    assert isinstance(state, Finished)
    assert state.stored
    assert desk.said(Missing(AttemptId("b", 1, 1), (MANIFEST,)))[0] == "Upload 1-1"
    assert desk.happened(run_words.Uploaded()) == ["say Report"]
    for _ in range(2):
        desk.said(Accepted(AttemptId("b", 1, 1), "committed"))
    assert desk.phases == {}


def test_the_agent_restarts_while_frozen(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.touch()
    assert desk.restart() == ["Adopt 1-1", "Freeze 1-1", "hold traffic"]
    # Blind and without a word from anybody it stays so, however long.
    assert "Thaw 1-1" not in desk.wait(10_000.0, watched=False)
    # The sensors are back, and say that nobody has been there for long.
    assert "Thaw 1-1" in desk.look()


def test_the_agent_restarts_and_the_job_has_ended_meanwhile(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.restart()
    assert desk.happened(run_words.Ended(Exited(0)))[:2] == ["save 1-1 Collecting", "Collect 1-1"]


def test_the_agent_dies_between_order_and_start(desk: FakeDesk) -> None:
    desk.assign(JOB)
    desk.happened(run_words.Staged(built=True))
    desk.happened(run_words.Placed())
    assert desk.restart() == ["Find 1-1", "save 1-1 Starting", "hold traffic"]
    # There was none: it is ready to start, but not on a desk that nobody has looked at.
    assert desk.happened(run_words.Placed()) == []
    assert desk.phases == {"1-1": "Held"}


def test_the_computer_restarts(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.running(JOB, 2)
    desk.happened(run_words.Ended(Exited(0)), 2)
    desk.restart(same_boot=False)
    # The shell finds no process of another boot.
    desk.happened(run_words.Ended(Crashed()), 1)
    for index in (1, 2):
        desk.happened(run_words.OutputsHashed(MANIFEST, 1), index)
    desk.do(words.Connected())
    desk.said(Welcome(3, 5.0, "desk"))
    for each in desk.reports[-1].runs:
        assert isinstance(each.state, Finished)
        assert each.state.exit == Crashed()


def test_a_pause_by_hand_survives_a_restart_and_ends_in_time(desk: FakeDesk) -> None:
    desk.running(JOB)
    assert desk.do(words.PauseAsked(3600.0))[0] == "Freeze 1-1"
    assert desk.core.verdict.why == "you asked for a pause"
    desk.now = desk.now.plus(1800.0)
    desk.restart()
    desk.look()
    assert desk.core.verdict.reasons[0].kind == "pause"
    assert "Thaw 1-1" not in desk.wait(1799.0)
    assert "Thaw 1-1" in desk.wait(2.0)


def test_nothing_of_the_coordinator_ends_a_pause(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.do(words.PauseAsked(None))
    desk.wait(1e6)
    for message in (Ack(1), Welcome(2, 5.0, "desk"), Missing(AttemptId("b", 1, 1), ())):
        assert "Thaw 1-1" not in desk.said(message)
    assert "Thaw 1-1" in desk.do(words.ResumeAsked())


def test_the_tray_goes_and_the_desk_is_blind(desk: FakeDesk) -> None:
    desk.running(JOB)
    assert desk.do(words.SourceGone("tray-1"))[0] == "Freeze 1-1"
    assert desk.core.verdict.reasons[0].kind == "blind"


def test_a_tray_that_hangs_is_no_witness(desk: FakeDesk) -> None:
    desk.running(JOB)
    assert "Freeze 1-1" not in desk.wait(29.0, watched=False)
    assert desk.wait(1.0, watched=False)[0] == "Freeze 1-1"
    assert desk.core.verdict.reasons[0].kind == "blind"
    assert "Thaw 1-1" in desk.look()


def test_a_sleep_of_the_computer_is_no_running_time(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.wait(10.0)
    desk.now = desk.now.plus(3605.0)
    desk.do(words.Woke(3600.0))
    run = desk.core.work.runs[AttemptId("b", 1, 1)]
    assert run.frozen, "nothing has been seen since it slept"
    assert seconds(run, desk.now) == pytest.approx((15.0, 3600.0))
    desk.now = desk.now.plus(3600.0)
    desk.do(words.Woke(3600.0))
    assert seconds(desk.core.work.runs[AttemptId("b", 1, 1)], desk.now) == pytest.approx(
        (15.0, 7200.0)
    )


def test_the_coordinator_falls_silent(desk: FakeDesk) -> None:
    assert "Reconnect" not in desk.wait(20.0)
    assert "Reconnect" in desk.wait(10.0)
    assert desk.do(words.Connected()) == ["say Hello"]


def test_turned_away_ever_more_rarely(desk: FakeDesk) -> None:
    waits = []
    for _ in range(8):
        desk.do(words.Denied("the key was revoked"))
        start = desk.now.boot
        while "Reconnect" not in desk.wait(0.5):
            pass
        waits.append(desk.now.boot - start)
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_what_was_killed_meanwhile_is_not_handed_in(desk: FakeDesk) -> None:
    desk.running(JOB)
    assert desk.do(words.Lost()) == ["hold traffic"]
    desk.happened(run_words.Ended(Exited(0)))
    assert "Upload 1-1" in desk.happened(run_words.OutputsHashed(MANIFEST, 5))
    desk.do(words.Connected())
    assert desk.said(Welcome(2, 5.0, "desk")) == ["say Report"]
    # All that is not wanted any more is said before the first Report is acknowledged.
    assert desk.withdraw("kill")[:2] == ["save 1-1 Over", "Drop 1-1"]
    assert "let traffic go" in desk.said(Ack(1))
