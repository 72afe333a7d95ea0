"""An agent that gives its jobs back before it ends: the session closes, the computer shuts down."""

import pytest
from msgspec.structs import replace

from fakes import FakeDesk
from fallow.shared.batch import Checkpoint
from fallow.shared.messages import Argv, JobSpec
from fallow.shared.runs import Exited, Signalled
from fallow.shared.work import run_words
from fallow.tray import core_words as words

JOB = JobSpec("ana", "sweep", "j", "ana", Argv(("true",)), 1, 1 << 30)
SAVES = replace(JOB, checkpoint=Checkpoint(grace=20.0, files=("save",)))
MANIFEST = "ab" * 32


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk()
    made.online()
    return made


def test_with_nothing_to_do_it_ends_at_once(desk: FakeDesk) -> None:
    assert desk.do(words.LeaveAsked(60.0)) == ["say Report", "say Bye", "End"]


def test_a_plain_stop_lets_jobs_run_on(desk: FakeDesk) -> None:
    desk.running(JOB)
    assert "say Bye" in desk.do(words.StopAsked())
    assert desk.phases == {"1-1": "Alive"}


def test_what_cannot_save_itself_is_ended_and_then_goodbye_is_said(desk: FakeDesk) -> None:
    desk.running(JOB)
    said = desk.do(words.LeaveAsked(60.0))
    assert "Terminate 1-1" in said
    assert "End" not in said
    assert not desk.reports[-1].accepting
    said = desk.happened(run_words.Ended(Signalled(9)))
    assert said[-2:] == ["say Bye", "End"]


def test_what_can_save_itself_does_and_its_checkpoint_is_handed_in(desk: FakeDesk) -> None:
    desk.running(SAVES)
    said = desk.do(words.LeaveAsked(60.0))
    assert "Terminate 1-1" in said
    desk.wait(5)
    assert "Collect 1-1" in desk.happened(run_words.Ended(Exited(0)))
    assert "End" not in desk.happened(run_words.OutputsHashed(MANIFEST, 5))
    assert desk.happened(run_words.Uploaded())[-2:] == ["say Bye", "End"]


def test_it_does_not_wait_for_ever(desk: FakeDesk) -> None:
    desk.running(SAVES)
    desk.do(words.LeaveAsked(10.0))
    assert "End" not in desk.wait(9)
    assert desk.wait(1)[-3:] == ["Kill 1-1", "say Bye", "End"]


def test_without_a_coordinator_it_waits_for_no_delivery(desk: FakeDesk) -> None:
    desk.running(SAVES)
    desk.do(words.Lost())
    desk.do(words.LeaveAsked(60.0))
    desk.happened(run_words.Ended(Exited(0)))
    assert desk.happened(run_words.OutputsHashed(MANIFEST, 5))[-1] == "End"


def test_no_job_comes_to_an_agent_that_leaves(desk: FakeDesk) -> None:
    desk.running(SAVES)
    desk.do(words.LeaveAsked(60.0))
    desk.assign(JOB, 2)
    assert desk.phases["2-1"] == "GivenBack"
