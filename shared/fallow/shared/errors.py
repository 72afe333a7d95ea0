"""What a person is told when something cannot be done: whose fault, and what now.

Not for bugs: those stay ordinary exceptions. Every command-line verb turns a FallowError into
its message and its exit code; nothing else ends a verb.
"""

from collections.abc import Sequence
from typing import ClassVar


class FallowError(Exception):
    """A refusal or failure that a person can act on: title, detail, hint.

    `title` is one sentence without a full stop, `detail` the circumstances, `hint` what to do now.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, title: str, detail: str = "", hint: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.title]
        if self.detail:
            lines.append(self.detail)
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class Refused(FallowError):
    """The other side understood and said no (exit code 1)."""


class UsageError(FallowError):
    """The command line was wrong (exit code 2)."""

    exit_code = 2


class BatchError(UsageError):
    """A batch file is wrong at one place (exit code 2): file, line and path inside the file."""

    def __init__(
        self,
        title: str,
        detail: str = "",
        hint: str = "",
        *,
        file: str = "",
        line: int | None = None,
        path: Sequence[str | int] = (),
    ) -> None:
        super().__init__(title, detail, hint)
        self.file = file
        self.line = line
        self.path = tuple(path)

    def located(self, file: str, line: int | None) -> "BatchError":
        """The same error with file and line (from 1), which only the reader of the file knows."""
        return BatchError(self.title, self.detail, self.hint, file=file, line=line, path=self.path)

    def __str__(self) -> str:
        place = ""
        for step in self.path:
            place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else str(step)
        where = self.file + (f":{self.line}" if self.line is not None else "")
        head = ": ".join(part for part in (where, place, self.title) if part)
        return "\n".join([head, *super().__str__().splitlines()[1:]])


class Unreachable(FallowError):
    """The coordinator, or this computer's agent, did not answer (exit code 3)."""

    exit_code = 3


class NotAllSucceeded(FallowError):
    """A waited-for batch ended, or is held, with jobs that did not succeed (exit code 4)."""

    exit_code = 4
