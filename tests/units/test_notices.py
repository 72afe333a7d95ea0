"""What is notified, and what is not said twice."""

from fallow.shared.runs import Reason
from fallow.tray.notices import PATIENCE, Notice, Told, notices
from fallow.tray.status import AgentStatus, RunStatus
from fallow.tray.view import menu

RUN = RunStatus("sweep", "re100", "ana", "running", "a/0/1")
GOES = RunStatus("sweep", "re100", "ana", "ending", "a/0/1", leaving=True)
ALSO = RunStatus("sweep", "re200", "ana", "ending", "a/1/1", leaving=True)
IDLE = AgentStatus("idle", "online", "away")
EJECTED = Reason("eject", "you sent the jobs elsewhere", 600.0)


class Desk:
    """Says statuses one after the other and keeps what was told."""

    def __init__(self, told: Told | None = None) -> None:
        self.told = told or Told()
        self.boot = 1000.0

    def says(self, status: AgentStatus | None, after: float = 0.0) -> tuple[Notice, ...]:
        self.boot += after
        shown = menu(status, str)
        self.told, found = notices(self.told, status, shown, self.boot)
        return found


def running(*runs: RunStatus, reasons: tuple[Reason, ...] = ()) -> AgentStatus:
    return AgentStatus("running", "online", "away", reasons, runs)


def test_the_first_job_is_told_of_once_and_for_all() -> None:
    desk = Desk()
    assert desk.says(IDLE) == ()
    (first,) = desk.says(running(RUN))
    assert first.title == "The first job of your group is here"
    assert "re100 of sweep, for ana" in first.text
    assert desk.says(running(RUN)) == ()
    assert desk.says(IDLE) == ()
    assert desk.says(running(RunStatus("sweep", "re300", "bo", "running", "b/0/1"))) == ()
    assert Desk(Told(met=True)).says(running(RUN)) == ()


def test_work_that_moves_away_is_told_of_once_each() -> None:
    desk = Desk(Told(met=True))
    assert desk.says(running(RUN)) == ()
    (moved,) = desk.says(running(GOES))
    assert moved.title == "re100 of sweep moves to another computer"
    assert desk.says(running(GOES)) == ()
    (moved,) = desk.says(running(GOES, ALSO))
    assert moved.title == "re200 of sweep moves to another computer"
    assert desk.says(IDLE) == ()
    (both,) = desk.says(running(GOES, ALSO))
    assert both.title == "2 jobs move to other computers"


def test_who_sent_them_away_knows() -> None:
    assert Desk(Told(met=True)).says(running(GOES, reasons=(EJECTED,))) == ()


def test_trouble_is_told_of_when_it_lasts() -> None:
    for trouble in (None, AgentStatus("idle", "refused", "away")):
        desk = Desk()
        assert desk.says(trouble) == ()
        assert desk.says(trouble, PATIENCE - 1) == ()
        (call,) = desk.says(trouble, 1)
        assert call.urgent
        assert call.title == "Fallow needs you"
        assert desk.says(trouble, 3600) == (), "once is enough"
        assert desk.says(IDLE, 1) == ()
        assert desk.says(trouble, 1) == ()
        (again,) = desk.says(trouble, PATIENCE)
        assert again == call


def test_trouble_that_passes_is_not_told_of() -> None:
    desk = Desk()
    for _ in range(10):
        assert desk.says(None, PATIENCE - 1) == ()
        assert desk.says(IDLE, 1) == ()
