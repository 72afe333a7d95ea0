"""A job in the default sandbox tries to get at what is not its own, and at the person's screen.

Not the sandbox by itself (tests/processes/test_sandbox.py): a real agent with a real screen.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.virtual_desktop import VirtualDesktop
from fallow.shared.work import landlock
from main_job.conftest import Coordinator
from main_job.real import WAITS, Group, one_job
from waiting import wait_until


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


@pytest.fixture
def screen() -> Iterator[VirtualDesktop]:
    with VirtualDesktop("none") as made:
        yield made


def test_every_way_out_is_closed(
    group: Group, screen: VirtualDesktop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id_ed25519").write_text("the-secret")
    monkeypatch.setenv("HOME", str(home))
    for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.setenv(name, screen.env[name])
    place = group.workstation()
    data = place.data_dir
    keys = sorted(str(each) for each in data.iterdir() if each.is_file())
    assert keys
    # Another job, with a file of its own, runs beside it.
    group.submit(one_job(f"echo the-secret > mine; {WAITS}", "other"))
    place.wait_for_run("running")
    (other,) = (data / "runs").glob("*/work")
    wait_until(lambda: (other / "mine").exists(), 20, "the other job's file")
    (birth,) = [each for each in place.births() if b"mine" in words_of(each.pid)][:1]
    outside = [*keys, str(home / ".ssh/id_ed25519"), str(other / "mine"), "/etc/shadow"]
    tries = {
        **{f"read {each}": f"cat {each}" for each in outside},
        "list the home": f"ls {home}",
        "list runs": f"ls {data}/runs",
        "see the agent": f"cat /proc/{agent(data)}/environ",
        "signal the agent": f"kill -0 {agent(data)}",
        "signal the other job": f"kill -0 {birth.pid}",
        "move the mouse": f"DISPLAY={screen.env['DISPLAY']} timeout 10 xdotool mousemove 1 1",
        "ask the screen": f"DISPLAY={screen.env['DISPLAY']} timeout 10 xdotool getmouselocation",
        "ask the session": (
            f"DBUS_SESSION_BUS_ADDRESS='{screen.env['DBUS_SESSION_BUS_ADDRESS']}' timeout 10 "
            "dbus-send --session --print-reply --dest=org.freedesktop.DBus "
            "/ org.freedesktop.DBus.ListNames"
        ),
        **{
            f"write {each}": f"touch {each}/out"
            for each in ("/", "/usr", "/etc", "/opt", "/var", "/run", str(home), str(data))
        },
        "write the other job's": f"echo x > {other}/mine",
        "write the kernel's": "echo 1 > /proc/sys/kernel/panic",
        "mount": "mount -t tmpfs none /mnt",
    }
    if not landlock.available():
        # Before Linux 6.12 the screen's abstract socket is in reach while the network is.
        del tries["move the mouse"], tries["ask the screen"]
    lines = [f"({command}) >/dev/null 2>&1 && echo {name!r}" for name, command in tries.items()]
    # That each command works is seen by the last, which must succeed.
    lines += ["test -w . && touch distribute_save/own && touch /tmp/own ~/own && echo done"]
    group.submit(one_job("; ".join(lines), "escapes"))
    job = group.wait_for_state("escapes", "succeeded", 120)
    assert job["attempts"] == 1
    said = (group.coordinator.results / "ana/escapes/j/stdout.txt").read_text()
    assert said == "done\n"
    assert (group.coordinator.results / "ana/escapes/j/own").read_bytes() == b""
    assert (other / "mine").read_text() == "the-secret\n"
    place.let_go()
    group.wait_for_state("other", "succeeded")
    assert not (home / "out").exists()
    # The same outside the sandbox, to know that it could have worked.
    assert screen.run("xdotool", "getmouselocation").startswith("x:")


def agent(data: Path) -> int:
    return int((data / "agent.lock").read_text())


def words_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
