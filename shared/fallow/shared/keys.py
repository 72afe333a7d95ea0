"""Key pairs and invitations: who somebody is on the wire, and how a newcomer gets in.

Not the allow-list (`transport` asks it, the coordinator keeps it) and no encryption of our own.
The opposite is `transport`, which makes the keys and uses them.
"""

import base64
import binascii
import hashlib
import os
import stat
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from fallow.shared.errors import FallowError
from fallow.shared.transport import KeyPair, new_keys, public_of

TOKEN_PREFIX = "fallow1-"
_CHECKSUM = 4
_KEY_LENGTH = 40


def load_or_make_keys(folder: Path, name: str = "key") -> KeyPair:
    """The key pair kept in `folder/name`, made at the first call (folder 0700, file 0600).

    FallowError when others can read or write the file, when it is damaged, or cannot be written.
    """
    path = folder / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return load_keys(path)
        except FileNotFoundError:
            return save_keys(path, new_keys())
    except OSError as error:
        raise FallowError(f"Cannot keep the key in {path}", str(error)) from None


def load_keys(path: Path) -> KeyPair:
    """The key pair in this file; FileNotFoundError, or FallowError as `load_or_make_keys`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        text = file.read(1024)
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid not in {os.geteuid(), 0}:
        raise FallowError(
            f"Other people can read the secret key in {path}",
            f"Its mode is {stat.S_IMODE(found.st_mode):04o}; it must be 0600, and the file yours.",
            f"if nobody has read it: chmod 600 {path}; else remove it and join again",
        )
    secret = text.decode("ascii", "replace").strip()
    try:
        return KeyPair(public_of(secret), secret)
    except ValueError:
        raise FallowError(
            f"The key in {path} is damaged",
            hint="restore it from a backup, or remove it and join again with a new invitation",
        ) from None


def save_keys(path: Path, keys: KeyPair) -> KeyPair:
    """Write the pair and return the one on disk: another process may have been first."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(keys.secret.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return load_keys(path)
    finally:
        fresh.unlink(missing_ok=True)
    return keys


class Invitation(Struct, frozen=True, array_like=True):
    """What one join token says: where the coordinator is, its key, and a key to enrol with.

    `expires` is UNIX time in seconds. `secret` opens the one verb Enrol and nothing else.
    """

    addresses: tuple[str, ...]
    server: str
    secret: str
    role: Literal["workstation", "submitter", "admin"]
    name: str | None
    expires: float

    def __repr__(self) -> str:
        where = f"{self.addresses!r}, {self.server!r}"
        return f"Invitation({where}, secret=…, {self.role!r}, {self.name!r}, {self.expires!r})"

    @property
    def keys(self) -> KeyPair:
        """The one-time key pair."""
        return KeyPair(public_of(self.secret), self.secret)


def encode_invitation(invitation: Invitation) -> str:
    """The token: one word of letters, digits, `-` and `_`."""
    body = msgspec.msgpack.encode(invitation)
    check = hashlib.sha256(body).digest()[:_CHECKSUM]
    return TOKEN_PREFIX + base64.urlsafe_b64encode(check + body).decode().rstrip("=")


def decode_invitation(token: str) -> Invitation:
    """The invitation in a token, white space in it ignored; FallowError when it is not whole."""
    text = "".join(token.split())
    if not text.startswith(TOKEN_PREFIX):
        raise FallowError(
            "That is not an invitation to Fallow",
            f"A token starts with {TOKEN_PREFIX}",
            "copy the whole line that `coordinator invite` printed",
        )
    text = text.removeprefix(TOKEN_PREFIX)
    try:
        # validate=True by hand: urlsafe_b64decode silently drops foreign characters.
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        check, body = raw[:_CHECKSUM], raw[_CHECKSUM:]
        if hashlib.sha256(body).digest()[:_CHECKSUM] != check:
            raise ValueError("checksum")
        invitation = msgspec.msgpack.decode(body, type=Invitation)
        public_of(invitation.secret)
        if len(invitation.server) != _KEY_LENGTH or not invitation.addresses:
            raise ValueError("fields")
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise FallowError(
            "The invitation is damaged or cut short",
            f"It has {len(token.strip())} characters, and its check sum does not fit.",
            "copy the whole line that `coordinator invite` printed",
        ) from None
    return invitation
