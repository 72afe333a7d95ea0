"""What packaging/setup.sh says where it may not install, or has nothing to install with.

Not the set-up itself: `make test` has just done that. Each test gives the script a PATH of its
own, with small stand-ins for the programs that ask the system.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from house.import_rules import TOP

PLAIN = ("bash", "dirname", "cat", "cut", "sha256sum", "mktemp", "rm", "tail", "cp")
DESKTOP = ["Xvfb", "openbox", "trayer", "xdotool", "xwininfo", "import", "dbus-daemon"]
SANDBOX = ["bwrap", "ip"]


class Computer:
    """A PATH with a few real programs and the stand-ins a test adds."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.venv = folder / "venv"
        for name in PLAIN:
            real = shutil.which(name)
            assert real is not None
            (self.programs / name).symlink_to(real)

    def add(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f"#!{shutil.which('sh')}\n{script}\n")
        path.chmod(0o755)

    def set_up(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.programs / "bash"), str(TOP / "packaging" / "setup.sh")],
            env={"PATH": str(self.programs), "FALLOW_VENV": str(self.venv), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


def make_debian(computer: Computer, missing: str) -> None:
    computer.add("apt-get", f'echo "$@" >> {computer.programs}/apt.log')
    computer.add(
        "dpkg-query",
        f'for last; do :; done; case " {missing} " in *" $last "*) exit 1;; esac; echo installed',
    )


def test_who_may_not_install_gets_the_command_for_the_administrator(computer: Computer) -> None:
    make_debian(computer, missing="trayer bubblewrap")
    computer.add("id", "echo 1000")
    done = computer.set_up()
    assert done.returncode == 1
    assert (
        "apt-get update && apt-get install -y --no-install-recommends trayer bubblewrap\n"
        in done.stderr
    )
    assert "administers" in done.stderr
    assert not (computer.programs / "apt.log").exists()
    assert not computer.venv.exists()


def test_sudo_that_would_ask_for_a_password_is_not_called_without_a_terminal(
    computer: Computer,
) -> None:
    make_debian(computer, missing="xvfb")
    computer.add("id", "echo 1000")
    computer.add("sudo", 'test "$1" != -n || exit 1; echo asked for a password >&2; exit 1')
    done = computer.set_up()
    assert done.returncode == 1
    assert "password" not in done.stderr
    assert "--no-install-recommends xvfb\n" in done.stderr


def test_root_installs_exactly_what_is_missing(computer: Computer) -> None:
    make_debian(computer, missing="xdotool libxcb-icccm4")
    computer.add("id", "echo 0")
    computer.add("env", 'while [ "${1#*=}" != "$1" ]; do shift; done; exec "$@"')
    done = computer.set_up(PYTHON="no-such-python")
    log = (computer.programs / "apt.log").read_text().splitlines()
    assert len(log) == 2
    assert log[0].endswith("update")
    assert log[1].endswith("install --no-install-recommends xdotool libxcb-icccm4")
    assert "installing Debian packages" in done.stdout


def test_a_failing_apt_is_shown_and_ends_it(computer: Computer) -> None:
    make_debian(computer, missing="xdotool")
    computer.add("apt-get", "echo E: no space left; exit 100")
    computer.add("id", "echo 0")
    computer.add("env", 'while [ "${1#*=}" != "$1" ]; do shift; done; exec "$@"')
    done = computer.set_up()
    assert done.returncode == 1
    assert "E: no space left" in done.stderr
    assert "To try by hand" in done.stderr
    assert not computer.venv.exists()


def test_elsewhere_than_debian_the_missing_programs_are_named(computer: Computer) -> None:
    for name in DESKTOP + SANDBOX:
        if name not in ("trayer", "bwrap"):
            computer.add(name, "")
    done = computer.set_up()
    assert done.returncode == 1
    assert "not found: trayer bwrap\n" in done.stderr


def test_elsewhere_with_every_program_it_goes_on_to_python(computer: Computer) -> None:
    for name in DESKTOP + SANDBOX:
        computer.add(name, "")
    computer.add("python3", "exit 1")
    done = computer.set_up()
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr


def test_a_python_that_is_too_old_is_refused_by_its_name(computer: Computer) -> None:
    for name in DESKTOP + SANDBOX:
        computer.add(name, "")
    computer.add("old-python", "exit 1")
    done = computer.set_up(PYTHON="old-python")
    assert done.returncode == 1
    assert "PYTHON=old-python is not a Python 3.11 or newer" in done.stderr


def test_a_computer_that_is_set_up_is_left_alone(computer: Computer) -> None:
    make_debian(computer, missing="")
    python = computer.venv / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\ntest "$*" = "-c" || test "$*" = "-c " || exit 9\n')
    python.chmod(0o755)
    stamp = subprocess.run(
        "{ cat pyproject.toml constraints.txt packaging/setup.sh; pwd -P; } | sha256sum",
        shell=True,
        cwd=TOP,
        env=os.environ,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split()[0]
    (computer.venv / ".set-up").write_text(stamp + "\n")
    done = computer.set_up()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (computer.programs / "apt.log").exists()
