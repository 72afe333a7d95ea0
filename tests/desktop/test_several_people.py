"""One agent for everybody on a computer: who may look, who may pause, who may write the rules.

Real processes of other users; logind is the stand-in of tests/desktop.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.login1 import Login1
from fallow.shared.errors import FallowError, Unreachable
from fallow.tray import whereabouts
from fallow.tray.local import AskConfig, ConfigIs, LocalClient, PauseFor
from waiting import wait_until

TOP = Path(__file__).parents[2]
# The checkout's own Python may lie in a home folder that others may not enter.
PYTHON = "/usr/bin/python3"
PACKAGES = [
    *(str(TOP / name) for name in ("shared", "coordinator", "tray")),
    *(path for path in sys.path if path.endswith("site-packages")),
]
TRAY = [PYTHON, "-B", "-m", "fallow.tray"]
NOBODY, OTHER = 65534, 65533
RULES = (
    '[presence]\ndesk = false\nidle_after = "0s"\nsettle = "0s"\nac_only = false\n'
    "foreign_cpu = 1.0\n"
)


class Computer:
    """Its /run, its people, and at most one agent that is everybody's."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        self.run.mkdir(mode=0o755)
        (self.run / "lock").mkdir()
        (self.run / "lock").chmod(0o1777)
        self.folder = folder
        self.login1: Login1 | None = None
        self.agents: list[subprocess.Popen[bytes]] = []

    def home(self, uid: int) -> Path:
        home = self.folder / f"home-{uid}"
        if not home.exists():
            home.mkdir(mode=0o700)
            os.chown(home, uid, uid)
        return home

    def _environment(self, uid: int) -> dict[str, str]:
        own = {
            "FALLOW_RUN": str(self.run),
            "XDG_DATA_HOME": str(self.home(uid)),
            "PYTHONPATH": ":".join(PACKAGES),
        }
        bus = self.login1.address if self.login1 is not None else "unix:path=/nowhere"
        return {**os.environ, **own, "DBUS_SYSTEM_BUS_ADDRESS": bus}

    def start(self, uid: int, *words: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"agent-{uid}.err").open("ab") as errors:
            agent = subprocess.Popen(
                [*TRAY, "agent", *words],
                **self._as(uid),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        self.agents.append(agent)
        return agent

    def wait(self, uid: int, kind: str) -> None:
        """Until an agent answers this user; `kind` is the file of the socket below /run."""
        wait_until((self.run / kind).exists, 30, f"the socket {kind}")
        wait_until(lambda: self.verb(uid, "status").returncode == 0, 30, "the agent to answer")

    def verb(self, uid: int, *words: str, groups: tuple[int, ...] = ()) -> Any:
        done = subprocess.run(
            [*TRAY, *words],
            **self._as(uid, groups),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def status(self, uid: int) -> Any:
        done = self.verb(uid, "status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _as(self, uid: int, groups: tuple[int, ...] = ()) -> dict[str, Any]:
        return {
            "user": uid,
            "group": uid,
            "extra_groups": list(groups),
            "env": self._environment(uid),
            "cwd": "/",
        }

    def end(self) -> None:
        for agent in self.agents:
            if agent.poll() is None:
                agent.send_signal(signal.SIGTERM)
                agent.wait(30)


@contextlib.contextmanager
def new_computer() -> Iterator[Computer]:
    if os.geteuid() != 0:
        pytest.skip("only root can be several people")
    # Others have to find their way in, which a folder of pytest's own forbids.
    folder = Path(tempfile.mkdtemp(prefix="fallow-people-"))
    folder.chmod(0o755)
    made = Computer(folder)
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(folder)


@pytest.fixture
def computer() -> Iterator[Computer]:
    with new_computer() as made:
        yield made


@pytest.fixture(scope="module")
def system() -> Iterator[Computer]:
    """With the system's agent, which runs as NOBODY; nobody is logged in unless it is told."""
    with new_computer() as computer:
        data = computer.home(NOBODY) / "data"
        data.mkdir()
        (data / "agent.toml").write_text(RULES)
        for each in (data, data / "agent.toml"):
            os.chown(each, NOBODY, NOBODY)
        (computer.run / "fallow").mkdir()
        os.chown(computer.run / "fallow", NOBODY, NOBODY)
        computer.login1 = Login1(computer.folder)
        try:
            computer.start(NOBODY, "--system", "--data-dir", str(data))
            computer.wait(NOBODY, "fallow/agent")
            yield computer
        finally:
            computer.login1.end(computer.login1.service)
            computer.login1.end(computer.login1.bus)


def test_everybody_may_look_and_few_may_change(system: Computer) -> None:
    seen = system.status(OTHER)
    assert seen["may_change"] is False
    assert seen["verdict"] in {"away", "settling"}
    for verb in (("pause",), ("resume",), ("lend", "1h"), ("eject",), ("finish",)):
        refused = system.verb(OTHER, *verb)
        assert refused.returncode == 1
        assert "may look" in refused.stderr
    assert not system.status(OTHER)["paused_by_hand"]
    for uid in (0, NOBODY):
        assert system.status(uid)["may_change"] is True
        assert system.verb(uid, "pause", "1h").returncode == 0
        assert system.status(OTHER)["paused_by_hand"]
        assert system.verb(uid, "resume").returncode == 0


def test_who_sits_at_the_computer_may_pause_it(system: Computer) -> None:
    assert system.login1 is not None
    session = {"id": "2", "uid": OTHER, "user": "bo", "seat": "seat0", "type": "tty"}
    system.login1.tell({**session, "seat": "", "remote": True})
    # What logind says of somebody at the seat is asked for every two seconds.
    assert system.status(OTHER)["may_change"] is False
    system.login1.tell(session)
    wait_until(lambda: system.status(OTHER)["may_change"], 30, "the person at the seat to be seen")
    assert system.verb(OTHER, "pause", "1h").returncode == 0
    assert system.verb(OTHER, "resume").returncode == 0
    system.login1.tell()
    wait_until(lambda: not system.status(OTHER)["may_change"], 30, "the logout to be seen")
    assert system.verb(OTHER, "pause", "1h").returncode == 1


def test_an_administrator_is_known_by_group(system: Computer) -> None:
    lines = Path("/etc/group").read_text().splitlines()
    numbers = [int(line.split(":")[2]) for line in lines if line.split(":")[0] == "sudo"]
    assert system.verb(OTHER, "pause", groups=tuple(numbers)).returncode == 0


def test_nobody_without_a_session_here_can_say_that_somebody_types(system: Computer) -> None:
    script = (
        "import sys; from pathlib import Path; from fallow.tray import local, whereabouts;"
        "from fallow.tray.presence import Reading;"
        "c = local.LocalClient(whereabouts.default_data_dir());"
        "c.send(local.Activity((Reading('x', 'input', True, '', 1e12),)));"
        "s = c.status(); print([each.name for each in s.sensors])"
    )
    said = {}
    for uid in (OTHER, 0):
        done = subprocess.run(
            [PYTHON, "-B", "-c", script],
            **system._as(uid),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        said[uid] = "'x'" in done.stdout
    assert said == {OTHER: False, 0: True}


def test_doctor_tells_of_the_agent_that_runs(system: Computer) -> None:
    told = json.loads(system.verb(OTHER, "doctor", "--json").stdout)
    found = {each["name"]: each["text"] for each in told["findings"]}
    assert found["configuration"].endswith("data/agent.toml"), "not what this user's own would be"
    assert f"process {system.agents[0].pid} " in found["agent"]
    assert "not pause it" in found["rights"]


def test_a_second_agent_says_who_has_this_computer(system: Computer) -> None:
    second = system.start(OTHER)
    assert second.wait(30) == 1
    said = (system.folder / f"agent-{OTHER}.err").read_text()
    assert "already runs on this computer" in said
    assert f"process {system.agents[0].pid} of nobody" in said
    assert "needs another folder than the default" in said
    refused = system.verb(OTHER, "join", "fallow1-AAAA")
    assert refused.returncode == 1
    assert "sudo -u nobody tray join" in refused.stderr
    assert "--data-dir" in refused.stderr


def test_the_first_persons_agent_is_everybodys(computer: Computer) -> None:
    first = computer.start(OTHER)
    computer.wait(OTHER, f"lock/fallow-{OTHER}/agent")
    assert computer.status(NOBODY)["pid"] == first.pid
    assert computer.status(NOBODY)["may_change"] is False
    assert computer.verb(NOBODY, "pause").returncode == 1
    assert computer.verb(OTHER, "pause").returncode == 0
    second = computer.start(NOBODY)
    assert second.wait(30) == 1
    # It is gone, whatever it left behind; the next one's is found.
    first.kill()
    first.wait(30)
    assert computer.verb(NOBODY, "status").returncode == 3
    third = computer.start(NOBODY)
    computer.wait(NOBODY, f"lock/fallow-{NOBODY}/agent")
    assert computer.status(OTHER)["pid"] == third.pid


def test_a_socket_of_somebody_who_is_not_the_agent_is_not_asked(
    computer: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FALLOW_RUN", str(computer.run))
    fake = computer.run / "lock" / f"fallow-{OTHER}"
    fake.mkdir(mode=0o755)
    assert whereabouts.found() is None
    lock = whereabouts.take()
    try:
        # Root has it; what a stranger made for another user is not looked at.
        assert whereabouts.found() is None
        os.chown(fake, NOBODY, NOBODY)
        (computer.run / "lock" / "fallow-0").symlink_to(fake)
        assert whereabouts.found() is None
        with pytest.raises(FallowError, match="already runs"):
            whereabouts.take()
        with pytest.raises(FallowError, match="cannot be used"):
            whereabouts.make_folder(system=False)
    finally:
        os.close(lock)


def test_rules_are_shown_to_all_and_written_by_few(
    system: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FALLOW_RUN", str(system.run))
    with LocalClient(whereabouts.default_data_dir()) as client:
        rules = client.ask(AskConfig())
        assert isinstance(rules, ConfigIs)
        assert rules.writable
        client.ask(PauseFor(None))
    script = (
        "from fallow.tray import local, whereabouts;"
        "c = local.LocalClient(whereabouts.default_data_dir());"
        "print(c.ask(local.AskConfig()).writable);"
        "c.ask(local.Configure({'jobs': {'nice': 1}}))"
    )
    done = subprocess.run(
        [PYTHON, "-B", "-c", script],
        **system._as(OTHER),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "False\n"
    assert "administrators' to change" in done.stderr
    assert "nice" not in Path(rules.path).read_text()


def test_with_a_folder_of_its_own_an_agent_is_nobodys(system: Computer) -> None:
    data = system.home(OTHER) / "apart"
    system.start(OTHER, "--data-dir", str(data))
    wait_until(
        lambda: system.verb(OTHER, "--data-dir", str(data), "status").returncode == 0,
        30,
        "the other agent to answer",
    )
    with pytest.raises(Unreachable):
        LocalClient(system.folder / "nothing")
    assert system.status(OTHER)["pid"] == system.agents[0].pid
