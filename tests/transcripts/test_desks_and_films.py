"""Stories of what sensors tell beside keys: a film, and a session that nobody watches."""

import pytest

from fakes import FakeDesk
from fallow.shared.messages import Argv, JobSpec
from fallow.shared.runs import Declined
from fallow.tray import core_words as words
from fallow.tray.coverage import Cover, Desk
from fallow.tray.presence import Reading

JOB = JobSpec("ana", "sweep", "j", "ana", Argv(("true",)), 1, 1 << 30)


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk()
    made.online()
    return made


def state(desk: FakeDesk) -> tuple[str, str]:
    verdict = desk.core.verdict
    return verdict.kind, verdict.reasons[0].text if verdict.reasons else ""


def film(desk: FakeDesk, why: str, last: float | None) -> words.Seen:
    """What the tray sees: a keyboard at rest, and who keeps the desktop awake."""
    keys = Reading("keys", "input", True, last_activity=desk.touched)
    return words.Seen("tray-1", (keys, Reading("inhibitors", "inhibitor", True, why, last)))


def test_a_film_pauses_and_its_end_is_the_last_activity(desk: FakeDesk) -> None:
    assert state(desk)[0] == "away"
    for _ in range(3):
        desk.now = desk.now.plus(1200.0)
        desk.do(film(desk, "mpv (a film)", desk.now.boot))
        assert state(desk)[0] == "present"
        assert "mpv (a film) asks not to be disturbed" in [
            reason.text for reason in desk.core.verdict.reasons
        ]
    ended = desk.now.boot
    desk.now = desk.now.plus(599.0)
    desk.do(film(desk, "", ended))
    assert state(desk) == ("present", "you are here")
    desk.now = desk.now.plus(31.1)
    desk.do(film(desk, "", ended))
    assert state(desk)[0] == "away"


def test_what_somebody_has_open_stays_at_the_desk(desk: FakeDesk) -> None:
    desk.do(film(desk, "mpv (The Third Man)", desk.now.boot))
    desk.do(words.Seen("agent", (), False, ("blender",), 0.0))
    said = [reason.text for reason in desk.core.verdict.reasons]
    assert said[0] == "blender is open"
    assert "mpv (The Third Man) asks not to be disturbed" in said
    desk.assign(JOB)
    told = desk.reports[-1]
    assert isinstance(told.runs[0].state, Declined)
    kinds = [each.kind for each in told.verdict.reasons]
    assert kinds == ["exclusive", "input", "inhibitor"]
    assert told.runs[0].state.text == told.verdict.why
    for private in ("blender", "mpv", "Third Man"):
        assert private not in repr(told)


def test_a_film_ends_with_the_tray_that_told_of_it(desk: FakeDesk) -> None:
    desk.do(film(desk, "mpv (a film)", desk.now.boot))
    assert desk.core.desk.facts.inhibitors == ("mpv (a film)",)
    desk.do(words.SourceGone("tray-1"))
    assert not desk.core.desk.facts.inhibitors


def test_a_second_person_without_a_tray_bars_all_jobs(desk: FakeDesk) -> None:
    ana, ben = Desk("2", "ana", 1000, "seat0", ":0"), Desk("5", "ben", 1001, "seat0", ":1")

    def logind(*desks: Desk) -> words.Seen:
        return words.Seen("agent", (Reading("logind", "session", True, "somebody", desks=desks),))

    def tray(source: str, cover: Cover) -> words.Seen:
        keys = Reading("keys", "input", True, last_activity=desk.touched, covers=cover)
        return words.Seen(source, (keys,))

    seen_by_ana = tray("tray-1", Cover(session="2", uid=1000, display=":0"))
    desk.do(logind(ana), seen_by_ana)
    assert state(desk)[0] == "away"
    desk.do(logind(ana, ben), seen_by_ana)
    kind, text = state(desk)
    assert kind == "barred"
    assert "nothing watches ben's session 5 at seat0" in text
    desk.do(tray("tray-2", Cover(uid=1001, display=":1")))
    assert state(desk)[0] == "away"
    desk.do(words.SourceGone("tray-2"))
    assert state(desk)[0] == "barred"
