"""CURVE keys as text, and the list of those that may connect.

Not where keys are kept (`keys`) nor what a key may do (`messages.VERBS`).
"""

import logging
import threading
import time
from collections.abc import Iterable

import zmq
from msgspec import Struct
from zmq.utils import z85

from fallow.shared.quiet import Quiet

log = logging.getLogger(__name__)


class KeyPair(Struct, frozen=True):
    """A CURVE key pair as Z85 text; its repr never shows the secret half."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r}, secret=…)"


def new_keys() -> KeyPair:
    """A fresh key pair."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


def public_of(secret: str) -> str:
    """The public half of a secret key (Z85 text); ValueError when it is no key."""
    try:
        if len(secret) != 40 or len(z85.decode(secret.encode("ascii"))) != 32:
            raise ValueError("a key has 40 characters")
        return zmq.curve_public(secret.encode("ascii")).decode()
    except (ValueError, KeyError, OverflowError, zmq.ZMQError) as error:
        raise ValueError(f"not a key: {type(error).__name__}") from None


class AllowList:
    """The public keys that may connect; safe to change while connections come in."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._keys = set(keys)

    def add(self, key: str) -> None:
        with self._lock:
            self._keys.add(key)

    def remove(self, key: str) -> None:
        """Live connections of this key stay open: its messages must be refused one by one."""
        with self._lock:
            self._keys.discard(key)

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return key in self._keys


class Credentials:
    """Answers the authenticator's question about one key; called in its thread."""

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed
        self._quiet = Quiet()

    def callback(self, domain: str, key: bytes) -> bool:
        text = key.decode("ascii", "replace")
        known = text in self._allowed
        if not known and self._quiet.due(text, time.monotonic()):
            log.info("turned away a connection with the unknown key %s", text)
        return known
