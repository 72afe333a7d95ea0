"""Real processes in each containment that this computer has; all of them must be here in CI.

Not fakes: those are in tests/fakes.py.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from fallow.shared.work.ground import NOWHERE, Ground
from fallow.shared.work.ground import probe as ground_probe
from fallow.shared.work.processes import Spawn, spawn
from fallow.shared.work.sandbox import (
    Layout,
    SandboxAbility,
    SandboxPlan,
    plan_for,
    probe,
)
from processes.started import Start, Started


@pytest.fixture(scope="session")
def ability() -> SandboxAbility:
    found = probe()
    if found.kind != "bubblewrap":
        pytest.skip(found.why)
    return found


@pytest.fixture(params=["hidden", "bare", "plain"])
def layout(request: pytest.FixtureRequest) -> Layout:
    found: Layout = request.param
    return found


@pytest.fixture(scope="session")
def ground_here() -> Ground:
    found = ground_probe()
    if not found.folder:
        pytest.skip(found.why)
    return found


@pytest.fixture(params=["signals", "cgroup"])
def ground(request: pytest.FixtureRequest) -> Ground:
    """How a run is stopped: one process after the other, or by a control group of its own."""
    if request.param == "signals":
        return NOWHERE
    found: Ground = request.getfixturevalue("ground_here")
    return found


@pytest.fixture
def plan(layout: Layout, ability: SandboxAbility, tmp_path: Path) -> SandboxPlan:
    return plan_of(layout, ability, tmp_path)


def plan_of(layout: Layout, ability: SandboxAbility, folder: Path) -> SandboxPlan:
    for name in ("work", "scratch"):
        (folder / name).mkdir(exist_ok=True)
    if layout == "plain":
        ability = SandboxAbility("none", "left out by the test")
    wish: Literal["auto", "none"] = "auto" if layout == "hidden" else "none"
    made = plan_for(ability, wish, folder / "work", folder / "scratch")
    assert made.layout == layout
    return made


@pytest.fixture
def start(plan: SandboxPlan, ground: Ground, tmp_path: Path) -> Iterator[Start]:
    """Starts a command; whatever it left is ended after the test, and nothing may be left."""
    count = itertools.count()
    begun: list[Started] = []

    def go(*argv: str, **more: str) -> Started:
        folder = tmp_path / f"run{next(count)}"
        folder.mkdir()
        # Niceness has its own test; here it would only make this one slow on a busy computer.
        words = folder / "stdout.txt", folder / "stderr.txt"
        one = Spawn(argv, plan, *words, folder / "status", env=more, nice=0, ground=ground)
        run = Started(spawn(one), plan, folder)
        begun.append(run)
        return run

    yield go
    for run in begun:
        killed = run.tree.kill()
        run.handle.close()
        assert killed.left == ()
    if ground.folder:
        groups = {path.name for path in Path(ground.folder).glob("run-*")}
        assert not groups & {run.group for run in begun}
