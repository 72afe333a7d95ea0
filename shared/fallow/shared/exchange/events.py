"""What the two machines of an exchange say about blobs, and what they send.

Not the messages themselves: those are in `messages`.
"""

from typing import TypeAlias

from msgspec import Struct

from fallow.shared.messages import DataMessage

LONGEST_WHY = 500  # characters taken over from a peer

Outgoing: TypeAlias = tuple[DataMessage, bytes]
"""A message and its second frame."""


class Stored(Struct, frozen=True):
    """This blob is now here: verified and on disk."""

    hash: str


class Delivered(Struct, frozen=True):
    """The other side has this blob, verified and on its disk."""

    hash: str


class NotMoved(Struct, frozen=True):
    """This blob could not be received, or could not be delivered, and why."""

    hash: str
    why: str


class Progressed(Struct, frozen=True):
    """So many bytes of this blob have moved, in either direction."""

    hash: str
    done: int


TransferEvent: TypeAlias = Stored | Delivered | NotMoved | Progressed
