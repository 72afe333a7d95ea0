"""What the desk's owner asks for by hand, as stories: pause, lend, eject, finish, resume."""

import pytest
from msgspec.structs import replace

from fakes import FakeDesk
from fallow.shared.messages import Argv, JobSpec, Welcome
from fallow.shared.moments import Moment
from fallow.shared.runs import Declined
from fallow.tray import core_words as words

HOUR = 3600.0
DAY = 24 * HOUR
JOB = JobSpec("ana", "sweep", "j", "ana", Argv(("true",)), 1, 1 << 30)


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk()
    made.online()
    return made


def verdict(desk: FakeDesk) -> tuple[str, str]:
    """The kind of the verdict, and of the deciding reason."""
    it = desk.core.verdict
    return it.kind, it.reasons[0].kind if it.reasons else ""


def reboot(desk: FakeDesk, *, off: float, wall: float | None = None) -> None:
    """The computer is off for so long; its boot clock starts anew, the wall clock may be set."""
    later = desk.now.wall + off if wall is None else wall
    desk.now = Moment(50.0, later)
    desk.settings = replace(desk.settings, boot_id=desk.settings.boot_id + "x")
    desk.touched = 0.0
    desk.restart(same_boot=False)


def test_every_wish_is_on_disk_before_anybody_is_told(desk: FakeDesk) -> None:
    desk.running(JOB)
    assert desk.do(words.PauseAsked(HOUR)) == [
        "Freeze 1-1",
        "save 1-1 Alive",
        "hold traffic",
        "SaveWishes",
        "say Report",
    ]
    assert desk.do(words.FinishAsked()) == ["SaveWishes", "say Report"]
    assert desk.do(words.LendAsked(HOUR))[-2:] == ["SaveWishes", "say Report"]
    assert desk.do(words.ResumeAsked())[-2:] == ["SaveWishes", "say Report"]


def test_lending_while_the_owner_types(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.touch()
    assert verdict(desk) == ("present", "input")
    desk.do(words.LendAsked(HOUR))
    assert verdict(desk) == ("away", "lend")
    assert desk.core.accepting
    assert not desk.core.work.frozen
    desk.wait(HOUR - 1)
    desk.touch()
    assert verdict(desk) == ("away", "lend")
    desk.wait(1)
    assert verdict(desk) == ("present", "input")
    assert desk.core.work.frozen


def test_the_last_word_counts(desk: FakeDesk) -> None:
    desk.do(words.LendAsked(HOUR))
    desk.do(words.PauseAsked(60.0))
    desk.wait(61)
    desk.touch()
    assert verdict(desk) == ("present", "input"), "the pause ended the loan"
    desk.do(words.PauseAsked(None))
    desk.do(words.LendAsked(HOUR))
    assert verdict(desk) == ("away", "lend"), "the loan ended the pause"
    desk.do(words.EjectAsked())
    assert verdict(desk) == ("present", "eject"), "and that is over by this"
    assert desk.core.verdict.reasons[0].until == desk.now.wall + 600


def test_jobs_are_sent_elsewhere(desk: FakeDesk) -> None:
    desk.running(JOB)
    said = desk.do(words.EjectAsked())
    assert said.index("Freeze 1-1") < said.index("SaveWishes")
    assert "Alive" not in desk.phases.values()
    assert verdict(desk) == ("present", "eject")
    assert not desk.reports[-1].accepting
    desk.wait(599)
    assert verdict(desk) == ("present", "eject")
    desk.touch()
    desk.wait(599)
    assert verdict(desk) == ("present", "input"), "free means that nobody touched it"
    desk.wait(1)
    assert verdict(desk)[0] == "settling"
    desk.wait(31)
    assert desk.core.accepting


def test_resume_lets_jobs_come_at_once_after_they_were_sent_elsewhere(desk: FakeDesk) -> None:
    desk.do(words.EjectAsked())
    desk.do(words.ResumeAsked())
    assert verdict(desk) == ("away", "")
    assert desk.core.accepting


def test_what_runs_is_finished_and_no_more_is_taken(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.do(words.FinishAsked())
    assert desk.core.verdict.runs
    assert desk.phases == {"1-1": "Alive"}
    assert not desk.reports[-1].accepting
    desk.assign(JOB, 2)
    assert desk.reports[-1].runs[-1].state == Declined(
        "owner", "the owner of this computer wants no more jobs for now"
    )
    desk.touch()
    desk.wait(700)
    assert desk.core.verdict.runs
    assert not desk.core.accepting
    desk.restart()
    desk.wait(31)
    assert verdict(desk) == ("away", "finish")
    assert not desk.core.accepting, "until resumed, over a restart too"
    desk.do(words.ResumeAsked())
    assert desk.core.accepting


@pytest.mark.parametrize(
    ("wish", "kind"),
    [
        (words.PauseAsked(HOUR), "pause"),
        (words.PauseAsked(None), "pause"),
        (words.LendAsked(HOUR), "lend"),
        (words.EjectAsked(), "eject"),
        (words.FinishAsked(), "finish"),
    ],
)
def test_a_wish_survives_the_agent(desk: FakeDesk, wish: words.Event, kind: str) -> None:
    desk.do(wish)
    desk.now = desk.now.plus(60)
    desk.restart()
    desk.look()
    assert kind in {reason.kind for reason in desk.core.verdict.reasons}


def test_a_timed_pause_survives_a_reboot_by_the_wall_clock(desk: FakeDesk) -> None:
    desk.do(words.PauseAsked(HOUR))
    ends = desk.now.wall + HOUR
    reboot(desk, off=20 * 60)
    desk.look()
    assert verdict(desk) == ("barred", "pause")
    assert desk.core.verdict.until == ends
    reboot(desk, off=41 * 60)
    desk.wait(700)
    assert verdict(desk)[0] == "away"


def test_a_reboot_into_a_wrong_clock_makes_no_pause_longer_than_asked(desk: FakeDesk) -> None:
    desk.do(words.PauseAsked(HOUR))
    reboot(desk, off=0, wall=desk.now.wall - 30 * DAY)
    desk.wait(HOUR - 1)
    assert verdict(desk) == ("barred", "pause")
    desk.wait(1)
    assert verdict(desk)[0] != "barred"


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_a_wall_clock_that_jumps_moves_no_wish_of_this_boot(desk: FakeDesk, jump: float) -> None:
    desk.do(words.PauseAsked(HOUR))
    desk.now = Moment(desk.now.boot, desk.now.wall + jump)
    desk.wait(HOUR - 1)
    assert verdict(desk) == ("barred", "pause")
    desk.wait(1)
    assert verdict(desk)[0] != "barred"


def test_a_pause_that_is_over_does_not_come_back_with_an_old_clock(desk: FakeDesk) -> None:
    desk.do(words.PauseAsked(HOUR))
    desk.wait(HOUR + 1)
    reboot(desk, off=0, wall=desk.now.wall - 30 * DAY)
    desk.wait(700)
    assert verdict(desk)[0] == "away"


def test_whose_jobs_are_not_wanted(desk: FakeDesk) -> None:
    settings = desk.settings
    rules = replace(settings, resources=replace(settings.resources, not_from=("ana",)))
    assert desk.do(words.Reconfigured(rules)) == ["say Hello", "hold traffic"]
    desk.said(Welcome(2, 5.0, "desk"))
    desk.assign(JOB)
    assert desk.reports[-1].runs[-1].state == Declined(
        "owner", "this computer does not run jobs of ana"
    )
    desk.assign(replace(JOB, owner="bo"), 2)
    assert desk.phases["2-1"] == "Fetching"


def test_other_rules_hold_at_once(desk: FakeDesk) -> None:
    desk.running(JOB)
    desk.touch()
    desk.wait(300)
    assert verdict(desk) == ("present", "input")
    policy = replace(desk.settings.policy, idle_after=200.0)
    said = desk.do(words.Reconfigured(replace(desk.settings, policy=policy)))
    assert "Thaw 1-1" in said
    assert "say Hello" not in said, "what is offered is the same"
    assert verdict(desk)[0] == "away"


def test_other_programs(desk: FakeDesk) -> None:
    desk.running(JOB)

    def around(share: float, *exclusive: str) -> list[str]:
        return desk.do(words.Seen("agent", (), False, exclusive, share))

    assert "Freeze 1-1" in around(0.62)
    assert verdict(desk) == ("present", "busy")
    reports = len(desk.reports)
    around(0.61)
    around(0.64)
    assert len(desk.reports) == reports, "a share that trembles is no news"
    assert "Thaw 1-1" in around(0.4)
    assert verdict(desk) == ("settling", "settle")
    desk.wait(30)
    assert verdict(desk) == ("away", "")
    assert "Freeze 1-1" in around(0.0, "blender")
    assert verdict(desk) == ("barred", "exclusive")
    assert desk.core.verdict.why == "blender is open"
    assert "Thaw 1-1" in around(0.0)


def test_sleep_counts_for_every_wish(desk: FakeDesk) -> None:
    desk.do(words.LendAsked(HOUR))
    desk.now = desk.now.plus(2 * HOUR)
    desk.do(words.Woke(2 * HOUR))
    desk.touch()
    assert verdict(desk) == ("present", "input")
