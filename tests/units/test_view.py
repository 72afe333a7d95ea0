"""The menu for every state that a person can meet."""

import pytest

from fallow.shared.runs import Progress, Reason
from fallow.tray.status import AgentStatus, RunStatus
from fallow.tray.view import Item, Menu, PauseFor, Resume, StartAgent, menu

RUN = RunStatus("sweep", "re100", "ana", "running", progress=Progress(0.43))
BUILD = RunStatus("sweep", "", "ana", "building")
HERE = Reason("input", "you are here", 600.0)
ASKED = Reason("pause", "you asked for a pause", 3600.0)


def show(status: AgentStatus | None) -> Menu:
    return menu(status, lambda wall: f"at {wall:.0f}")


def texts(shown: Menu) -> list[str]:
    return [item.text for item in shown.items if isinstance(item, Item)]


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
]


@pytest.mark.parametrize(("status", "icon", "headline"), CASES)
def test_icon_and_headline(status: AgentStatus | None, icon: str, headline: str) -> None:
    shown = show(status)
    assert shown.icon == icon
    assert shown.tooltip == f"Fallow: {headline}"
    assert texts(shown)[0] == headline


def test_resume_is_there_only_after_a_pause_by_hand() -> None:
    assert "Resume" not in texts(show(AgentStatus("paused", "online", "present", (HERE,))))
    paused = show(AgentStatus("paused", "online", "barred", (ASKED,), paused_by_hand=True))
    (resume,) = [item for item in paused.items if isinstance(item, Item) and item.text == "Resume"]
    assert resume.intent == Resume()


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
