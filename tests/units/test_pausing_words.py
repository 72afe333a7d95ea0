"""What `tray doctor` says about how jobs are stopped and bounded here."""

import pytest

from fallow.shared.work.ground import Ground
from fallow.shared.work.sandbox import SandboxAbility
from fallow.tray.checkup import Finding, pausing_findings
from fallow.tray.pausing import pausing
from fallow.tray.status import PausingStatus

WITH = SandboxAbility("bubblewrap", program="/usr/bin/bwrap")
WITHOUT = SandboxAbility("none", "bubblewrap is not installed")
NO_GROUPS = Ground(why="control groups of version 2 are not mounted")
GROUPS = Ground("/sys/fs/cgroup/fallow", controllers=("cpu", "memory", "pids"))
BARE_GROUPS = Ground("/sys/fs/cgroup/unified/fallow")


@pytest.mark.parametrize(
    ("ability", "ground", "way", "held"),
    [
        (WITH, GROUPS, "cgroup", ("memory", "pids")),
        (WITHOUT, GROUPS, "cgroup", ("memory", "pids")),
        (WITH, BARE_GROUPS, "cgroup", ()),
        (WITH, NO_GROUPS, "pid_namespace", ()),
        (WITHOUT, NO_GROUPS, "processes", ()),
    ],
)
def test_the_best_way_is_named(
    ability: SandboxAbility, ground: Ground, way: str, held: tuple[str, ...]
) -> None:
    status = pausing(ability, ground)
    assert (status.way, status.held_to) == (way, held)
    # Why it is not a better one, where it is not.
    assert (NO_GROUPS.why in status.text) == (not ground.folder)
    assert (WITHOUT.why in status.text) == (way == "processes")


def test_what_is_not_held_is_said() -> None:
    stopping, bounds = pausing_findings(pausing(WITH, BARE_GROUPS))
    assert stopping == Finding(
        "pausing", True, f"each job has a control group in {BARE_GROUPS.folder}", stopping.hint
    )
    assert bounds.good
    assert "takes more memory is ended" in bounds.text
    assert "is ended" not in pausing_findings(pausing(WITH, GROUPS))[1].text


def test_the_weakest_way_comes_with_advice() -> None:
    stopping = pausing_findings(pausing(WITHOUT, NO_GROUPS))[0]
    assert not stopping.good
    assert "bubblewrap" in stopping.hint


def test_an_agent_that_does_not_say_is_not_judged() -> None:
    assert pausing_findings(PausingStatus()) == []
