"""A session closes: the icon ends the agent that it started, whose jobs save themselves and leave.

Not an agent that was there before the icon: that one goes on. How an agent leaves is in
test_farewells_for_real.py.
"""

import signal
from collections.abc import Iterator

import psutil
import pytest

from desktop.virtual_desktop import VirtualDesktop
from fallow.shared.errors import Unreachable
from main_job.conftest import Coordinator
from main_job.real import Group, RealWorkstation, config, one_job
from main_job.workstation import SCRIPT
from waiting import wait_until

COUNTS = (
    'save() { echo saved > "$FALLOW_CHECKPOINT/state"; exit 0; }; trap save TERM; '
    "cat $FALLOW_CHECKPOINT/state 2>/dev/null; echo begun; while :; do /bin/sleep 0.02; done"
)
SAVES = "checkpoint: {signal: TERM, grace: 30s, files: [checkpoint/]}\n"


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


@pytest.fixture
def desktop() -> Iterator[VirtualDesktop]:
    with VirtualDesktop("sni") as screen:
        yield screen


def agent_of(place: RealWorkstation) -> int:
    try:
        return int(place.quick_status().pid)
    except Unreachable:
        return 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_icons_own_agent_gives_its_jobs_back(
    group: Group, desktop: VirtualDesktop, number: signal.Signals
) -> None:
    place = group.workstation(configuration=config())
    assert place.stop() == 0
    tray = desktop.spawn(str(SCRIPT), "--data-dir", str(place.data_dir), name="tray")
    wait_until(lambda: agent_of(place), 40, "the icon's own agent")
    agent = psutil.Process(agent_of(place))
    group.submit(one_job(COUNTS) + SAVES)
    place.wait_for_run("running")
    (out,) = (place.data_dir / "runs").glob("*/stdout.txt")
    wait_until(lambda: "begun" in out.read_text(), 40, "the job to begin")
    births = place.births()
    tray.send_signal(number)
    assert tray.wait(30) == 0
    wait_until(lambda: not agent.is_running(), 60, "the agent to end")
    assert not any(each.alive for each in births)
    job = group.job("b")
    assert (job["state"], job["evictions"], job["failures"]) == ("queued", 1, 0)
    assert group.rows("SELECT count(*) FROM checkpoint") == [(1,)]
    assert desktop.log("tray") == ""
    # Whoever logs in next goes on where it was.
    place.start()
    place.wait_for_run("running")
    (out,) = (place.data_dir / "runs").glob("*/stdout.txt")
    wait_until(lambda: out.read_text() == "saved\nbegun\n", 40, "the job to go on")
    group.coordinator.verbs.ok("kill", "b")
    wait_until(lambda: not place.pids(), 40, "it to end")


def test_an_agent_that_was_there_before_goes_on(group: Group, desktop: VirtualDesktop) -> None:
    place = group.workstation(configuration=config())
    tray = desktop.spawn(str(SCRIPT), "--data-dir", str(place.data_dir), name="tray")
    with desktop.menu() as menu:
        menu.wait_for_icon(40)
    group.submit(one_job("while :; do :; done"))
    place.wait_for_run("running")
    births = place.births()
    tray.terminate()
    assert tray.wait(30) == 0
    assert all(each.alive for each in births)
    assert group.job("b")["evictions"] == 0
    group.coordinator.verbs.ok("kill", "b")
    wait_until(lambda: not place.pids(), 40, "it to end")
