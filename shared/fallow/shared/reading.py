"""Reading nodes as what their field wants: text, numbers, sizes, lists, structs; with the place.

Not YAML itself (`yamlnodes`) nor the words of a batch file (`batchkeys`). What is read here is
described for editors by `batchschema`, from the same shapes.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeAlias, TypeVar

from msgspec import Struct

from fallow.shared.aliases import Place
from fallow.shared.batch import Scalar
from fallow.shared.errors import BatchError, Mistakes
from fallow.shared.placeholders import show
from fallow.shared.units import parse_duration, parse_size
from fallow.shared.yamlnodes import (
    Node,
    describe,
    is_mapping,
    is_null,
    is_quoted,
    is_scalar,
    is_sequence,
    line_at,
    tag_of,
)

_MOST_READ: Final = 3_000_000
_TRUTH = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})", re.ASCII)
_REAL = re.compile(r"[-+]?(?=[.\d]*[.eE])(?:(?:0|[1-9]\d*)\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)

T = TypeVar("T")


class Reader:
    """Reads nodes as what their field wants; what is wrong is raised as BatchError, or noted.

    Of a mapping or a list every part is read: a BatchError of one is noted in `mistakes`, and the
    whole of it is of no use then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mistakes = Mistakes()
        self._read = 0

    def struct(self, shape: "Shape", node: Node, path: Place) -> Any:
        """None where something within it is wrong, which is noted then."""
        known = len(self.mistakes.found)
        found = self.fields(shape, node, path)
        return shape.made(**found) if len(self.mistakes.found) == known else None

    def fields(self, shape: "Shape", node: Node, path: Place) -> dict[str, Any]:
        """What of it can be read without a mistake, by key; the mistakes are noted."""
        found = {}
        meant = set()
        for key, key_node, value in self.pairs(node, path):
            meant.add(key)
            known = len(self.mistakes.found)
            read = shape.keys.get(key)
            try:
                if read is None:
                    word = shape.others.get(key) or close_to(key, tuple(shape.keys))
                    meant.add(word)
                    hint = f"did you mean `{word}`?" if word else known_here(shape.keys)
                    fail(key_node, path, f"`{key}` is no key of this place", hint)
                if is_null(value):
                    meant.discard(key)
                else:
                    read_value = read(self, value, (*path, key))
                    if len(self.mistakes.found) == known:
                        found[key] = read_value
            except BatchError as error:
                self.mistakes.note(error)
        for key in shape.needed:
            if key not in meant:
                with self.mistakes:
                    fail(node, path, f"`{key}` is missing")
        return found

    def pairs(self, node: Node, path: Place) -> list[tuple[str, Node, Node]]:
        self._count(node, path)
        if not is_mapping(node):
            fail(node, path, f"Keys with values are expected here, not {describe(node)}")
        found: dict[str, tuple[str, Node, Node]] = {}
        for key_node, value in node.value:
            self._count(key_node, path)
            if not is_scalar(key_node):
                fail(key_node, path, f"A key has to be a word, not {describe(key_node)}")
            key = key_node.value
            if key in found:
                with self.mistakes:
                    first = line_at(found[key][1])
                    fail(key_node, path, f"`{key}` is here twice", f"the first is in line {first}")
            else:
                found[key] = (key, key_node, value)
        return list(found.values())

    def items(self, node: Node, path: Place) -> list[Node]:
        self._count(node, path)
        if not is_sequence(node):
            fail(
                node,
                path,
                f"A list is expected here, not {describe(node)}",
                "write each entry on a line of its own after a dash, or [a, b]",
            )
        return list(node.value)

    def text(self, node: Node, path: Place) -> str:
        value = self.scalar(node, path, "Text")
        if is_null(node):
            fail(
                node, path, "Text is expected here, but there is none", 'for an empty text write ""'
            )
        return value

    def scalar(self, node: Node, path: Place, wanted: str) -> str:
        self._count(node, path)
        if not is_scalar(node):
            fail(node, path, f"{wanted} is expected here, not {describe(node)}")
        return str(node.value)

    def whole(self, node: Node, path: Place) -> int:
        text = self.scalar(node, path, "A whole number")
        if not _WHOLE.fullmatch(text):
            fail(node, path, f"A whole number is expected here, not {text!r}")
        return int(text)

    def truth(self, node: Node, path: Place) -> bool:
        text = self.scalar(node, path, "true or false")
        if text not in _TRUTH:
            fail(node, path, f"true or false is expected here, not {text!r}")
        return _TRUTH[text]

    def size(self, node: Node, path: Place) -> int:
        text = self.scalar(node, path, "A size such as 4GiB")
        try:
            return parse_size(text)
        except ValueError as error:
            fail(node, path, str(error))

    def duration(self, node: Node, path: Place) -> float:
        text = self.scalar(node, path, "A duration such as 2h30m")
        try:
            return parse_duration(text)
        except ValueError as error:
            fail(node, path, str(error))

    def number(self, node: Node, path: Place) -> int | float:
        text = self.scalar(node, path, "A number")
        value = guess_number(text)
        if isinstance(value, str):
            fail(node, path, f"A number is expected here, not {text!r}")
        return value

    def value(self, node: Node, path: Place) -> Scalar:
        """A number, `true` or `false` where the text looks like one, else the text."""
        text = self.scalar(node, path, "A number or a text")
        if is_quoted(node):
            return text
        if is_null(node):
            fail(node, path, "A value is expected here", 'for an empty text write ""')
        return guess_value(text)

    def word(self, node: Node, path: Place) -> Scalar:
        """The same, but a number only where it is shown again as it was written."""
        value = self.value(node, path)
        return value if show(value) == node.value else str(node.value)

    def _count(self, node: Node, path: Place) -> None:
        self._read += 1
        if self._read > _MOST_READ:
            title = f"With its aliases the file has more than {_MOST_READ:,} values"
            self.mistakes.only(mistake(node, path, title))
        tag = tag_of(node)
        if tag:
            fail(node, path, f"The tag {tag} cannot be used", "write the value without it")


ReadField: TypeAlias = Callable[[Reader, Node, Place], T]


class Shape(Struct, frozen=True):
    """How a mapping becomes a struct: who reads each key, and which are needed.

    `others` are words that other programs have for the same thing, with ours.
    """

    made: Callable[..., Any]
    keys: dict[str, ReadField[Any]]
    needed: tuple[str, ...] = ()
    others: dict[str, str] = {}


class Made(Struct, frozen=True):
    """Reads a mapping of this shape."""

    shape: Shape

    def __call__(self, reader: Reader, node: Node, path: Place) -> Any:
        return reader.struct(self.shape, node, path)


class Many(Struct, Generic[T], frozen=True):
    """Reads a list, each of its entries in this way."""

    one: ReadField[T]

    def __call__(self, reader: Reader, node: Node, path: Place) -> tuple[T, ...]:
        found = []
        for place, item in enumerate(reader.items(node, path)):
            try:
                found.append(self.one(reader, item, (*path, place)))
            except BatchError as error:
                reader.mistakes.note(error)
        return tuple(found)


class Choice(Struct, frozen=True):
    """Reads one of these words."""

    words: tuple[str, ...]

    def __call__(self, reader: Reader, node: Node, path: Place) -> str:
        text = reader.scalar(node, path, " or ".join(self.words))
        if text not in self.words:
            title = f"{' or '.join(self.words)} is expected here, not {describe(node)}"
            close = get_close_matches(text, self.words, n=1, cutoff=0.6)
            fail(node, path, title, f"did you mean `{close[0]}`?" if close else "")
        return text


def guess_number(text: str) -> int | float | str:
    """A number where the text looks like one that can be kept exactly as meant, else the text."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        value = float(text)
        if value - value == 0:
            return value
    return text


def guess_value(text: str) -> Scalar:
    """The same, and a truth for exactly `true` and `false`, which show as they were written."""
    if text in {"true", "false"}:
        return text == "true"
    return guess_number(text)


def nearest(word: str, known: Sequence[str]) -> str:
    """A hint that names the nearest known word, or all of them when none is near."""
    close = close_to(word, known)
    return f"did you mean `{close}`?" if close else known_here(known)


def close_to(word: str, known: Sequence[str]) -> str:
    """The nearest known word, "" when none is near."""
    return next(iter(get_close_matches(word, known, n=1, cutoff=0.6)), "")


def known_here(known: Iterable[str]) -> str:
    return f"known here: {', '.join(known)}"


def mistake(node: Node, path: Place, title: str, hint: str = "") -> BatchError:
    return BatchError(title, hint=hint, line=line_at(node), path=path)


def fail(node: Node, path: Place, title: str, hint: str = "") -> NoReturn:
    raise mistake(node, path, title, hint)
