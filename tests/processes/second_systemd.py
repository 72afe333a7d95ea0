"""This computer's own systemd, booted a second time beside the first; needs root.

Not a stand-in: units, delegation and users' managers are the real ones. See boot_systemd.sh.
"""

import subprocess
import sys
from pathlib import Path

from fallow.shared.work.cgroup import end
from waiting import wait_until

TOP = Path(__file__).parents[2]
PROGRAM = Path("/lib/systemd/systemd")
# The checkout's own Python may lie in a home folder that others may not enter; the system's reads
# the same packages.
PYTHON = "/usr/bin/python3"


class SecondSystemd:
    """A running systemd: `run` a command in it as root, `at_desk` as its ordinary user `worker`."""

    def __init__(self, folder: Path, group: Path) -> None:
        self._group = group
        self._log = folder / "log"
        (folder / "disk").mkdir()
        group.mkdir()
        boot = Path(__file__).with_name("boot_systemd.sh")
        with self._log.open("wb") as log:
            self._boot = subprocess.Popen(
                ["sh", str(boot), str(folder / "disk"), str(group), str(TOP)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Until it has started all that it was told to."""
        wait_until(lambda: self._first() or self._boot.poll() is not None, 30, "systemd's start")
        assert self._boot.poll() is None, self._log.read_text()[-2000:]
        wait_until(lambda: self.is_active("test.target"), 60, "the units of systemd")

    def _first(self) -> str:
        try:
            return (self._group / "init.scope" / "cgroup.procs").read_text().strip()
        except OSError:
            return ""

    def command(self, *words: str) -> list[str]:
        """A command as this computer has to call it."""
        first = self._first().split()[0]
        return ["nsenter", "-t", first, "-m", "-p", "-n", "-u", "-i", "-C", "--", *words]

    def run(self, *words: str, code: int | None = 0, timeout: float = 60) -> str:
        """What a command of root's said on both streams; AssertionError for another exit code."""
        done = subprocess.run(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        assert code is None or done.returncode == code, f"{words}: {done.stdout[-4000:]}"
        return done.stdout

    def as_worker(self, *words: str, code: int | None = 0, timeout: float = 60) -> str:
        """The same of the ordinary user's, in no unit of its own."""
        user = ["setpriv", "--reuid", "worker", "--regid", "worker", "--clear-groups"]
        return self.run(*user, *environment("HOME=/var/worker"), *words, code=code, timeout=timeout)

    def at_desk(self, *words: str, timeout: float = 60) -> str:
        """The same in a delegated unit of the user's own manager."""
        unit = ["systemd-run", "--user", "--machine=worker@", "--wait", "--pipe", "--quiet"]
        unit += ["--property=Delegate=yes", f"--working-directory={TOP}"]
        return self.run(*unit, *environment(), *words, timeout=timeout)

    def is_active(self, unit: str) -> bool:
        return self.run("systemctl", "is-active", unit, code=None).strip() == "active"

    def close(self) -> None:
        assert end(self._group, 20)
        self._boot.wait(20)


def environment(*more: str) -> list[str]:
    packages = [path for path in sys.path if path.endswith("site-packages")]
    roots = [str(TOP / name) for name in ("shared", "coordinator", "tray")]
    return [
        "env",
        f"PYTHONPATH={':'.join([*roots, *packages])}",
        "PYTHONDONTWRITEBYTECODE=1",
        "CI=1",
        *more,
    ]
