"""What works of a coordinator and of the way to it, what does not, and what to do about it.

Not the printing (`verbs.doctor`). Each check gives one Finding and stands alone; nothing is
changed. The opposite, on a workstation, is `tray doctor`.
"""

import os
import resource
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from fallow.coordinator import places, render
from fallow.coordinator.client import Client
from fallow.coordinator.config import FILE, Settings, load_settings
from fallow.shared import addresses
from fallow.shared.account import key_file
from fallow.shared.errors import FallowError
from fallow.shared.messages import Nodes, NodesReply
from fallow.shared.release import installed_version

_ROOM = 1 << 30  # bytes that should be free
_FILES = 100_000  # as many files, and so many open at once
_OPEN = 1024
_SKEW = 5.0  # seconds between two clocks that nobody minds
_OLD = 1_767_225_600.0  # the year 2026: a clock before that was never set
_PATIENCE = 3.0


class Finding(Struct, frozen=True):
    """One thing that was looked at: whether it is as it should be, and what to do if not."""

    what: str
    ok: bool
    text: str
    hint: str = ""


def examine(wanted: str | None) -> Iterator[Finding]:
    """Look at the coordinator that `--coordinator` means, and at the way to it."""
    yield _own_clock()
    try:
        target = places.choose(wanted)
    except FallowError as error:
        yield Finding("coordinator", False, error.title, error.hint)
        return
    if isinstance(target, Path):
        yield from _data_dir(target)
    else:
        yield _private(key_file(target.key), "key", "join again")
        for address in target.addresses:
            yield from _reachable(address)
    yield from _answers(wanted, target)


def _own_clock() -> Finding:
    now = time.time()
    return Finding(
        "clock",
        now > _OLD,
        f"{render.iso(now)} here",
        "set this computer's clock: times in events and reports would be wrong",
    )


def _data_dir(folder: Path) -> Iterator[Finding]:
    if not folder.is_dir():
        yield Finding(
            "data folder", False, f"{folder} is not there", "start one: coordinator serve"
        )
        return
    free = os.statvfs(folder)
    room = free.f_bavail * free.f_frsize
    yield Finding(
        "data folder",
        os.access(folder, os.W_OK) and room > _ROOM,
        f"{folder}, {render.size(room)} free",
        "make room on that disk, and see that this user may write there",
    )
    if free.f_files:
        yield Finding(
            "files",
            free.f_favail > _FILES,
            f"room for {free.f_favail:,} more files on that disk",
            "results are many small files: remove old batches, or use a larger file system",
        )
    yield _one_file_system(folder)
    yield _private(folder / "keys" / "server", "server key", "start `serve` once")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    yield Finding(
        "open files",
        hard == resource.RLIM_INFINITY or hard >= _OPEN,
        f"a process may have {'any number' if hard == resource.RLIM_INFINITY else hard} open",
        "each workstation and client needs one: raise the limit (ulimit -n, LimitNOFILE)",
    )
    try:
        settings = load_settings(folder, None, None, None)
    except FallowError as error:
        yield Finding("settings", False, error.title, error.hint or error.detail)
        return
    told = f"{folder / FILE}" if (folder / FILE).exists() else "none but the defaults"
    yield Finding("settings", True, told)
    yield from _homeserver(folder, settings)


def _one_file_system(folder: Path) -> Finding:
    here = [each for each in (folder / "blobs", folder / "results") if each.exists()]
    same = len({each.stat().st_dev for each in here}) <= 1
    return Finding(
        "results",
        same,
        "on the same file system as the blobs: each file is kept once"
        if same
        else "on another file system than the blobs: every result is copied and kept twice",
        "put both on one file system, if room or speed is short",
    )


def _private(path: Path, what: str, cure: str) -> Finding:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return Finding(what, False, f"{path}: {error.strerror}", cure)
    return Finding(
        what,
        not mode & 0o077,
        f"{path} has mode {mode:04o}",
        f"others may have read it: chmod 600 {path}, or make a new one",
    )


def _reachable(address: str) -> Iterator[Finding]:
    """Whether both ports take connections."""
    host, port = addresses.split_address(address)
    shown = host if not addresses.is_wildcard(address) else "127.0.0.1"
    for what, number in (("control port", port), ("data port", port + 1)):
        try:
            socket.create_connection((shown, number), _PATIENCE).close()
        except OSError as error:
            yield Finding(
                what,
                False,
                f"{host}:{number}: {error.strerror or error}",
                "start the coordinator; from elsewhere, see whether a firewall is in between",
            )
            continue
        only = addresses.is_loopback(address)
        yield Finding(
            what,
            True,
            f"{host}:{number} takes connections"
            + (" (of this computer only: see `serve --listen`)" if only else ""),
        )


def _homeserver(folder: Path, settings: Settings) -> Iterator[Finding]:
    home = settings.homeserver
    if home is None:
        return
    for name in ("coordinator.toml", "matrix.token"):
        if (folder / name).exists():
            yield _private(folder / name, name, "")
    from fallow.coordinator.calling import NotDone, call

    place = f"{home.address.rstrip('/')}/_matrix/client/v3/account/whoami"
    try:
        who = str(call("GET", place, token=home.token).get("user_id", "somebody"))
    except NotDone as error:
        hint = "see [matrix] in coordinator.toml: is the address right, and the token still good?"
        yield Finding("matrix", False, f"{home.address}: {error}", hint)
        return
    yield Finding("matrix", True, f"{home.address} knows us as {who}")


def _answers(wanted: str | None, target: places.Joined | Path) -> Iterator[Finding]:
    where = str(target) if isinstance(target, Path) else target.addresses[0]
    try:
        with Client(wanted, timeout=5.0) as client:
            before = time.time()
            reply = client.ask(Nodes(), NodesReply)
            after = time.time()
    except FallowError as error:
        yield Finding("coordinator", False, f"{where}: {error.title}", error.hint)
        return
    online = sum(node.state not in ("offline", "revoked") for node in reply.nodes)
    known = len(reply.nodes)
    text = f"{where} answers; {known} workstation{'' if known == 1 else 's'}, {online} online"
    yield Finding("coordinator", True, text)
    if isinstance(target, Path) and reply.address:
        yield from _reachable(reply.address)
    yield from compared(reply, installed_version(), before, after)


def compared(reply: NodesReply, ours: str, before: float, after: float) -> Iterator[Finding]:
    """Its release and its clock beside ours, which went from `before` to `after` meanwhile."""
    yield Finding(
        "release",
        reply.version == ours,
        f"{ours} here, {reply.version or 'an older one'} there",
        "install the same release of Fallow on both",
    )
    if reply.now:
        skew = max(before - reply.now, reply.now - after, 0.0)
        yield Finding(
            "its clock",
            skew <= _SKEW,
            "as here" if skew <= _SKEW else f"{render.duration(skew)} off",
            "set both computers' clocks by the network: times in reports would not fit together",
        )
