"""What a local run tells while it goes on, and how it ended: values.

Not the running (`local_run`) nor the showing (`verbs.run`).
"""

from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct


class Counted(Struct, frozen=True):
    """All jobs of the batch, and how many of them need not run again."""

    jobs: int
    unchanged: int


class Unhidden(Struct, frozen=True):
    """Jobs are not kept from the files of this account; `why` is one sentence."""

    why: str


class Building(Struct, frozen=True):
    """The batch is being built."""


class Built(Struct, frozen=True):
    """The build has ended; `log` is the file with what it said, `problem` "" when it went well."""

    log: Path
    problem: str = ""


class Began(Struct, frozen=True):
    """A job's program runs."""

    job: str


class Advanced(Struct, frozen=True):
    """A job says how far it is, from 0 to 1."""

    job: str
    share: float


class Over(Struct, frozen=True):
    """An attempt has ended; `why` is one sentence unless it succeeded. `again`: it is tried once
    more. `seconds` of running."""

    job: str
    how: Literal["succeeded", "failed", "not_run"]
    why: str = ""
    seconds: float = 0.0
    again: bool = False


class GaveUp(Struct, frozen=True):
    """So many jobs will not be run at all; `why` is one sentence."""

    jobs: int
    why: str


Fact: TypeAlias = Unhidden | Counted | Building | Built | Began | Advanced | Over | GaveUp


class Interrupted(Exception):
    """A signal has ended the run in good order: nothing of it runs any more."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


class NotDone(Struct, frozen=True):
    """A job without a success, and why."""

    job: str
    state: Literal["failed", "not_run"]
    why: str


class Summary(Struct, frozen=True):
    """How it ended. `unchanged` of the succeeded were here already; `folder` has the results."""

    namespace: str
    batch: str
    folder: Path
    succeeded: int
    unchanged: int
    not_done: tuple[NotDone, ...] = ()

    @property
    def failed(self) -> int:
        return sum(each.state == "failed" for each in self.not_done)

    @property
    def not_run(self) -> int:
        return sum(each.state == "not_run" for each in self.not_done)
