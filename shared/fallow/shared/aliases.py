"""What inputs are called below `input/`, and that no two of them are in each other's way.

Not the files themselves (`inputs` reads them, `work.staging` places them). `jobspec` makes
places of these names.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from fallow.shared.batch import File
from fallow.shared.errors import BatchError
from fallow.shared.ids import alias_problem

Place: TypeAlias = tuple[str | int, ...]
"""Where in a batch something stands, as in an error."""


def alias_of(file: File) -> str:
    """The name an input gets: its alias, else the last part of its path."""
    if file.alias is not None:
        return file.alias
    return file.path.rstrip("/").rpartition("/")[2]


class Taken:
    """The aliases of one list of inputs, and of the lists that it stands on."""

    def __init__(self, names: set[str], under: "Taken | None" = None) -> None:
        self._names = names
        self._under = under
        self._inside = {folder: name for name in names for folder in _folders(name)}

    def nested(self, alias: str) -> tuple[str, str] | None:
        """(inner, outer) where this alias and a taken one lie in each other, else None."""
        level: Taken | None = self
        while level is not None:
            if alias in level._inside:
                return level._inside[alias], alias
            for folder in _folders(alias):
                if folder in level._names:
                    return alias, folder
            level = level._under
        return None


class Aliases:
    """Checks the inputs of a batch list by list; remembers aliases already found to be good."""

    def __init__(self) -> None:
        self._good: set[str] = set()

    def add(self, place: Place, files: Sequence[File], under: Taken | None = None) -> Taken:
        """What is taken once these files stand on those of `under`; BatchError if they cannot."""
        if not files and under is not None:
            return under
        own: set[str] = set()
        for number, file in enumerate(files):
            here = (*place, "required_files", number)
            alias = self._check(file, here)
            if alias in own:
                raise BatchError(
                    f"Two inputs would be called {alias!r}",
                    hint="give one of them another alias",
                    path=here,
                )
            own.add(alias)
        taken = Taken(own, under)
        for number, file in enumerate(files):
            nested = taken.nested(alias_of(file))
            if nested:
                raise BatchError(
                    f"The input {nested[0]!r} would lie inside the input {nested[1]!r}",
                    hint="give one of them another alias",
                    path=(*place, "required_files", number),
                )
        return taken

    def _check(self, file: File, place: Place) -> str:
        check_path(file, place)
        alias = alias_of(file)
        if alias in self._good:
            return alias
        problem = alias_problem(alias)
        if problem and file.alias is None:
            raise BatchError(
                f"The input {file.path!r} needs an alias, since its name {problem}", path=place
            )
        if problem:
            raise BatchError(f"The alias {alias!r} {problem}", path=(*place, "alias"))
        self._good.add(alias)
        return alias


def check_path(file: File, place: Place) -> None:
    """Refuse a path that no file can have; BatchError."""
    if not file.path:
        raise BatchError("The path is empty", path=place)
    check_text(file.path, place)


def check_text(text: str, place: Place) -> None:
    """Refuse a text that no program can be given; BatchError."""
    if "\0" in text:
        raise BatchError("A NUL character cannot be used here", path=place)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BatchError("Half a character cannot be used here", path=place) from None


def _folders(path: str) -> Iterator[str]:
    folder = path.rpartition("/")[0]
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]
