"""The agent's control groups under a real systemd: as an ordinary user's, and as a system unit."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fallow.shared.work.cgroup import name_in
from fallow.shared.work.ground import Ground
from processes.second_systemd import PROGRAM, PYTHON, TOP, SecondSystemd, environment
from waiting import wait_until

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("second_systemd"),
    pytest.mark.may_skip("only root can boot a second systemd, and only where there is a first"),
]
UNIT = "fallow-agent.service"
DATA = "/var/lib/fallow"


@pytest.fixture(scope="module")
def systemd(ground_here: Ground) -> Iterator[SecondSystemd]:
    if os.geteuid() != 0 or not PROGRAM.exists() or shutil.which("nsenter") is None:
        pytest.skip("no second systemd can be booted here")
    group = name_in(ground_here)
    with tempfile.TemporaryDirectory(prefix="fallow-systemd-") as folder:
        # Whatever is on that disk can be read by everybody, as on any other.
        os.chmod(folder, 0o755)
        second = SecondSystemd(Path(folder), group.with_name(f"{group.name}-systemd"))
        try:
            second.wait()
            yield second
        finally:
            second.close()


def test_the_same_tests_as_an_ordinary_user(systemd: SecondSystemd) -> None:
    """In a unit of the user's own manager: not the rights of root, not a test's own delegation."""
    tests = [f"tests/processes/{name}.py" for name in ("test_freeze", "test_runs", "test_bounds")]
    said = systemd.at_desk(
        *(PYTHON, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--basetemp=/tmp/base"),
        *("-k", "cgroup and (hidden or plain)", *tests),
        timeout=280,
    )
    assert " passed" in said
    assert "failed" not in said


def test_without_delegation_there_is_no_ground(systemd: SecondSystemd) -> None:
    """A login by ssh or at the console: the group belongs to root."""
    look = "from fallow.shared.work.ground import probe; found = probe(); print(found.folder or 0)"
    assert systemd.as_worker(PYTHON, "-c", look).strip() == "0"


class Unit:
    """The unit of the package, with a coordinator beside it."""

    def __init__(self, systemd: SecondSystemd) -> None:
        self.systemd = systemd

    def tray(self, *words: str) -> Any:
        """As the account of the unit."""
        said = self.systemd.as_worker(PYTHON, "-m", "fallow.tray", *words, "--data-dir", DATA)
        return json.loads(said) if "--json" in words else said

    def coordinator(self, *words: str) -> str:
        folder = ("--coordinator", "/tmp/coordinator")
        return self.systemd.as_worker(PYTHON, "-m", "fallow.coordinator", *words, *folder)

    def job(self) -> tuple[int, ...]:
        """The processes of the one job; none while the agent is not up."""
        try:
            runs = self.tray("status", "--json")["runs"]
        except AssertionError:
            return ()
        return tuple(pid for run in runs for pid in run["pids"])

    def journal(self) -> str:
        return self.systemd.run("journalctl", "--no-pager", "-n", "30", "-u", UNIT, code=None)

    def main_process(self) -> int:
        return int(self.systemd.run("systemctl", "show", "-P", "MainPID", UNIT))

    def events(self) -> str:
        place = f"/sys/fs/cgroup/system.slice/{UNIT}/run-*/cgroup.events"
        return self.systemd.run("sh", "-c", f"cat {place}")


@pytest.fixture
def unit(systemd: SecondSystemd) -> Unit:
    made = Unit(systemd)
    packages = " ".join(environment()[1:])
    tray = f'#!/bin/sh\nexec env {packages} {PYTHON} -m fallow.tray "$@"\n'
    toml = (
        '[presence]\ndesk = false\nidle_after = "0s"\nsettle = "0s"\nac_only = false\n'
        "foreign_cpu = 1.0\n"
        "[jobs]\nnice = 0\n"
    )
    batch = "meta: {namespace: n, batch_name: b}\ncommand: {jobs: [{name: j, run: sleep 600}]}\n"
    drop_in = "[Service]\nUser=worker\nRestartSec=0.2\n"
    for place, text in (
        ("/usr/bin/tray", tray),
        (f"{DATA}/agent.toml", toml),
        ("/tmp/batch.yaml", batch),
        (f"/etc/systemd/system/{UNIT}.d/test.conf", drop_in),
        (f"/etc/systemd/system/{UNIT}", (TOP / "packaging" / UNIT).read_text()),
    ):
        systemd.run("sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" >"$1"', "sh", place, text)
    systemd.run("chmod", "755", "/usr/bin/tray")
    systemd.run("chown", "-R", "worker:", DATA)
    serve = (PYTHON, "-m", "fallow.coordinator", "serve", "--data-dir", "/tmp/coordinator")
    systemd.run(
        *("systemd-run", "--quiet", "--unit=coordinator", "-p", "User=worker"),
        *environment(),
        *serve,
    )
    return made


def test_the_unit_comes_back_to_the_jobs_it_had(unit: Unit) -> None:
    token = wait_until(lambda: _token(unit), 30, "the coordinator")
    unit.tray("join", token or "")
    unit.systemd.run("systemctl", "daemon-reload")
    unit.systemd.run("systemctl", "start", UNIT)
    unit.coordinator("submit", "/tmp/batch.yaml")
    try:
        job = wait_until(unit.job, 30, "the job")
    except AssertionError:
        raise AssertionError(unit.journal()) from None
    assert "populated 1" in unit.events()

    killed = unit.main_process()
    unit.systemd.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT)
    wait_until(lambda: unit.main_process() not in (0, killed), 30, "systemd to start it again")
    wait_until(lambda: unit.systemd.is_active(UNIT), 30, "it to be up")
    assert wait_until(unit.job, 30, "the job to be adopted") == job
    unit.tray("pause")
    wait_until(lambda: "frozen 1" in unit.events(), 30, "the pause")

    unit.systemd.run("systemctl", "restart", UNIT)
    assert wait_until(unit.job, 30, "the job to be adopted again") == job
    assert "frozen 1" in unit.events()
    unit.tray("resume")
    wait_until(lambda: "frozen 0" in unit.events(), 30, "the job to go on")
    unit.coordinator("kill", "b")
    place = f"/sys/fs/cgroup/system.slice/{UNIT}"
    gone = f"! ls -d {place}/run-* 2>/dev/null"
    wait_until(lambda: unit.systemd.run("sh", "-c", gone, code=None) == "", 30, "its group to go")


def _token(unit: Unit) -> str | None:
    try:
        said = unit.coordinator("invite", "--local", "--json")
        return str(json.loads(said)["token"])
    except AssertionError:
        return None


def test_an_agent_as_a_unit_of_ones_own_needs_no_session(systemd: SecondSystemd) -> None:
    """As docs/at-the-desk.md says it; here the user's manager runs, and nobody is logged in."""
    manager, folder = ("--user", "--machine=worker@"), ("--data-dir", "/tmp/own-agent")
    systemd.run(
        *("systemd-run", *manager, "--quiet", "--unit=fallow-agent"),
        *("-p", "KillMode=process", "-p", "Delegate=yes"),
        *environment("HOME=/var/worker"),
        *(PYTHON, "-m", "fallow.tray", "agent", *folder),
    )

    def status() -> Any:
        try:
            said = systemd.as_worker(PYTHON, "-m", "fallow.tray", "status", "--json", *folder)
        except AssertionError:
            return None
        return json.loads(said)

    found = wait_until(status, 60, "the agent to answer")
    assert found["pausing"]["way"] == "cgroup"
    assert "user@" in found["pausing"]["text"], "in the group of the unit, below the user's manager"
    systemd.run("systemctl", *manager, "stop", "fallow-agent")
    wait_until(lambda: status() is None, 60, "the agent to end")
