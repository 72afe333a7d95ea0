"""A person types at a real, if virtual, desk: jobs and builds stand still at once, and go on after.

The keys are pressed in an X server, seen by the installed `tray`, and obeyed by a real agent; the
coordinator is told. Not what else ends or moves a job: test_real_endings.py.
"""

import contextlib
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.shown_tray import wait_for_icon
from desktop.virtual_desktop import VirtualDesktop
from fallow.shared.work import procfs
from main_job.conftest import Coordinator
from main_job.desk import DESK, IDLE_AFTER, Desk
from main_job.real import Birth, Group, Sandbox, config, one_job
from main_job.workstation import alive, ticks
from processes.started import standing
from waiting import wait_until

NICE = "5"
BUSY_TREE = Path(__file__).parents[1] / "processes" / "busy_tree.py"


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


@pytest.fixture
def desktop() -> Iterator[VirtualDesktop]:
    with VirtualDesktop("sni") as screen:
        yield screen


@pytest.fixture
def desk(group: Group, desktop: VirtualDesktop) -> Iterator[Desk]:
    place = group.workstation(configuration=config(DESK), covers_terminals=True)
    with desktop.menu() as menu:
        made = Desk(place, desktop, menu)
        made.wait_until_free()
        yield made
    assert desktop.log("tray") == ""


def says_why(desk: Desk, state: str) -> None:
    """The command, the icon and its tooltip say that somebody is there, and until when."""
    asked = time.time()
    told = desk.place.status()
    assert told["state"] == "paused"
    assert told["verdict"] == "present"
    reason = told["reasons"][0]
    assert (reason["kind"], reason["text"]) == ("input", "you are here")
    assert asked - 1 < reason["until"] <= time.time() + IDLE_AFTER
    assert [run["state"] for run in told["runs"] if run["pids"]] == [state]
    wait_for_icon(desk.menu, "paused_for_you")
    assert desk.menu.tooltip.startswith("Fallow: paused, you are here, until ")


LINES = 60
COUNTING = (
    f"i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); "
    "j=0; while [ $j -lt 2000 ]; do j=$((j+1)); done; /bin/sleep 0.03; done"
)


def test_typing_pauses_a_job(group: Group, desk: Desk) -> None:
    group.submit(one_job(COUNTING))
    desk.place.wait_for_run("running")
    wait_for_icon(desk.menu, "running")
    pids = desk.press_a_key()
    before = ticks(pids)
    says_why(desk, "paused")
    assert group.wait_for_state("b", "paused")["workstation"] == "ws1"
    (node,) = group.coordinator.verbs.json("nodes")["nodes"]
    assert (node["verdict"], node["why"]) == ("present", "you are here")
    assert ticks(pids) == before
    assert standing(pids)
    wait_for_icon(desk.menu, "running")
    job = group.wait_for_state("b", "succeeded")
    assert (job["attempts"], job["evictions"]) == (1, 0)
    folder = group.coordinator.results / "ana/b/j"
    assert (folder / "stdout.txt").read_text() == "".join(f"line {n}\n" for n in range(LINES))
    told = json.loads((folder / "attempt.json").read_text())
    assert told["paused_seconds"] >= IDLE_AFTER - 0.5
    assert group.committed() == [(1, "result", "committed")]


def test_typing_pauses_a_build(group: Group, desk: Desk) -> None:
    build = f"  initialize:\n    run: {json.dumps(COUNTING)}\n"
    group.submit(one_job("echo done", more=build))
    group.wait_for_state("b", "building")
    desk.place.wait_for_processes()
    pids = desk.press_a_key()
    before = ticks(pids)
    says_why(desk, "paused")
    group.wait_for_state("b", "paused")
    assert ticks(pids) == before
    group.wait_for_state("b", "building")
    wait_until(lambda: ticks(pids) > before or not any(map(alive, pids)), 10, "it to go on")
    group.wait_for_state("b", "succeeded")
    said = (group.coordinator.results / "ana/b/build_output_ws1.txt").read_text()
    assert said == "".join(f"line {n}\n" for n in range(LINES))


def test_typing_stops_the_fetching_of_files(group: Group, desktop: VirtualDesktop) -> None:
    slow = config(DESK).replace("[offer]\n", '[offer]\nbandwidth = "1MB/s"\n')
    place = group.workstation(configuration=slow, covers_terminals=True)
    with desktop.menu() as menu:
        desk = Desk(place, desktop, menu)
        desk.wait_until_free()
        batch = group.write(
            one_job("wc -c < input/mesh", more="  required_files: [mesh]\n"), mesh="m" * 4_000_000
        )
        group.coordinator.verbs.ok("submit", batch)
        wait_until(lambda: bytes_below(place.data_dir / "cache") > 400_000, 30, "half of the file")
        desktop.key("a")
        wait_until(lambda: place.quick_status().verdict == "present", 10, "the key to be seen")
        assert group.wait_for_state("b", "paused")["workstation"] == "ws1"
        before = bytes_below(place.data_dir / "cache")
        assert before < 4_000_000
        # What was on its way when the key was pressed may still arrive; a second of traffic is not.
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            desktop.key("a")
        assert bytes_below(place.data_dir / "cache") - before < 800_000
        group.wait_for_state("b", "succeeded", 60)
    assert (group.coordinator.results / "ana/b/j/stdout.txt").read_text() == "4000000\n"


def test_who_returns_in_the_instant_of_a_start_finds_it_standing(
    group: Group, coordinator: Coordinator
) -> None:
    place = group.workstation(configuration=config(DESK), covers_terminals=True)
    person = place.person()
    wait_until(lambda: place.quick_status().verdict == "away", 20, "the desk to count as free")
    for number in range(4):
        name = f"b{number}"
        group.submit(one_job("while :; do :; done", name))
        wait_until(lambda: place.quick_status().runs, 20, "the job to come")
        end = time.monotonic() + random.random() * 0.06
        while time.monotonic() < end:
            pass
        person.touch()
        pids = place.pids()
        wait_until(lambda of=pids: standing(of), 5, "all of it to stand still")  # type: ignore[misc]
        before = ticks(place.pids())
        person.touch()
        assert ticks(place.pids()) == before
        coordinator.verbs.ok("kill", name)
        wait_until(lambda: not place.quick_status().runs, 20, "it to be gone")
        wait_until(lambda: place.quick_status().verdict == "away", 20, "the desk to be free")
    person.leave()


def bytes_below(folder: Path) -> int:
    found = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            found += path.stat().st_blocks * 512 if path.is_file() else 0
    return found


def test_a_pause_by_menu_outlives_tray_and_agent(group: Group, desk: Desk) -> None:
    group.submit(one_job("while :; do :; done"))
    desk.place.wait_for_run("running")
    desk.menu.click("Pause", "1 hour")
    wait_for_icon(desk.menu, "paused_by_you")
    pids = {each.pid for each in desk.place.births()}
    wait_until(lambda: standing(pids), 5, "every process to stand still")
    before = ticks(pids)
    until = desk.place.status()["reasons"][0]["until"]
    assert 3500 < until - time.time() <= 3600
    desk.tray.kill()
    desk.tray.wait()
    desk.place.kill()
    desk.place.start()
    desk.tray = desk.show_tray()
    wait_until(lambda: len(desk.menu.icons()) == 1, 10, "the new icon")
    wait_for_icon(desk.menu, "paused_by_you")
    # The desk is free by now for longer than it takes to count as free.
    wait_until(
        lambda: [reason.kind for reason in desk.place.quick_status().reasons] == ["pause"],
        20,
        "the pause to be the only reason",
    )
    told = desk.place.status()
    assert told["state"] == "paused"
    assert abs(told["reasons"][0]["until"] - until) < 1.0
    assert told["runs"][0]["state"] == "paused"
    assert set(told["runs"][0]["pids"]) == pids
    group.wait_for_state("b", "paused")
    assert ticks(pids) == before
    desk.menu.click("Resume")
    wait_for_icon(desk.menu, "running")
    wait_until(lambda: ticks(pids) > before, 10, "it to go on")
    group.coordinator.verbs.ok("kill", "b")
    wait_until(lambda: not any(map(alive, pids)), 10, "it to end")


@pytest.mark.parametrize("sandbox", ["hidden", "plain"])
def test_a_key_press_stops_all_of_an_adopted_job(
    group: Group, desktop: VirtualDesktop, sandbox: Sandbox
) -> None:
    rules = config(DESK, sandbox).replace("nice = 0", f"nice = {NICE}")
    place = group.workstation("ws1", rules, sandbox, covers_terminals=True)
    with desktop.menu() as menu:
        desk = Desk(place, desktop, menu)
        desk.wait_until_free()
        mark = str(random.randrange(100, 900))
        job = f"python3 input/tree.py {mark}"
        more = "  required_files: [tree.py]\n"
        group.submit(one_job(job, more=more), **{"tree.py": BUSY_TREE.read_text()})
        wait_until(lambda: _all_busy(_marked(mark)), 40, "the whole tree")
        before = place.births()
        place.kill()
        place.start()
        desk.wait_until_free()
        assert place.births() == before
        assert {each.pid for each in before} >= _marked(mark)
        bare = [each for each in before if not _environment(each)]
        assert len(bare) == 1, "the daemon that has no environment is among them"
        wait_until(lambda: _all_yield(_marked(mark)), 20, "its daemons to yield as it does")
        pids = desk.press_a_key()
        used = ticks(pids)
        group.wait_for_state("b", "paused")
        assert ticks(pids) == used
        assert standing(_marked(mark))
        wait_until(lambda: ticks(pids) > used, 20, "it to go on by itself")
        group.coordinator.verbs.ok("kill", "b")
        wait_until(lambda: not any(each.alive for each in before), 10, "all to end")
        assert not _marked(mark)


def _all_busy(pids: set[int]) -> bool:
    """Whether the tree is complete, and none of these is only on its way to start another."""
    return len(pids) == 20 and all(ticks({pid}) > 4 for pid in pids)


def _all_yield(pids: set[int]) -> bool:
    """Whether every session of theirs, of daemons too, has only what others leave over."""
    shares = (Path(f"/proc/{pid}/autogroup") for pid in pids)
    return all(share.read_text().split()[-1] == NICE for share in shares if share.exists())


def _environment(process: Birth) -> bytes:
    return Path(f"/proc/{process.pid}/environ").read_bytes()


def _marked(score: str) -> set[int]:
    """Every process of the computer that inherited this score, wherever it went."""
    found = set()
    for pid in procfs.pids():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == score and alive(pid):
                found.add(pid)
    return found
