"""`why` and what it names, said for real: each fix is carried out as it stands, and the job starts.

Also hold, release, retry, after, drain by the installed scripts on a real workstation. Every rule
of them is in tests/transcripts/test_queue_stories.py and test_why.py.
"""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fallow.shared.messages import JobSpec
from fallow.shared.runs import Exited
from main_job.conftest import Coordinator
from main_job.real import WAITS, Group, RealWorkstation, config, one_job
from main_job.scripted_agent import Result, ScriptedAgent
from waiting import wait_until


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


def why(group: Group, ref: str, kind: str | None = None) -> Any:
    """The answer, once it names an obstacle of this kind."""

    def told() -> Any:
        said = group.coordinator.verbs.json("why", ref)
        assert said["schema"] == 1
        kinds = [node["kind"] for node in said["nodes"]]
        return said if kind is None or kinds == [kind] else None

    return wait_until(told, 40, f"why {ref} is {kind}")


def do(group: Group, said: Any, places: dict[str, RealWorkstation]) -> None:
    """What `why` says to do, word by word."""
    program, *words = shlex.split(said["command"])
    if program == "coordinator":
        group.coordinator.verbs.ok(*words)
        return
    assert program == "tray"
    done = places[said["at"]].verb(*words)
    assert done.returncode == 0, done.stderr


def succeeds(group: Group, ref: str) -> None:
    group.coordinator.wait_for(ref, {"succeeded": 1}, timeout=60)


def test_a_pause_a_drain_and_a_hold_end_as_they_say(group: Group) -> None:
    place = group.workstation()
    assert place.verb("pause", "forever").returncode == 0
    group.submit(one_job("true", "paused"))
    said = why(group, "paused", "pause")
    assert (said["state"], said["text"]) == (
        "queued",
        "ws1 does not take jobs now: you asked for a pause",
    )
    assert (said["ahead"], said["others"]) == (0, 0)
    do(group, said, {"ws1": place})
    succeeds(group, "paused")

    group.coordinator.verbs.ok("drain", "ws1")
    group.submit(one_job("true", "drained"))
    do(group, why(group, "drained", "drained"), {})
    succeeds(group, "drained")

    group.submit(one_job(WAITS, "first"))
    place.wait_for_run("running")
    group.coordinator.verbs.ok("hold", "first")
    file = group.write(one_job("true", "held"))
    group.coordinator.verbs.ok("submit", file, "--set", "after=[first]")
    said = why(group, "held")
    assert (said["state"], said["command"]) == ("waiting", "coordinator why ana:first")
    assert group.coordinator.verbs.json("hold", "held")["done"].startswith("1 job of ana:held held")
    place.let_go()
    succeeds(group, "first")
    said = why(group, "held")
    assert said["text"].startswith("held by ")
    do(group, said, {})
    succeeds(group, "held")
    told = group.coordinator.verbs.ok("why", "held").out
    assert "has succeeded" in told
    assert "coordinator pull" in told


def test_what_is_busy_too_small_or_follows(group: Group) -> None:
    place = group.workstation()
    text = "resources: {cpus: 2, memory: 64MiB}\n"
    group.submit(one_job(WAITS, "long").replace("resources: {cpus: 1, memory: 64MiB}\n", text))
    place.wait_for_run("running")
    group.submit(one_job("true", "short"))
    said = why(group, "short", "busy")
    owner = group.coordinator.verbs.json("status")["batches"][0]["owner"]
    assert said["fix"] == f"it starts on ws1 when ana:long/j of {owner} has ended"
    place.let_go()
    succeeds(group, "short")

    file = group.write(one_job("true", "big").replace("64MiB", "2GiB"))
    done = group.coordinator.verbs.ok("submit", file)
    assert "ws1 has 1.0 GiB of the 2.0 GiB of memory it needs" in done.err
    said = why(group, "big", "memory")
    assert "ask for at most 1.0 GiB" in said["fix"]
    group.submit(one_job("true", "smaller").replace("64MiB", "1GiB"))
    succeeds(group, "smaller")

    group.submit(one_job("exit 3", "mesh"))
    group.coordinator.wait_for("mesh", {"failed": 1})
    group.coordinator.verbs.ok("retry", "mesh")
    group.coordinator.wait_for("mesh", {"failed": 1})
    assert [row[:2] for row in group.committed() if row[1] == "failed"] == [
        (1, "failed"),
        (2, "failed"),
    ]
    file = group.write(one_job("true", "solve") + "after: [mesh]\n")
    done = group.coordinator.verbs.ok("submit", file)
    why_held = "ana:mesh, which it follows, has ended, and 1 of its jobs did not succeed"
    assert f"it is held: {why_held}" in done.err
    said = why(group, "solve")
    assert said["command"] == "coordinator retry ana:mesh"
    group.coordinator.verbs.ok("release", "solve")
    succeeds(group, "solve")


def test_a_missing_capability_and_a_build_that_failed(group: Group, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    place = group.workstation(configuration=config(read_only=shared))
    wish = one_job("true", "able").replace(
        "batch_name: able", "batch_name: able, capabilities: [x]"
    )
    group.submit(wish)
    said = why(group, "able", "capability")
    assert said["text"] == "ws1 has no x"
    assert "[offer] capabilities" in said["fix"]
    assert place.stop() == 0
    able = '[offer]\ncapabilities = ["x"]\n'
    place.configure(config(read_only=shared).replace("[offer]\n", able))
    place.start()
    succeeds(group, "able")

    build = f'  initialize: {{run: "test -e {shared}/library"}}\n'
    group.submit(one_job("true", "built", build))
    group.coordinator.wait_for("built", {"held": 1})
    said = why(group, "built")
    assert said["command"] == "coordinator retry ana:built --rebuild"
    (shared / "library").touch()
    do(group, said, {})
    succeeds(group, "built")


def test_somebody_is_there_and_lends_it(group: Group) -> None:
    presence = 'idle_after = "10m"\nsettle = "0s"\nforeign_cpu = 1.0\n'
    place = group.workstation(configuration=config(presence))
    person = place.person()
    try:
        person.touch()
        group.submit(one_job("true"))
        said = why(group, "b", "input")
        assert said["until"] is not None
        assert (said["command"], said["at"]) == ("tray lend 1h", "ws1")
        do(group, said, {"ws1": place})
        succeeds(group, "b")
    finally:
        person.leave()


def test_a_drain_now_sends_a_job_to_another_workstation(group: Group) -> None:
    first = group.workstation("ws1")
    group.submit(one_job(f"{WAITS}; echo done"))
    first.wait_for_run("running")
    second = group.workstation("ws2")
    group.coordinator.verbs.ok("drain", "ws1", "--now")
    second.wait_for_run("running", timeout=60)
    job = group.job("b")
    assert (job["evictions"], job["failures"], job["workstation"]) == (1, 0, "ws2")
    states = {node["name"]: node for node in group.coordinator.verbs.json("nodes")["nodes"]}
    wait_until(
        lambda: group.coordinator.verbs.json("nodes")["nodes"][0]["state"] == "drained",
        30,
        "ws1 to be drained",
    )
    assert states["ws1"]["why"].startswith("is drained by ")
    second.let_go()
    succeeds(group, "b")
    assert (group.coordinator.results / "ana/b/j/stdout.txt").read_text() == "done\n"


def test_gpus_are_found_offered_and_given_to_one_job_each(
    group: Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tool is a stand-in: there is no GPU where these tests run."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "nvidia-smi").write_text(
        "#!/bin/sh\n# A stand-in for nvidia-smi.\n"
        "echo '0, GPU-aaaa, 00000000:01:00.0'\necho '1, GPU-bbbb, 00000000:02:00.0'\n"
    )
    (tools / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    place = group.workstation(configuration=config(cpus=2))
    (node,) = group.coordinator.verbs.json("nodes")["nodes"]
    assert node["gpus"] == 2
    assert "gpu" in node["capabilities"]
    text = (
        "meta: {namespace: ana, batch_name: cards, capabilities: [gpu]}\n"
        "command:\n"
        f'  run: "echo $FALLOW_GPUS $CUDA_VISIBLE_DEVICES {{gpus}}; {WAITS}"\n'
        "  sweep: {i: [1, 2, 3]}\n  name: j{i}\n"
        "resources: {cpus: 1, memory: 64MiB}\n"
    )
    group.submit(text)
    group.coordinator.wait_for("cards", {"running": 2, "queued": 1})
    group.submit(one_job("true", "greedy").replace("64MiB", "64MiB, gpus: 3"))
    said = why(group, "greedy", "gpus")
    assert said["text"] == "ws1 has 2 of the 3 GPUs it needs"
    place.let_go(2)
    group.coordinator.wait_for("cards", {"succeeded": 2, "running": 1})
    place.let_go()
    group.coordinator.wait_for("cards", {"succeeded": 3})
    told = [
        (group.coordinator.results / f"ana/cards/j{each}/stdout.txt").read_text().split()
        for each in (1, 2, 3)
    ]
    assert [(count, placeholder) for count, _, placeholder in told] == [("1", "1")] * 3
    assert {card for _, card, _ in told[:2]} == {"GPU-aaaa", "GPU-bbbb"}


def test_results_of_a_job_that_is_tried_anew_stay_until_better_ones_come(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    """The workstation is scripted: its third attempt fails."""

    def work(job: JobSpec, attempt: int) -> Result:
        return Result({"out.txt": b"%d" % attempt}, Exited(3 if attempt == 3 else 0))

    file = tmp_path / "batch.yaml"
    file.write_text(one_job("true"))
    here = tmp_path / "here/ana/b/j"
    theirs = coordinator.results / "ana/b/j"
    with ScriptedAgent(tmp_path / "dino", coordinator.token("dino"), work):
        coordinator.verbs.ok("submit", file, "--wait")
        assert (theirs / "out.txt").read_text() == "1"
        done = coordinator.verbs.run("retry", "b")
        assert done.code == 1
        assert "to run it once more all the same: --all" not in done.err, "a batch was named"
        assert "--all" in coordinator.verbs.run("retry", "b/j").err
        for attempt, state, shown in ((2, "succeeded", "2"), (3, "failed", "2")):
            coordinator.verbs.ok("retry", "b", "--all")
            coordinator.wait_for("b", {state: 1})
            coordinator.verbs.ok("pull", "b", "--dest", tmp_path / "here")
            for place in (theirs, here):
                assert (place / "out.txt").read_text() == shown
            (batch,) = coordinator.verbs.json("status", "b")["batches"]
            assert batch["jobs"][0]["attempts"] == attempt
    for place in (theirs, here):
        assert (place / ".attempts/3/out.txt").read_text() == "3"


def test_only_admins_drain(group: Group) -> None:
    group.workstation()
    ana = group.coordinator.account("ana")
    done = ana.run("drain", "ws1")
    assert done.code == 1
    assert "may not say" in done.err
    assert group.coordinator.verbs.run("drain", "ws2").err.startswith("error: There is no")
