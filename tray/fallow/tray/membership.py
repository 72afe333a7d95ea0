"""Which coordinator this workstation belongs to: its address, its key, and our own key pair.

Not the session with it (`session`). Joining happens once, with a token's one-time key; afterwards
only our own key is used, whose secret half never leaves this folder.
"""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from fallow.shared.errors import FallowError
from fallow.shared.keys import decode_invitation, load_or_make_keys
from fallow.shared.messages import Enrol, Enrolled, Failed, Malformed, Request, decode_reply, encode
from fallow.shared.transport import KeyPair, Limits, Wire
from fallow.shared.work.machine import own_name
from fallow.tray.records import unfinished_runs

CONTROL_LIMITS = Limits(frames=1)
_FILE = "coordinator.json"


class Membership(Struct, frozen=True):
    """The coordinator's addresses and public key, and the name it knows this workstation by."""

    addresses: tuple[str, ...]
    server: str
    name: str


def load_membership(data_dir: Path) -> Membership | None:
    """The coordinator joined, or None; FallowError when the file is damaged."""
    path = data_dir / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Membership)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise FallowError(
            f"What this workstation knows of its coordinator cannot be read: {path}",
            str(error),
            "remove the file and join again with: tray join TOKEN",
        ) from None


def load_own_keys(data_dir: Path) -> KeyPair:
    """This workstation's key pair, made at the first call."""
    return load_or_make_keys(data_dir / "keys", "workstation")


def join(data_dir: Path, token: str, timeout: float = 20.0, *, discard: bool = False) -> Membership:
    """Enrol this workstation's key with the coordinator that the token names, and remember it.

    FallowError when the token is not one for a workstation or is refused, or when another
    coordinator is still to get results from here, unless they may be discarded; Unreachable when
    nobody answers. The same token again gets the same answer.
    """
    invitation = decode_invitation(token)
    if invitation.role != "workstation":
        raise FallowError(
            f"That invitation is for a {invitation.role}, not for a workstation",
            hint="ask for one made with: coordinator invite --role workstation",
        )
    if not discard:
        _refuse_to_forget(data_dir, invitation.server)
    keys = load_own_keys(data_dir)
    request = Request(1, Enrol(keys.public, invitation.name or own_name()))
    with Wire() as wire:
        socket = wire.connect(
            invitation.addresses, CONTROL_LIMITS, keys=invitation.keys, server=invitation.server
        )
        try:
            frames = socket.request(encode(request), timeout=timeout)
        finally:
            socket.close()
    try:
        reply = decode_reply(frames[0]).body
    except Malformed as error:
        raise FallowError("The coordinator's answer cannot be understood", str(error)) from None
    if isinstance(reply, Failed):
        raise FallowError(reply.title, reply.detail, reply.hint)
    if not isinstance(reply, Enrolled):
        raise FallowError("The coordinator's answer cannot be understood", type(reply).__name__)
    member = Membership(invitation.addresses, invitation.server, reply.name)
    _save(data_dir / _FILE, member)
    return member


def _refuse_to_forget(data_dir: Path, server: str) -> None:
    """What another coordinator would do with runs it knows nothing of is to have them dropped."""
    before = load_membership(data_dir)
    unfinished = unfinished_runs(data_dir)
    if before is None or before.server == server or not unfinished:
        return
    jobs = "a job" if len(unfinished) == 1 else f"{len(unfinished)} jobs"
    raise FallowError(
        f"This workstation still has {jobs} of {before.addresses[0]}",
        f"With another coordinator, what they have done would be lost: {', '.join(unfinished[:5])}"
        f"{' …' if len(unfinished) > 5 else ''}.",
        "let them end (tray finish, tray status); or lose them: tray join TOKEN --discard",
    )


def _save(path: Path, member: Membership) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(member)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise FallowError(f"Cannot write {path}", error.strerror or "") from None
