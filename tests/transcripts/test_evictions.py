"""Runs that leave a desk in use: with a checkpoint, without, after too long, for want of memory."""

from msgspec.structs import replace

from fakes import MANIFEST, SAVED, FakeCoordinator, FakeDesk, ScriptedAgent, sweep_batch
from fallow.coordinator.events import DropOutputs
from fallow.shared.batch import Checkpoint, OnOwnerReturn
from fallow.shared.ids import AttemptId
from fallow.shared.messages import Accepted, Argv, BuildSpec, JobSpec, Kill
from fallow.shared.runs import Crashed, Ending, Exited, Finished, Running, Signalled, Stopped
from fallow.shared.work import run_words
from fallow.shared.work.phases import Process, Spooled, seconds
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
)
SAVES = replace(JOB, checkpoint=Checkpoint(signal="USR1", grace=60.0, files=("checkpoint/",)))
LEAVES = replace(SAVES, on_owner_return=OnOwnerReturn(do="evict"))


def online(**settings: float) -> FakeDesk:
    desk = FakeDesk(**settings)  # type: ignore[arg-type]
    desk.online()
    return desk


ORDERS = {"Freeze", "Thaw", "Terminate", "Kill", "Collect", "Upload", "Drop", "Adopt"}


def orders(effects: list[str]) -> list[str]:
    """What is done to runs; not what is saved and said."""
    return [each for each in effects if each.split()[0] in ORDERS]


# --- the desk -------------------------------------------------------------------------------------


def test_who_sits_down_sends_a_job_elsewhere_which_saves_itself_first() -> None:
    desk = online()
    desk.running(LEAVES)
    assert orders(desk.touch()) == ["Freeze 1-1", "Terminate 1-1"]
    assert desk.phases == {"1-1": "Saving"}
    assert desk.reports[-1].runs[0].state == Ending()
    # It works for as long as it saves itself, and so is not said to stand still.
    assert not desk.reports[-1].runs[0].frozen
    assert orders(desk.happened(run_words.Ended(Exited(0)))) == ["Collect 1-1"]
    # Of all that waits for a free desk, only this goes out.
    assert desk.happened(run_words.OutputsHashed(MANIFEST, 12)) == [
        "save 1-1 Spooled",
        "Upload 1-1",
        "let checkpoints go",
        "say Report",
    ]
    assert "hold traffic" in desk.happened(run_words.Uploaded())
    state = desk.reports[-1].runs[0].state
    assert isinstance(state, Finished)
    assert (state.exit, state.manifest, state.stored) == (Stopped("evict"), MANIFEST, True)
    assert desk.said(Accepted(AttemptId("b", 1, 1), "kept")) == ["Forget 1-1"]


def test_on_a_desk_in_use_they_save_themselves_one_after_the_other() -> None:
    desk = online(cpus=3)
    for index in (1, 2, 3):
        desk.running(LEAVES, index)
    effects = orders(desk.touch())
    assert effects == ["Freeze 1-1", "Freeze 2-1", "Freeze 3-1", "Terminate 1-1"]
    assert desk.phases == {"1-1": "Saving", "2-1": "Leaving", "3-1": "Leaving"}
    assert orders(desk.happened(run_words.Ended(Exited(0)), 1)) == ["Collect 1-1", "Terminate 2-1"]
    # One that does not answer is killed after its grace, and what it has saved is kept.
    assert orders(desk.wait(59.0)) == []
    assert orders(desk.wait(1.0)) == ["Kill 2-1"]
    ended = desk.happened(run_words.Ended(Signalled(9)), 2)
    assert orders(ended) == ["Collect 2-1", "Terminate 3-1"]
    assert desk.phases["2-1"] == "Collecting"


def test_on_a_free_desk_nobody_waits_for_a_turn() -> None:
    desk = online()
    desk.running(SAVES, 1)
    desk.running(SAVES, 2)
    assert orders(desk.do(words.EjectAsked()))[:2] == ["Terminate 1-1", "Terminate 2-1"]
    desk = online()
    desk.running(LEAVES, 1)
    desk.running(LEAVES, 2)
    desk.touch()
    assert desk.phases == {"1-1": "Saving", "2-1": "Leaving"}
    assert "Terminate 2-1" in desk.wait(630.0)


def test_who_falls_asleep_over_it_has_its_grace_when_it_wakes() -> None:
    desk = online()
    desk.running(LEAVES)
    desk.touch()
    desk.wait(20.0)
    desk.now = desk.now.plus(3600.0)
    assert "Kill 1-1" not in desk.do(words.Woke(3600.0), words.Expired())
    assert "Kill 1-1" not in desk.wait(39.0)
    assert "Kill 1-1" in desk.wait(1.0)


def test_without_a_checkpoint_it_is_killed_as_it_lies() -> None:
    desk = online()
    desk.running(replace(JOB, on_owner_return=OnOwnerReturn(do="evict")))
    assert orders(desk.touch()) == ["Freeze 1-1", "Kill 1-1"]
    desk.happened(run_words.Ended(Signalled(9)))
    assert desk.phases == {"1-1": "Over"}


def test_a_job_that_saved_nothing_just_starts_anew() -> None:
    desk = online()
    desk.running(LEAVES)
    desk.touch()
    desk.happened(run_words.Ended(Exited(0)))
    assert orders(desk.happened(run_words.CollectFailed("it left no checkpoint"))) == ["Drop 1-1"]
    state = desk.reports[-1].runs[0].state
    assert isinstance(state, Finished)
    assert (state.exit, state.manifest) == (Stopped("evict"), None)


def test_a_kill_does_not_wait_for_a_checkpoint() -> None:
    desk = online()
    desk.running(LEAVES, 1)
    desk.running(LEAVES, 2)
    desk.touch()
    assert orders(desk.withdraw("kill", 2)) == ["Kill 2-1"]
    assert orders(desk.withdraw("kill", 1)) == ["Kill 1-1"]


def test_a_pause_that_is_too_long_moves_a_job_that_can_go_on_elsewhere() -> None:
    desk = online()
    rule = OnOwnerReturn(max_pause=100.0)
    desk.running(replace(SAVES, on_owner_return=rule), 1)
    desk.running(replace(JOB, on_owner_return=rule), 2)
    desk.touch()
    assert desk.core.deadline() is not None
    assert orders(desk.wait(99.0)) == []
    # A second pause begins anew; typing on does not.
    desk.touch()
    assert orders(desk.wait(1.0)) == ["Terminate 1-1"]
    assert desk.phases == {"1-1": "Saving", "2-1": "Alive"}


def test_the_pause_is_counted_over_a_restart() -> None:
    desk = online()
    desk.running(replace(SAVES, on_owner_return=OnOwnerReturn(max_pause=100.0)))
    desk.touch()
    desk.wait(60.0)
    desk.restart()
    assert orders(desk.wait(39.0)) == []
    assert orders(desk.wait(1.0)) == ["Terminate 1-1"]


def test_the_desk_has_the_last_word_on_how_long_it_keeps_a_frozen_job() -> None:
    desk = online(max_pause=50.0)
    desk.running(replace(JOB, on_owner_return=OnOwnerReturn(then="wait")))
    desk.touch()
    assert orders(desk.wait(50.0)) == ["Kill 1-1"]


def test_a_job_with_a_gpu_gives_its_memory_back_if_it_can_go_on_elsewhere() -> None:
    desk = online(gpus=2)
    desk.running(replace(SAVES, gpus=1), 1)
    desk.running(replace(JOB, gpus=1), 2)
    assert orders(desk.touch()) == ["Freeze 1-1", "Freeze 2-1", "Terminate 1-1"]
    desk = online(gpus=1)
    desk.running(replace(SAVES, gpus=1, on_owner_return=OnOwnerReturn(do="freeze")))
    assert orders(desk.touch()) == ["Freeze 1-1"]


def test_short_memory_evicts_the_largest_of_those_that_pause() -> None:
    desk = online(cpus=3)
    for index in (1, 2, 3):
        desk.running(JOB, index)
    held = {AttemptId("b", index, 1): index * GIB for index in (1, 2, 3)}
    # At a free desk they work, and are left alone.
    assert orders(desk.do(words.MemorySeen(0, 64 * GIB, held))) == []
    desk.touch()
    assert orders(desk.do(words.MemorySeen(7 * GIB, 64 * GIB, held))) == []
    assert orders(desk.do(words.MemorySeen(2 * GIB, 64 * GIB, held))) == ["Kill 3-1", "Kill 2-1"]
    # What is going may be enough.
    assert orders(desk.do(words.MemorySeen(2 * GIB, 64 * GIB, held))) == []


def test_a_full_disk_ends_the_job_that_has_filled_it() -> None:
    desk = online(cpus=4, disk=20 * GIB)
    for index, disk in enumerate((None, None, 9 * GIB, None), start=1):
        desk.running(replace(JOB, disk=disk), index)
    used = {AttemptId("b", index, 1): size * GIB for index, size in ((1, 2), (2, 5), (3, 9))}
    # Without the largest it would still be short: somebody else has filled the disk.
    assert orders(desk.do(words.DiskSeen(used, 6 * GIB))) == []
    # The third has asked for what it uses; the fourth uses next to nothing.
    assert orders(desk.do(words.DiskSeen(used, GIB))) == ["Kill 2-1"]
    # What is going may be enough.
    assert orders(desk.do(words.DiskSeen(used, GIB))) == []
    assert orders(desk.happened(run_words.Ended(Signalled(9)), 2)) == ["Kill 2-1", "Drop 2-1"]
    state = desk.reports[-1].runs[1].state
    assert isinstance(state, Finished)
    assert (state.exit, state.manifest) == (Stopped("disk"), None)


def test_what_the_kernel_ends_while_it_pauses_has_not_failed() -> None:
    desk = online()
    desk.running(JOB, 1)
    desk.running(JOB, 2)
    assert orders(desk.happened(run_words.Ended(Signalled(9)), 1)) == ["Collect 1-1"]
    desk.touch()
    assert orders(desk.happened(run_words.Ended(Signalled(9)), 2)) == ["Kill 2-1", "Drop 2-1"]
    state = desk.reports[-1].runs[1].state
    assert isinstance(state, Finished)
    assert (state.exit, state.manifest) == (Stopped("evict"), None)


def test_a_checkpoint_survives_the_agent_in_the_middle_of_it() -> None:
    desk = online(cpus=2)
    desk.running(LEAVES, 1)
    desk.running(LEAVES, 2)
    desk.touch()
    assert orders(desk.restart()) == ["Adopt 1-1", "Adopt 2-1"]
    assert desk.phases == {"1-1": "Saving", "2-1": "Leaving"}
    # Blind after its start, but nobody has asked for the desk back.
    assert orders(desk.happened(run_words.Ended(Exited(0)), 1)) == ["Collect 1-1", "Terminate 2-1"]


def test_after_a_power_failure_no_checkpoint_is_believed() -> None:
    desk = online()
    desk.running(LEAVES)
    desk.touch()
    assert orders(desk.restart(same_boot=False)) == ["Adopt 1-1"]
    assert orders(desk.happened(run_words.Ended(Crashed()))) == ["Kill 1-1", "Drop 1-1"]
    assert desk.phases == {"1-1": "Over"}


def test_those_go_on_first_that_have_waited_longest() -> None:
    desk = online(cpus=3)
    desk.running(JOB, 1)
    desk.touch()
    desk.wait(640.0)
    desk.running(JOB, 2)
    desk.touch()
    desk.happened(run_words.Ended(Exited(0)), 1)
    woken = [each for each in desk.wait(640.0) if each.startswith("Thaw")]
    assert woken == ["Thaw 2-1"]


def test_running_seconds_have_an_end_and_pauses_do_not_count() -> None:
    desk = online()
    desk.running(replace(JOB, run_time=100.0))
    desk.wait(40.0)
    desk.touch()
    assert orders(desk.wait(599.0)) == []
    assert orders(desk.wait(1.0)) == ["Thaw 1-1"]
    desk.wait(30.0)
    desk.restart()
    desk.look()
    assert desk.phases == {"1-1": "Alive"}
    run = desk.core.work.runs[AttemptId("b", 1, 1)]
    left = 100.0 - seconds(run, desk.now)[0]
    assert 29.0 < left < 31.0
    assert "Terminate 1-1" not in desk.wait(left - 0.5)
    assert "Terminate 1-1" in desk.wait(0.5)
    # What it does about that is no success, and is kept to be looked at.
    assert orders(desk.happened(run_words.Ended(Exited(0)))) == ["Collect 1-1"]
    desk.happened(run_words.OutputsHashed(MANIFEST, 5))
    phase = desk.core.work.runs[AttemptId("b", 1, 1)].phase
    assert isinstance(phase, Spooled)
    assert (phase.exit, phase.manifest) == (Stopped("run_time"), MANIFEST)


def test_a_build_may_take_as_long_as_it_likes() -> None:
    desk = online()
    desk.assign(replace(JOB, run_time=100.0, build=BuildSpec("key", Argv(("make",)))))
    desk.happened(run_words.Staged(built=False))
    desk.build(run_words.Placed())
    desk.build(run_words.Spawned(Process("boot-1", 7, 1)))
    assert "Terminate build" not in desk.wait(100.0) + desk.wait(1.0)
    assert desk.phases == {"1-1": "AwaitingBuild"}


# --- the coordinator ------------------------------------------------------------------------------


def test_the_next_attempt_gets_what_the_evicted_one_saved() -> None:
    office = FakeCoordinator()
    desk, loft = ScriptedAgent(office, "desk"), ScriptedAgent(office, "loft")
    desk.connect()
    office.submit(sweep_batch(jobs=1, checkpoint=Checkpoint()))
    desk.read()
    desk.run(Running())
    assert desk.assigned[-1].job.saved == ()
    desk.accepting = False
    # Not all of it is here: nothing is decided yet.
    assert desk.finish(Stopped("evict"), stored=False) == []
    assert office.shown("sweep") == ["collecting"]
    assert desk.finish(Stopped("evict")) == ["accepted 0#1 kept"]
    job = office.job("sweep/j0")
    assert (job.evictions, job.failures, job.crashes) == (1, 0, 0)
    assert office.shown("sweep") == ["queued"]
    office.restart()
    loft.connect()
    loft.read()
    assert loft.assigned[-1].job.saved == SAVED
    assert loft.finish() == ["accepted 0#2 committed"]
    # A job that is done needs no checkpoint.
    assert office.core.world.checkpoints == {}
    assert DropOutputs(MANIFEST) in office.done
    office.restart()


def test_a_job_that_fails_going_on_starts_anew_the_next_time() -> None:
    office = FakeCoordinator()
    desk = ScriptedAgent(office, "desk")
    desk.connect()
    office.submit(sweep_batch(jobs=1, checkpoint=Checkpoint()))
    desk.read()
    desk.finish(Stopped("evict"))
    desk.read()
    assert desk.assigned[-1].job.saved == SAVED
    desk.finish(Exited(3))
    assert office.core.world.checkpoints == {}


def test_a_checkpoint_that_cannot_be_read_is_none() -> None:
    office = FakeCoordinator()
    desk = ScriptedAgent(office, "desk")
    desk.connect()
    office.submit(sweep_batch(jobs=1, checkpoint=Checkpoint()))
    desk.read()
    office.broken[desk.last] = "its list cannot be read"
    assert desk.finish(Stopped("evict"))[0] == "accepted 0#1 discarded"
    assert office.job("sweep/j0").evictions == 1
    assert office.core.world.checkpoints == {}


def test_a_kill_while_the_checkpoint_comes_ends_it() -> None:
    office = FakeCoordinator()
    desk = ScriptedAgent(office, "desk")
    desk.connect()
    office.submit(sweep_batch(jobs=1, checkpoint=Checkpoint()))
    desk.read()
    office.commits_wait = True
    desk.finish(Stopped("evict"))
    office.ask(Kill("sweep"))
    office.finish_commits()
    assert office.shown("sweep") == ["killed"]
    assert office.core.world.checkpoints == {}


def test_what_ran_for_too_long_has_failed_with_its_files() -> None:
    office = FakeCoordinator()
    desk = ScriptedAgent(office, "desk")
    desk.connect()
    office.submit(sweep_batch(jobs=1))
    desk.read()
    assert desk.finish(Stopped("run_time")) == ["accepted 0#1 kept"]
    assert office.shown("sweep") == ["failed"]
    assert office.job("sweep/j0").failures == 1
