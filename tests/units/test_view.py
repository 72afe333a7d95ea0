"""The menu for every state that a person can meet."""

import msgspec
import pytest

from fallow.shared.runs import Progress, Reason
from fallow.tray.status import AgentStatus, RunStatus
from fallow.tray.view import (
    ONLY_LOOK,
    Eject,
    Finish,
    Item,
    LendFor,
    Menu,
    OpenPreferences,
    OpenWindow,
    PauseFor,
    Resume,
    StartAgent,
    menu,
)

RUN = RunStatus("sweep", "re100", "ana", "running", progress=Progress(0.43))
BUILD = RunStatus("sweep", "", "ana", "building")
HERE = Reason("input", "you are here", 600.0)
LENT = Reason("lend", "you lend this computer while you work", 7200.0)
EJECTED = Reason("eject", "you sent the jobs elsewhere", 600.0)
ASKED = Reason("pause", "you asked for a pause", 3600.0)


def show(status: AgentStatus | None) -> Menu:
    return menu(status, lambda wall: f"at {wall:.0f}")


def texts(shown: Menu) -> list[str]:
    return [item.text for item in shown.items if isinstance(item, Item)]


def line(shown: Menu, text: str) -> Item:
    (found,) = [item for item in shown.items if isinstance(item, Item) and item.text == text]
    return found


CASES = [
    (None, "attention", "the part that runs jobs does not answer"),
    (AgentStatus("idle", "online", "away"), "idle", "waiting for work"),
    (
        AgentStatus("idle", "offline", "away"),
        "offline",
        "the coordinator cannot be reached; trying again",
    ),
    (
        AgentStatus("idle", "unjoined", "away"),
        "attention",
        "this computer has not joined a coordinator yet",
    ),
    (
        AgentStatus("idle", "refused", "away"),
        "attention",
        "the coordinator does not let this computer in",
    ),
    (
        AgentStatus("running", "online", "away", runs=(RUN,)),
        "running",
        "running re100 of sweep for ana",
    ),
    (
        AgentStatus("paused", "unjoined", "barred", (ASKED,), paused_by_hand=True),
        "paused_by_you",
        "paused, you asked for a pause, until at 3600",
    ),
    (
        AgentStatus("running", "online", "away", runs=(BUILD,)),
        "running",
        "building sweep for ana",
    ),
    (
        AgentStatus("running", "offline", "away", runs=(RUN, RUN)),
        "running",
        "running re100 of sweep for ana and 1 more",
    ),
    (
        AgentStatus("paused", "online", "present", (HERE,), (RUN,)),
        "paused_for_you",
        "paused, you are here, until at 600 if nobody touches it",
    ),
    (
        AgentStatus("paused", "online", "barred", (ASKED, HERE), (RUN,), paused_by_hand=True),
        "paused_by_you",
        "paused, you asked for a pause, until at 3600",
    ),
    (
        AgentStatus(
            "paused", "online", "barred", (Reason("pause", "you asked"),), paused_by_hand=True
        ),
        "paused_by_you",
        "paused, you asked, until you resume",
    ),
    (
        AgentStatus("paused", "online", "barred", (Reason("blind", "no sensor answers"),)),
        "attention",
        "paused, no sensor answers",
    ),
    (
        AgentStatus("idle", "online", "settling", (Reason("settle", "just free", 30.0),)),
        "idle",
        "free for work soon: just free",
    ),
    (
        AgentStatus("finishing", "online", "away", runs=(RUN, RUN), finishing=True),
        "running",
        "finishing re100 of sweep for ana and 1 more, then no more jobs until you resume",
    ),
    (
        AgentStatus("finishing", "online", "away", finishing=True),
        "paused_by_you",
        "no more jobs until you resume",
    ),
    (
        AgentStatus("running", "online", "away", (LENT,), (RUN,), lent_until=7200.0),
        "running",
        "running re100 of sweep for ana",
    ),
    (
        AgentStatus("idle", "online", "away", (LENT,), lent_until=7200.0),
        "idle",
        "waiting for work",
    ),
    (
        AgentStatus("paused", "online", "present", (EJECTED,)),
        "paused_for_you",
        "paused, you sent the jobs elsewhere, until at 600 if nobody touches it",
    ),
]


@pytest.mark.parametrize(("status", "icon", "headline"), CASES)
def test_icon_and_headline(status: AgentStatus | None, icon: str, headline: str) -> None:
    shown = show(status)
    assert shown.icon == icon
    assert shown.tooltip == f"Fallow: {headline}"
    assert texts(shown)[0] == headline


def test_the_whole_menu_is_there_in_its_order() -> None:
    assert texts(show(AgentStatus("running", "online", "away", runs=(RUN,)))) == [
        *("running re100 of sweep for ana", "re100 (sweep, ana): running, 43%"),
        *("Pause", "Use this computer while I work", "Send the job elsewhere", "Finish then stop"),
        *("Window", "Preferences", "About", "Quit"),
    ]


def test_resume_is_there_when_something_was_asked_by_hand() -> None:
    assert "Resume" not in texts(show(AgentStatus("paused", "online", "present", (HERE,))))
    by_hand = [
        AgentStatus("paused", "online", "barred", (ASKED,), paused_by_hand=True),
        AgentStatus("finishing", "online", "away", finishing=True),
        AgentStatus("idle", "online", "away", (LENT,), lent_until=7200.0),
        AgentStatus("paused", "online", "present", (EJECTED,)),
        AgentStatus("paused", "online", "present", (HERE, EJECTED)),
    ]
    for status in by_hand:
        assert line(show(status), "Resume").intent == Resume()


def test_a_loan_is_offered_by_length_and_told() -> None:
    shown = show(AgentStatus("idle", "online", "away"))
    lend = line(shown, "Use this computer while I work")
    assert [child.text for child in lend.children] == [
        *("30 minutes", "1 hour", "4 hours", "8 hours")
    ]
    assert lend.children[1].intent == LendFor(3600.0)
    lent = show(AgentStatus("idle", "online", "away", (LENT,), lent_until=7200.0))
    assert "lent while you work, until at 7200" in texts(lent)


def test_what_would_change_nothing_is_grey_and_says_so() -> None:
    idle = show(AgentStatus("idle", "online", "away"))
    assert line(idle, "Send the job elsewhere").barred == "No job is here now."
    assert line(idle, "Finish then stop").barred == ""
    busy = show(AgentStatus("finishing", "online", "away", runs=(RUN,), finishing=True))
    assert line(busy, "Send the job elsewhere") == Item(
        "Send the job elsewhere",
        Eject(),
        hint="What runs here starts again on another computer.",
        key="S",
    )
    assert line(busy, "Finish then stop").intent == Finish()
    assert line(busy, "Finish then stop").barred == "That is asked already."


def test_who_may_only_look_is_told_why() -> None:
    status = AgentStatus("paused", "online", "barred", (ASKED,), paused_by_hand=True)
    allowed, shown = show(status), show(msgspec.structs.replace(status, may_change=False))
    verbs = [
        *("Pause", "Resume", "Use this computer while I work", "Send the job elsewhere"),
        "Finish then stop",
    ]
    assert {line(shown, verb).barred for verb in verbs} == {ONLY_LOOK}
    assert ONLY_LOOK in texts(shown)
    assert ONLY_LOOK not in texts(allowed)
    assert line(shown, "Window") == line(allowed, "Window")
    assert line(shown, "Window").intent == OpenWindow()


def test_preferences_need_an_agent() -> None:
    assert line(show(None), "Preferences").barred
    there = line(show(AgentStatus("idle", "online", "away")), "Preferences")
    assert (there.intent, there.barred) == (OpenPreferences(), "")


def test_pauses_are_offered_by_length() -> None:
    shown = show(AgentStatus("idle", "online", "away"))
    (pause,) = [item for item in shown.items if isinstance(item, Item) and item.text == "Pause"]
    assert [child.text for child in pause.children] == [
        "30 minutes",
        "1 hour",
        "4 hours",
        "Until tomorrow",
        "Until I resume",
    ]
    assert pause.children[1].intent == PauseFor(3600.0)


def test_runs_are_listed_with_owner_and_progress() -> None:
    shown = show(AgentStatus("running", "online", "away", runs=(RUN,)))
    assert "re100 (sweep, ana): running, 43%" in texts(shown)
    assert "build (sweep, ana): building" in texts(
        show(AgentStatus("running", "online", "away", runs=(BUILD,)))
    )


def test_an_agent_that_is_not_there_can_be_started_and_not_paused() -> None:
    shown = show(None)
    assert StartAgent() in [item.intent for item in shown.items if isinstance(item, Item)]
    assert "Pause" not in texts(shown)
    assert "Start it again" not in texts(show(AgentStatus("idle", "online", "away")))


def test_the_last_words_of_an_agent_are_shown() -> None:
    assert "agent.toml is wrong" in texts(menu(None, str, ("agent.toml is wrong",)))


def test_no_line_is_wider_than_a_screen() -> None:
    name = "x" * 100
    run = RunStatus(name, name, "ana", "running")
    blind = Reason("blind", "Fallow cannot see whether you are there: " + "no sensor; " * 30)
    note = "jobs cannot be kept from this computer's files: " + "install it, " * 20
    for status in (
        AgentStatus("running", "online", "away", runs=(run,), notes=(note,)),
        AgentStatus("paused", "online", "barred", (blind,)),
    ):
        shown = show(status)
        assert max(map(len, texts(shown))) <= 110
        assert len(shown.tooltip) <= 120
    assert shown.headline.endswith("no sensor; ")
    said = " ".join(texts(show(AgentStatus("idle", "online", "away", notes=(note,)))))
    assert note.strip() in said, "a note is there whole, in several lines"
    assert max(map(len, texts(menu(None, str, ("why " * 50,))))) <= 110
