"""What the jobs of a batch are called: each name possible, no two in one folder; else BatchError.

Not which characters names may have (`ids`) nor how a sweep makes them (`sweep`).
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from fallow.shared.aliases import Place
from fallow.shared.errors import BatchError, Mistakes
from fallow.shared.ids import name_problem
from fallow.shared.placeholders import parse, show
from fallow.shared.sweep import Expansion

NAME_HINT: Final = "names hold printable characters but / \\ : and do not begin with . or -"
_ONE_FOLDER: Final = "Their folders would be the same one on computers that ignore case."
_BUILD_OUTPUT = re.compile(r"build_output_.*\.txt", re.IGNORECASE)


def check_names(names: Iterator[str], place: Callable[[int], Place]) -> None:
    """Of jobs that are written out one by one."""
    seen: dict[str, str] = {}
    mistakes = Mistakes()
    for index, name in enumerate(names):
        problem = _job_name_problem(name)
        folded = name.casefold()
        other = seen.get(folded)
        if problem:
            mistakes.note(BatchError(f"{short(name)} {problem}", hint=NAME_HINT, path=place(index)))
        elif other == name:
            mistakes.note(BatchError(f"Two jobs are called {name!r}", path=place(index)))
        elif other is not None:
            title = f"Two jobs are called {other!r} and {name!r}"
            mistakes.note(BatchError(title, _ONE_FOLDER, path=place(index)))
        else:
            seen[folded] = name
    mistakes.tell()


def _job_name_problem(name: str) -> str | None:
    problem = name_problem(name)
    if problem is None and _BUILD_OUTPUT.fullmatch(name):
        return "is what a build's output is called, which lies beside the jobs"
    return problem


def check_sweep_names(template: str, expansion: Expansion) -> None:
    """Of the jobs of a sweep, whose names are made."""
    place = ("command", "name")
    seen: set[str] = set()
    for index, name in enumerate(expansion.names()):
        problem = _job_name_problem(name)
        if problem:
            raise BatchError(
                f"{short(name)} {problem}",
                f"It is the name of job {index}.",
                NAME_HINT,
                path=place,
            )
        folded = name.casefold()
        if folded in seen:
            other = next(each for each in expansion.names() if each.casefold() == folded)
            if other != name:
                raise BatchError(
                    f"Two jobs would be called {other!r} and {name!r}",
                    _ONE_FOLDER,
                    "use {index} in the name",
                    path=place,
                )
            raise BatchError(
                f"Two jobs would be called {name!r}",
                hint=f"{_how_to_differ(template, expansion)}, or use {{index}}",
                path=place,
            )
        seen.add(folded)


def _how_to_differ(template: str, expansion: Expansion) -> str:
    used = parse(template).names
    for name in expansion.columns():
        if name not in used:
            return f"add {{{name}}}"
    for name, column in expansion.columns().items():
        if len(set(map(show, column))) < len(column):
            return f"{name} has the same value twice"
    return "put a separator between the values"


def short(text: str) -> str:
    """The text in quotes, long ones cut."""
    return repr(text) if len(text) <= 100 else f"{text[:60]!r}…"
