"""SLURM's own commands, called; the only home of processes outside `shared.work`.

Not what their words mean (`ends`, `detect`). Nothing is submitted from here: that is `submit.sh`.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from fallow.shared.errors import FallowError

_PATIENCE = 120.0  # seconds


def is_here() -> bool:
    """Whether this is a computer of a cluster, where SLURM can be asked."""
    return shutil.which("squeue") is not None and shutil.which("sinfo") is not None


def ask(*words: str) -> str:
    """What one command prints. FallowError when it is not there, fails or does not answer."""
    return _run(words, None)


def note_words(folder: Path) -> bool:
    """Let the folder's own status.sh note what SLURM says now; False where it cannot."""
    if not is_here():
        return False
    try:
        _run(("bash", "./status.sh"), folder)
    except FallowError:
        return False
    return True


def _run(words: Sequence[str], folder: Path | None) -> str:
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        raise FallowError(
            f"{words[0]} was not found", hint="call this on a login node of the cluster"
        ) from None
    except subprocess.TimeoutExpired:
        raise FallowError(f"SLURM does not answer ({words[0]})", hint="try again later") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise FallowError(f"SLURM does not answer ({words[0]})", said, "try again later")
    return done.stdout.decode(errors="replace")
