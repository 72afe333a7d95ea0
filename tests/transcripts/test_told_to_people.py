"""What the agent says about itself to people, at several moments of a story."""

import pytest

from fakes import FakeDesk
from fallow.shared.ids import AttemptId
from fallow.shared.messages import Argv, JobSpec
from fallow.shared.runs import Exited, Progress
from fallow.shared.work import run_words
from fallow.tray import core_words as words
from fallow.tray.metering import Meter, Used
from fallow.tray.show import Outside, day_state, show
from fallow.tray.status import AgentStatus, PausingStatus

JOB = JobSpec("ana", "sweep", "j", "ana", Argv(("true",)), 1, 1 << 30)
FIRST = AttemptId("b", 1, 1)


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk()
    made.online()
    return made


def told(desk: FakeDesk, meter: Meter | None = None) -> AgentStatus:
    outside = Outside("", lambda attempt: (), 1, PausingStatus(), meter or Meter())
    return show(desk.core, outside, desk.now)


def test_how_long_it_still_takes(desk: FakeDesk) -> None:
    desk.running(JOB)
    assert told(desk).runs[0].eta_seconds is None
    desk.now = desk.now.plus(60)
    desk.happened(run_words.Progressed(Progress(0.25)))
    assert told(desk).runs[0].eta_seconds == pytest.approx(180)
    # A pause is no time in which it could have gone on.
    desk.do(words.PauseAsked(None))
    desk.now = desk.now.plus(3600)
    assert told(desk).runs[0].eta_seconds == pytest.approx(180)
    desk.happened(run_words.Progressed(Progress(0.0)))
    assert told(desk).runs[0].eta_seconds is None


def test_why_a_run_is_paused(desk: FakeDesk) -> None:
    desk.running(JOB)
    assert told(desk).runs[0].why == ""
    desk.touch()
    run = told(desk).runs[0]
    assert (run.state, run.why) == ("paused", "you are here")


def test_what_a_run_uses(desk: FakeDesk) -> None:
    desk.running(JOB)
    meter = Meter()
    assert told(desk, meter).runs[0].cores is None
    desk.now = desk.now.plus(10)
    meter.look({FIRST: Used(5.0, 1000)}, desk.now.boot)
    run = told(desk, meter).runs[0]
    assert (run.cores, run.memory) == (0.5, 1000)
    desk.now = desk.now.plus(3)
    meter.look({FIRST: Used(11.0, 2000)}, desk.now.boot)
    run = told(desk, meter).runs[0]
    assert (run.cores, run.memory) == (2.0, 2000)
    desk.now = desk.now.plus(100)
    meter.look({FIRST: Used(12.13, 2000)}, desk.now.boot)
    assert told(desk, meter).runs[0].cores == pytest.approx(0.11, abs=0.01), "its life's average"


def test_the_states_of_a_day(desk: FakeDesk) -> None:
    assert day_state(desk.core) == "free"
    desk.running(JOB)
    assert day_state(desk.core) == "ran"
    desk.touch()
    assert day_state(desk.core) == "paused"
    desk.wait(700)
    assert day_state(desk.core) == "ran"
    desk.happened(run_words.Ended(Exited(0)))
    assert day_state(desk.core) == "free"


def test_every_wish_is_told(desk: FakeDesk) -> None:
    desk.do(words.PauseAsked(60.0))
    status = told(desk)
    assert (status.state, status.paused_by_hand) == ("paused", True)
    assert status.paused_until == desk.now.wall + 60
    desk.do(words.LendAsked(3600.0))
    status = told(desk)
    assert (status.state, status.paused_by_hand, status.paused_until) == ("idle", False, None)
    assert status.lent_until == desk.now.wall + 3600
    desk.do(words.FinishAsked())
    status = told(desk)
    assert (status.state, status.finishing, status.accepting) == ("finishing", True, False)
    desk.do(words.ResumeAsked())
    status = told(desk)
    assert (status.state, status.finishing, status.lent_until) == ("idle", False, None)
    desk.do(words.LendAsked(3600.0))
    desk.now = desk.now.plus(3600)
    assert told(desk).lent_until is None
