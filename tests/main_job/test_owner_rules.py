"""The owner's rules at a real workstation: changed while it works, and what they keep away."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fallow.shared.errors import FallowError
from fallow.tray.local import AskConfig, ConfigIs, Configure, Done, LocalClient
from main_job.conftest import Coordinator
from main_job.workstation import FREE_DESK, JOBS, SCRIPT, Workstation
from waiting import wait_until

BATCH = """
meta: {namespace: ana, batch_name: NAME}
command: {jobs: [{name: j, run: "sleep 600"}]}
resources: {cpus: 1, memory: 64MB}
"""
# No name of any other program here.
DEMANDING = "fallow-film-cut"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Coordinator]:
    folder = tmp_path / "other"
    folder.mkdir()
    made = Coordinator(folder)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def demanding(tmp_path: Path) -> Path:
    program = tmp_path / DEMANDING
    shutil.copy("/bin/sleep", program)
    return program


def set_rules(workstation: Workstation, **sections: dict[str, Any]) -> str:
    with LocalClient(workstation.data_dir) as client:
        done = client.ask(Configure(sections))
    assert isinstance(done, Done)
    return done.text


def node(coordinator: Coordinator) -> Any:
    (found,) = coordinator.verbs.json("nodes")["nodes"]
    return found


def test_what_is_asked_for_with_no_coordinator_is_on_disk_when_it_is_answered(
    tmp_path: Path,
) -> None:
    workstation = Workstation(tmp_path, "lonely")
    # So long that an eject is not over when the next agent has started.
    workstation.configure(FREE_DESK.replace('idle_after = "0s"', 'idle_after = "1h"'))

    def kinds_after(*verbs: tuple[str, ...]) -> set[str]:
        """What the next agent knows of it, if this one is killed as soon as it has answered."""
        for verb in verbs:
            assert workstation.verb(*verb).returncode == 0
        workstation.kill()
        workstation.start()
        wishes = {"pause", "lend", "eject", "finish"}
        return wishes & {each.kind for each in workstation.quick_status().reasons}

    workstation.start()
    try:
        assert workstation.quick_status().connection == "unjoined"
        asked = kinds_after(("finish",), ("eject",), ("pause", "1h"))
        assert asked == {"finish", "eject", "pause"}
        assert kinds_after(("lend", "1h")) == {"finish", "lend"}
        assert kinds_after(("resume",)) == set()
    finally:
        workstation.stop()


def test_what_cannot_be_kept_holds_all_the_same_and_is_said(tmp_path: Path) -> None:
    workstation = Workstation(tmp_path, "full")
    workstation.configure(FREE_DESK)
    workstation.start()
    try:
        # As good as a full disk: no file can have this name now.
        in_the_way = workstation.data_dir / "pause.new"
        in_the_way.mkdir()
        asked = workstation.verb("pause", "1h")
        assert asked.returncode == 1
        assert "cannot be written to the disk" in asked.stderr
        assert workstation.quick_status().reasons[0].kind == "pause"
        in_the_way.rmdir()
        assert workstation.verb("pause", "1h").returncode == 0
        workstation.kill()
        workstation.start()
        assert workstation.quick_status().reasons[0].kind == "pause"
    finally:
        workstation.stop()


def test_rules_are_changed_while_a_job_runs(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    coordinator.verbs.ok("submit", batch_file(BATCH.replace("NAME", "b")))
    workstation.wait_for_run("running")
    before = (workstation.data_dir / "agent.toml").read_text()
    with LocalClient(workstation.data_dir) as client:
        rules = client.ask(AskConfig())
        assert isinstance(rules, ConfigIs)
        assert rules.values["presence"]["desk"] is False
        assert rules.values["jobs"]["max_pause"] == "never"
        assert rules.writable
        with pytest.raises(FallowError, match="no job would ever fit"):
            client.ask(Configure({"offer": {"disk_reserve": "900TiB"}}))
        with pytest.raises(FallowError, match="did you mean idle_after"):
            client.ask(Configure({"presence": {"idle_afer": "1h"}}))
        with pytest.raises(FallowError, match="more than this computer has"):
            client.ask(Configure({"offer": {"memory": "900TiB"}}))
    assert (workstation.data_dir / "agent.toml").read_text() == before
    assert set_rules(workstation, offer={"cpus": 1, "capabilities": ["sorcery"]}) == "Saved."
    wait_until(
        lambda: (node(coordinator)["cpus"], node(coordinator)["capabilities"]) == (1, ["sorcery"]),
        30,
        "the coordinator to hear what is offered now",
    )
    assert "started again" in set_rules(workstation, jobs={"sandbox": "none"})
    # Nobody sits here, so it cannot be seen either: with a desk, jobs stand still at once.
    set_rules(workstation, presence={"desk": True})
    workstation.wait_for_run("paused")
    assert workstation.quick_status().reasons[0].kind in {"blind", "input"}
    set_rules(workstation, presence={"desk": False})
    workstation.wait_for_run("running")


def test_a_program_that_wants_the_computer_for_itself(
    coordinator: Coordinator,
    new_workstation: Callable[..., Workstation],
    batch_file: Callable[..., Path],
    demanding: Path,
) -> None:
    rules = FREE_DESK + f'exclusive = ["{DEMANDING}"]\n' + JOBS
    workstation = new_workstation("ws1", rules)
    coordinator.verbs.ok("submit", batch_file(BATCH.replace("NAME", "b")))
    workstation.wait_for_run("running")
    program = subprocess.Popen([demanding, "600"])
    try:
        paused = workstation.wait_for_run("paused", timeout=60)
        assert paused.why == f"{DEMANDING} is open"
    finally:
        program.kill()
        program.wait()


def test_jobs_of_some_people_do_not_come(
    coordinator: Coordinator,
    new_workstation: Callable[..., Workstation],
    batch_file: Callable[..., Path],
) -> None:
    workstation = new_workstation("ws1", FREE_DESK + '[offer]\nnot_from = ["bo"]\n' + JOBS)
    people = {name: coordinator.account(name) for name in ("bo", "ana")}
    for name, account in people.items():
        account.ok("submit", batch_file(BATCH.replace("NAME", name), f"{name}.yaml"))
    coordinator.wait_for("ana:ana", {"running": 1})
    assert coordinator.counts("ana:bo") == {"queued": 1}
    assert [run.owner for run in workstation.quick_status().runs] == ["ana"]
    assert "bo" in str(people["bo"].json("why", "ana:bo"))


def test_a_job_cannot_lend_the_computer_to_itself(
    coordinator: Coordinator,
    new_workstation: Callable[..., Workstation],
    batch_file: Callable[..., Path],
) -> None:
    """Without a sandbox it has the agent's own account, and finds its socket."""
    workstation = new_workstation("ws1", FREE_DESK + JOBS + 'sandbox = "none"\n')
    verb = f"{SCRIPT} lend 9h --data-dir {workstation.data_dir}"
    # Once as it is, once come loose from it.
    loose = f"(setsid sh -c '{verb}; echo over' >late.txt 2>&1 &)"
    line = f"{verb}; {loose}; until grep over late.txt; do sleep 0.2; done; cat late.txt >&2"
    text = BATCH.replace("NAME", "b").replace('"sleep 600"', json.dumps(line))
    coordinator.verbs.ok("submit", batch_file(text))
    wait_until(
        lambda: coordinator.counts("b").get("succeeded") or coordinator.counts("b").get("failed"),
        60,
        "the job to end",
    )
    assert workstation.quick_status().lent_until is None
    said = coordinator.verbs.ok("logs", "b/j", "--stderr").out
    assert said.count("not change what it does") == 2, said


def test_what_is_unfinished_is_not_thrown_away(
    coordinator: Coordinator,
    workstation: Workstation,
    other: Coordinator,
    batch_file: Callable[..., Path],
) -> None:
    coordinator.verbs.ok("submit", batch_file(BATCH.replace("NAME", "b")))
    workstation.wait_for_run("running")
    token = other.token("desk")
    refused = workstation.verb("join", token)
    assert refused.returncode == 1
    assert "still has a job of" in refused.stderr
    assert "b/j" in refused.stderr
    assert "--discard" in refused.stderr
    assert workstation.quick_status().runs[0].state == "running"
    # The same coordinator again is no other.
    assert workstation.verb("join", coordinator.token("ws1b")).returncode == 0
    joined = workstation.verb("join", token, "--discard")
    assert joined.returncode == 0, joined.stderr
    wait_until(lambda: not workstation.quick_status().runs, 30, "the new one to drop the job")
    wait_until(lambda: not workstation.left_on_disk(), 30, "nothing of it to be left")
