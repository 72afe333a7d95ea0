"""Tries another program of ours out, for what would end this process if it failed here.

Not how a job is started (`processes`). Short, watched, and never a shell.
"""

import resource
import subprocess
from collections.abc import Sequence

from msgspec import Struct


class Trial(Struct, frozen=True):
    """How it ended, None when it was ended for taking too long, and what it said on stderr."""

    code: int | None
    said: str


def try_out(argv: Sequence[str], patience: float) -> Trial:
    """Runs a program for at most `patience` seconds; OSError when it cannot be started."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=patience,
            preexec_fn=_leave_no_core,
        )
    except subprocess.TimeoutExpired as error:
        return Trial(None, (error.stderr or b"").decode(errors="replace"))
    return Trial(done.returncode, done.stderr.decode(errors="replace"))


def _leave_no_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
