"""A bumped mouse after long idleness, and all that is none."""

import pytest

from fallow.tray.second_sign import Answers, Input, Rule, Signs, answered, witness

START = 1000.0
LONG = START + 900.0


def run(*events: Input) -> Signs:
    signs = Signs(START)
    for event in events:
        signs = witness(signs, event)
    return signs


def motion(at: float, x: float, y: float = 0.0) -> Input:
    return Input("motion", at, x, y)


STORIES = {
    # what happens: since when somebody is there
    "a key": ([Input("key", LONG)], LONG),
    "a click": ([Input("click", LONG)], LONG),
    "the wheel": ([Input("scroll", LONG)], LONG),
    "a motion soon after the last input": ([motion(LONG - 0.1, 3)], LONG - 0.1),
    "a lone motion": ([motion(LONG, 3)], START),
    "a bump of several small events": (
        [motion(LONG, 3), motion(LONG + 0.1, 5), motion(LONG + 0.2, 2)],
        START,
    ),
    "a second motion": ([motion(LONG, 3), motion(LONG + 1.0, 4)], LONG + 1.0),
    "a second motion within the time": ([motion(LONG, 3), motion(LONG + 30, 4)], LONG + 30),
    "a second bump much later": ([motion(LONG, 3), motion(LONG + 30.1, 4)], START),
    "a key after the bump": ([motion(LONG, 3), Input("key", LONG + 0.01)], LONG + 0.01),
    "a hand on the mouse": ([motion(LONG, 3), motion(LONG + 0.01, 19)], LONG + 0.01),
    "a crawl of small steps that goes far": (
        [motion(LONG + 0.01 * step, 2.0 * step) for step in range(12)],
        LONG + 0.08,
    ),
    "15 pixels are few": ([motion(LONG, 0), motion(LONG + 0.01, 15)], START),
    "far in one event": ([motion(1100, 5), motion(2100, 21)], 2100),
    "near the place of long ago": ([motion(1100, 5), motion(2100, 9)], 1100),
}


@pytest.mark.parametrize("story", STORIES)
def test_who_is_somebody(story: str) -> None:
    events, active_at = STORIES[story]
    signs = run(*events)
    # After a crawl has counted, the rest of it counts too.
    expected = events[-1].at if story.startswith("a crawl") else active_at
    assert signs.active_at == expected
    if story.startswith("a crawl"):
        firsts = [run(*events[: n + 1]).active_at for n in range(len(events))]
        assert next(at for at in firsts if at != START) == pytest.approx(active_at)


def test_a_bump_a_day_never_adds_up() -> None:
    signs = Signs(START)
    for day in range(1, 8):
        signs = witness(signs, motion(START + day * 86400.0, 2.0 * day))
    assert signs.active_at == START


def test_other_sensors_are_told_what_was_a_bump() -> None:
    signs = run(motion(LONG, 3), motion(LONG + 0.2, 5))
    assert signs.doubts(LONG)
    assert signs.doubts(LONG + 0.4)
    assert not signs.doubts(LONG - 1)
    assert not signs.doubts(LONG + 1)
    assert not witness(signs, Input("key", LONG + 2)).doubts(LONG)


def test_the_rule_can_be_another() -> None:
    rule = Rule(idle=60.0, distance=100.0)
    signs = witness(Signs(START), motion(START + 61, 0), rule)
    assert witness(signs, motion(START + 61.1, 99), rule).active_at == START
    assert witness(signs, motion(START + 61.1, 100), rule).active_at == START + 61.1


def test_what_answers_tell_that_have_no_kind() -> None:
    def sure(_: float) -> bool:
        return False

    def bump(at: float) -> bool:
        return at == 100.0

    assert answered(Answers(), 100.0, 100.1, None) == Answers(100.0)
    assert answered(Answers(100.0), 100.2, 103.0, None) == Answers(100.0), "the same input"
    assert answered(Answers(), 90.0, 100.0, sure) == Answers(90.0)
    # A young answer counts with the next one: until then it may turn out to be a bump.
    young = answered(Answers(50.0), 100.0, 100.1, sure)
    assert young == Answers(50.0, 100.0)
    assert answered(young, 100.1, 103.0, sure) == Answers(100.0)
    assert answered(young, 102.9, 103.0, sure) == Answers(100.0, 102.9), "typing goes on"
    assert answered(young, 100.0, 103.0, bump) == Answers(50.0)
    assert answered(Answers(50.0), 100.0, 103.0, bump) == Answers(50.0)
