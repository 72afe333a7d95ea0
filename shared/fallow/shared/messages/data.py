"""What is said on the data socket, in both directions: blobs and their chunks.

Not what blobs are used for; the exchange itself is `fallow.shared.exchange`.
"""

from typing import TypeAlias

from msgspec import Struct

CHUNK = 256 * 1024


class Fetch(Struct, frozen=True, tag="fetch"):
    """Receiver to sender: send these bytes of this blob; request and credit in one."""

    hash: str
    offset: int
    length: int


class Chunk(Struct, frozen=True, tag="chunk"):
    """Sender to receiver; the bytes are the message's second frame."""

    hash: str
    offset: int


class Offer(Struct, frozen=True, tag="offer"):
    """Sender to receiver: I have a blob of this hash and size. Answered by Have or Fetch."""

    hash: str
    size: int


class Have(Struct, frozen=True, tag="have"):
    """Receiver to sender: complete, verified and on disk here."""

    hash: str


class Gone(Struct, frozen=True, tag="gone"):
    """Either way: this blob cannot be had (or cannot be stored), and why."""

    hash: str
    why: str


DataMessage: TypeAlias = Fetch | Chunk | Offer | Have | Gone
