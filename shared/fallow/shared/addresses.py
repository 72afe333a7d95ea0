"""Where a coordinator is found: `tcp://HOST:PORT` addresses, and the local socket of a data folder.

Not a socket: this names places and makes the one folder a local socket may live in.
The opposite is `transport`, which opens what is named here.
"""

import os
import re
import socket
import stat
from pathlib import Path

from fallow.shared.errors import FallowError

DEFAULT_PORT = 8952
_PLACE = "place"  # in the local folder: where the sockets are when its own path is too long
_SOCKET_PATH_LIMIT = 100  # bytes; AF_UNIX allows 107


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `tcp://HOST:PORT` (IPv6 in brackets); FallowError for anything else."""
    match = re.fullmatch(r"tcp://(\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]]+):(\d{1,5})", address)
    if match is None or not int(match[2]) < 65536:
        raise FallowError(
            f"{address!r} is not an address",
            hint=f"write tcp://HOST:PORT, for example tcp://lab-server:{DEFAULT_PORT}",
        )
    return match[1], int(match[2])


def join_address(host: str, port: int) -> str:
    """The address of this host (IPv6 with or without brackets) and port."""
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"tcp://{host}:{port}"


def data_address(control: str) -> str:
    """The data socket's address where nothing else was said: the port after the control port's."""
    host, port = split_address(control)
    return join_address(host, port + 1 if port else 0)


def is_loopback(address: str) -> bool:
    """Whether only this computer itself can reach the address."""
    host = split_address(address)[0].strip("[]")
    if host == "localhost":
        return True
    # Not by `ipaddress`: every command would wait for its import.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        packed = socket.inet_pton(family, host)
    except OSError:
        return False
    return packed[0] == 127 if family == socket.AF_INET else packed == bytes(15) + b"\1"


def is_wildcard(address: str) -> bool:
    """Whether the address stands for every network interface, so that nobody can connect to it."""
    return split_address(address)[0].strip("[]") in {"*", "0.0.0.0", "::"}


def make_local_addresses(data_dir: Path) -> tuple[str, str]:
    """The `ipc://` addresses (control, data) a coordinator binds for its own user.

    Makes a folder only this user can enter: below the data folder or, where that path is too long
    for a socket, below the runtime or temporary folder. FallowError when it cannot be ours alone.
    """
    home = data_dir.absolute() / "local"
    _make_private(home)
    pointer = home / _PLACE
    if len(os.fsencode(home)) <= _SOCKET_PATH_LIMIT - len("/control"):
        pointer.unlink(missing_ok=True)
        return _addresses(home)
    # It brings a library of 3 MB along, which most programs here do without.
    import hashlib

    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    runtime = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("TMPDIR") or "/tmp"
    if len(os.fsencode(runtime)) > 60 or not os.access(runtime, os.W_OK):
        runtime = "/tmp"
    short = Path(runtime) / f"fallow-{os.geteuid()}-{digest}"
    _make_private(short)
    # Written by rename, so that a client never reads half a path.
    fresh = pointer.with_suffix(".new")
    fresh.write_bytes(os.fsencode(short))
    fresh.replace(pointer)
    return _addresses(short)


def find_local_addresses(data_dir: Path) -> tuple[str, str]:
    """The `ipc://` addresses (control, data) a client of this data folder connects to.

    FallowError when the folder is not a coordinator's, or its sockets belong to somebody else.
    """
    home = data_dir.absolute() / "local"
    try:
        owner = home.lstat().st_uid
    except OSError:
        raise FallowError(
            f"There is no coordinator in {data_dir}",
            hint=f"start one with: coordinator serve --data-dir {data_dir}; "
            "or join one that runs elsewhere: coordinator join TOKEN",
        ) from None
    try:
        place = Path(os.fsdecode((home / _PLACE).read_bytes()))
    except FileNotFoundError:
        place = home
    except PermissionError:
        raise FallowError(
            f"The coordinator in {data_dir} belongs to somebody else",
            hint="ask for an invitation and join it with: coordinator join TOKEN",
        ) from None
    if place != home:
        _refuse_foreign(place, owner)
    return _addresses(place)


def _addresses(folder: Path) -> tuple[str, str]:
    return f"ipc://{folder}/control", f"ipc://{folder}/data"


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise FallowError(f"Cannot make the folder {folder}", str(error)) from None
    _refuse_foreign(folder, os.geteuid())
    folder.chmod(0o700)


def _refuse_foreign(folder: Path, owner: int) -> None:
    try:
        found = folder.lstat()
    except OSError as error:
        raise FallowError(f"Cannot look at the folder {folder}", str(error)) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
        raise FallowError(
            f"{folder} is not a folder of this coordinator's user",
            "Somebody else made it, so a local socket in it could not be trusted.",
            "remove it, or use another data folder",
        )
