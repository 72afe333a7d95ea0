"""What the coordinator's shell saves beside the core's records: commits, removals, people.

Not the writing (`database`) nor the tables (`rows`). The core's own saves are in `records`.
"""

from typing import TypeAlias

from msgspec import Struct

from fallow.coordinator.deposits import Deposit, Deposited
from fallow.coordinator.people import KeyRecord, TokenRecord
from fallow.coordinator.records import Save
from fallow.coordinator.telling import Message
from fallow.shared.ids import AttemptId
from fallow.shared.runs import OutputFile


class Committing(Struct, frozen=True):
    """A commit into the results tree is about to begin."""

    deposit: Deposit


class Undone(Struct, frozen=True):
    """That commit was not begun after all: something was missing."""

    attempt: AttemptId


class BuildOutputKept(Struct, frozen=True):
    """A build's output lies beside the jobs of this batch."""

    batch: str
    file: OutputFile


class Doomed(Struct, frozen=True):
    """The results of this batch (already dropped) are to be removed."""

    uid: str
    namespace: str
    name: str


class Cleared(Struct, frozen=True):
    """They have been removed."""

    uid: str


class ForgetEvents(Struct, frozen=True):
    """Of the oldest `most` events, drop those from before that wall-clock second.

    Also those that are not among the newest `keep`.
    """

    before: float
    keep: int = 1_000_000
    most: int = 5000


class Kept(Struct, frozen=True):
    """A message about a batch's end that its person does not have yet; wall-clock seconds."""

    id: int
    message: Message
    made: float
    tries: int
    next_try: float


class NoticeKept(Struct, frozen=True):
    """This message is to be told, or tried again."""

    kept: Kept


class NoticeGone(Struct, frozen=True):
    """It was told, or never will be."""

    id: int


class RoomKept(Struct, frozen=True):
    """The Matrix room for a person; "" when there is none any more."""

    target: str
    room: str


AnySave: TypeAlias = (
    Save
    | KeyRecord
    | TokenRecord
    | Committing
    | Deposited
    | Undone
    | BuildOutputKept
    | Doomed
    | Cleared
    | NoticeKept
    | NoticeGone
    | RoomKept
    | ForgetEvents
)
