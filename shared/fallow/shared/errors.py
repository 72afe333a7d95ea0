"""What a person is told when something cannot be done: whose fault, and what now.

Not for bugs: those stay ordinary exceptions. Every command-line verb turns a FallowError into
its message and its exit code; nothing else ends a verb.
"""

from collections.abc import Sequence
from itertools import zip_longest
from types import TracebackType
from typing import ClassVar, Final, NoReturn

_TOLD: Final = 10
_ENOUGH: Final = 100


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
    """A batch file is wrong at one place (exit code 2): file, line and path inside the file.

    `more` are the other places where it is wrong as well, each on its own.
    """

    def __init__(
        self,
        title: str,
        detail: str = "",
        hint: str = "",
        *,
        file: str = "",
        line: int | None = None,
        path: Sequence[str | int] = (),
        more: "Sequence[BatchError]" = (),
    ) -> None:
        super().__init__(title, detail, hint)
        self.file = file
        self.line = line
        self.path = tuple(path)
        self.more = tuple(more)

    def located(self, file: str, line: int | None) -> "BatchError":
        """This mistake alone with file and line (from 1), which only the file's reader knows."""
        return BatchError(self.title, self.detail, self.hint, file=file, line=line, path=self.path)

    def each(self) -> "tuple[BatchError, ...]":
        """Every mistake on its own, this one first."""
        return (self.located(self.file, self.line), *self.more)

    def __str__(self) -> str:
        told = []
        some = (self, *self.more[: _TOLD - 1])
        for each, after in zip_longest(some, some[1:]):
            # A hint that several mistakes share is read once, below the last of them.
            told.append(each._alone(with_hint=after is None or each.hint != after.hint))
        left = 1 + len(self.more) - _TOLD
        if left > 0:
            least = "at least " if 1 + len(self.more) >= _ENOUGH else ""
            told.append(f"and {least}{left} more")
        return "\n".join(told)

    def _alone(self, *, with_hint: bool) -> str:
        place = ""
        for step in self.path:
            place += f"[{step}]" if isinstance(step, int) else f".{step}" if place else str(step)
        where = self.file + (f":{self.line}" if self.line is not None else "")
        head = ": ".join(part for part in (where, place, self.title) if part)
        lines = [head, self.detail, f"hint: {self.hint}" if self.hint and with_hint else ""]
        return "\n".join(filter(None, lines))


class Mistakes:
    """Collects what is wrong at several places: `with mistakes:` notes a BatchError and goes on.

    Only what follows from no other mistake is looked for within it. After a hundred it is enough:
    the next word of it is raised.
    """

    def __init__(self) -> None:
        self.found: list[BatchError] = []
        self._enough = False

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, BatchError):
            return False
        self.note(error)
        return True

    def note(self, error: BatchError) -> None:
        """One more, or several; BatchError with all of them when that is enough."""
        if not self._enough:
            self.found += error.each()[: _ENOUGH - len(self.found)]
            self._enough = len(self.found) == _ENOUGH
        if self._enough:
            self.tell()

    def only(self, error: BatchError) -> NoReturn:
        """Nothing else is looked at any more."""
        self.found, self._enough = [error], True
        raise error

    def tell(self) -> None:
        """BatchError with every mistake there is, if there is any."""
        if self.found:
            raise together(self.found)


def together(found: Sequence[BatchError]) -> BatchError:
    """These mistakes, at least one, as one error."""
    first, *more = found
    return BatchError(
        first.title,
        first.detail,
        first.hint,
        file=first.file,
        line=first.line,
        path=first.path,
        more=more,
    )


class Unreachable(FallowError):
    """The coordinator, or this computer's agent, did not answer (exit code 3)."""

    exit_code = 3


class NotAllSucceeded(FallowError):
    """A waited-for batch ended, or is held, with jobs that did not succeed (exit code 4)."""

    exit_code = 4
