"""Where this computer's one agent is found, by everybody who uses the computer.

Not the socket itself (`local`), nor who may do what there (`rights`). An agent with a data folder
of its own choice (`--data-dir`) is not the computer's, and can only be found by that folder. Below
/run, which jobs in a sandbox do not see:

    fallow/agent              the socket of the system's agent
    lock/fallow-agent         locked by whichever agent is this computer's
    lock/fallow-UID/agent     the socket of that one, where it is a person's

(or in /tmp, where /run/lock is not everybody's).
"""

import contextlib
import fcntl
import os
import stat
from pathlib import Path

from fallow.shared.errors import FallowError

SYSTEM_DATA = Path("/var/lib/fallow")
SOCKET = "agent"
_RUN = "FALLOW_RUN"
_LOCK = "fallow-agent"


def default_data_dir() -> Path:
    """Where this user's agent has its files."""
    import platformdirs

    return platformdirs.user_data_path("fallow") / "agent"


def take() -> int:
    """Be this computer's agent, until the descriptor is closed; FallowError names who is."""
    try:
        descriptor = _open_lock(make=True)
    except OSError as error:
        raise FallowError(
            f"{_locks()} cannot be used", f"{error.strerror}.", "name a folder: --data-dir"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = _holder(descriptor)
        os.close(descriptor)
        who = f"It is process {holder[0]} of {_name(holder[1])}." if holder else ""
        raise FallowError(
            "Another Fallow agent already runs on this computer",
            who,
            "ask it with: tray status; a computer needs only one, which serves everybody's tray,"
            " and one of its own needs another folder than the default: --data-dir",
        ) from None
    return descriptor


def make_folder(*, system: bool) -> Path:
    """The folder for the socket of this computer's agent; FallowError when it cannot be ours."""
    folder = _system() if system else _of(os.geteuid())
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(1, "it belongs to somebody else")
        folder.chmod(0o755)
    except OSError as error:
        hint = "the unit that comes with Fallow makes it" if system else "remove it"
        raise FallowError(f"{folder} cannot be used", f"{error.strerror}.", hint) from None
    return folder


def found() -> Path | None:
    """The socket of this computer's agent, None when there is no such agent now."""
    try:
        descriptor = _open_lock(make=False)
    except OSError:
        return None
    try:
        holder = _holder(descriptor)
    finally:
        os.close(descriptor)
    if holder is None:
        return None
    for folder in (_system(), _of(holder[1])):
        # Who holds the lock is the agent, and so nobody else can answer in its place.
        with contextlib.suppress(OSError):
            place = folder.lstat()
            if stat.S_ISDIR(place.st_mode) and place.st_uid == holder[1]:
                return folder / SOCKET
    return None


def refuse_if_anothers(data_dir: Path) -> None:
    """FallowError when this folder would be this computer's, and its agent is somebody else's."""
    if data_dir != default_data_dir():
        return
    socket = found()
    if socket is None or socket.parent.stat().st_uid == os.geteuid():
        return
    owner = _name(socket.parent.stat().st_uid)
    hint = f"sudo -u {owner} tray join TOKEN"
    if socket.parent == _system():
        hint += f" --data-dir {SYSTEM_DATA}"
    raise FallowError(
        "This computer has an agent already, and one is enough", f"It is {owner}'s.", hint
    )


def _run() -> Path:
    return Path(os.environ.get(_RUN) or "/run")


def _system() -> Path:
    return _run() / "fallow"


def _of(uid: int) -> Path:
    return _locks() / f"fallow-{uid}"


def _locks() -> Path:
    """Where everybody may leave a file; not all systems have such a folder below /run."""
    folder = _run() / "lock"
    with contextlib.suppress(OSError):
        if folder.stat().st_mode & 0o1002 == 0o1002:
            return folder
    return folder if _RUN in os.environ else Path("/tmp")


def _open_lock(*, make: bool) -> int:
    place = _locks() / _LOCK
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        # Whoever made it: a lock needs no right to write.
        return os.open(place, flags)
    except FileNotFoundError:
        if not make:
            raise
    descriptor = os.open(place, flags | os.O_CREAT, 0o644)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, 0o644)
    return descriptor


def _holder(descriptor: int) -> tuple[int, int] | None:
    """Process and user who hold the lock on this file, by the kernel's list of locks."""
    it = os.fstat(descriptor)
    place = f"{os.major(it.st_dev):02x}:{os.minor(it.st_dev):02x}:{it.st_ino}"
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if "->" not in words and words[1:2] == ["FLOCK"] and words[5] == place:
                pid = int(words[4])
                return pid, os.stat(f"/proc/{pid}").st_uid
    return None


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
