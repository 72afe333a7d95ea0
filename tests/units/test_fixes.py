"""For every obstacle there is something that would help, also for those that a desk tells of."""

import re
from pathlib import Path

import pytest

from fallow.coordinator import fixes, node, plan
from fallow.coordinator.fixes import distance, fix
from fallow.coordinator.plan import Group, Seat
from fallow.shared.runs import Reason
from fallow.tray import presence

GROUP = Group("b", "ana", 0, (0,), cpus=8, memory=1 << 30, capabilities=("gpu",), gpus=2, disk=9)
SEAT = Seat("desk", None, 4, 1 << 20, 4, 1 << 20)


def kinds(module: object) -> set[str]:
    """The kinds of reasons that are written down in a module."""
    source = Path(str(getattr(module, "__file__"))).read_text()  # noqa: B009
    return set(re.findall(r'Reason\(\s*"(\w+)"', source))


KNOWN = sorted(kinds(plan) | kinds(node) | (kinds(presence) - {"busy"}) | {"load", "input"})


def test_the_kinds_are_found() -> None:
    assert {"capability", "busy", "kept"} <= kinds(plan)
    assert {"offline", "drained"} <= kinds(node)
    assert {"pause", "hours", "busy"} <= kinds(presence)


@pytest.mark.parametrize("kind", KNOWN)
def test_each_has_a_sentence_and_a_place_among_the_others(kind: str) -> None:
    found = fix(Reason(kind, "some text"), GROUP, SEAT, "ana:b", "ana:c/x of bob")
    assert len(found.text) > 10
    assert not found.text.endswith(".")
    assert found.command.startswith(("tray ", "coordinator ")) or not found.command
    # What is said on the workstation is the tray's, anything else is said anywhere.
    assert bool(found.at) == found.command.startswith("tray ")
    if kind != "lend":  # that is no obstacle
        assert kind in fixes.NEAREST, "its distance is only guessed"


def test_what_ends_by_itself_is_nearer_than_a_purchase() -> None:
    order = ["gave_back", "busy", "input", "pause", "build", "memory", "gpus"]
    assert sorted(order, key=distance) == order
    assert distance("of tomorrow") == distance("present")
