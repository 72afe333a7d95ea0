"""YAML as a tree of nodes with lines, and reading nodes as what their field wants.

Not the words of a batch file (`batchfile`). The only `import yaml`: its guesses at types, its tags
and its merge keys are left out, so that `no` and `10:00:00` stay what the person wrote.
"""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import yaml
from msgspec import Struct

from fallow.shared.aliases import Place
from fallow.shared.batch import Scalar
from fallow.shared.errors import BatchError
from fallow.shared.units import parse_size

Node = yaml.Node

_DEEPEST: Final = 32
_MOST_NODES: Final = 20_000_000
_MOST_READ: Final = 3_000_000

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUTH = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})", re.ASCII)
_REAL = re.compile(r"[-+]?(?=[.\d]*[.eE])(?:(?:0|[1-9]\d*)\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)

T = TypeVar("T")


class _Unguessed:
    """Leaves scalars as they are written: their field says what they are. Bounds depth and size."""

    _depth = 0
    _nodes = 0

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        return ""

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        self._depth += 1
        self._nodes += 1
        if self._depth > _DEEPEST:
            mark = current_node.start_mark if current_node is not None else None
            raise yaml.composer.ComposerError(None, None, f"more than {_DEEPEST} levels deep", mark)
        if self._nodes > _MOST_NODES:
            raise yaml.composer.ComposerError(None, None, "too many values", None)

    def ascend_resolver(self) -> None:
        self._depth -= 1


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Unguessed, _SafeLoader):  # type: ignore[misc]
    pass


def compose(text: str) -> yaml.Node:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "it cannot be read"
        hint = ""
        if "\\t" in problem or (mark and "\t" in _line_at(text, mark.line)):
            hint = "indent with spaces; YAML allows no tabs"
        elif problem == "but found another document":
            problem, error.context = "a second document begins here", None
            hint = "put every batch into a file of its own"
        elif isinstance(error, yaml.parser.ParserError | yaml.scanner.ScannerError):
            hint = "look for a bracket, quote or colon that is missing here or just above"
        detail = f"{error.context}." if error.context and error.context != problem else ""
        raise BatchError(
            f"This is not YAML: {problem}", detail, hint, line=mark.line + 1 if mark else None
        ) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1 if error.position is not None else None
        raise BatchError(f"This is not YAML: {error.reason}", line=line) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BatchError(f"This is not YAML: {error}") from None
    finally:
        loader.dispose()
    if root is None:
        raise BatchError("The file is empty", hint="begin with `meta:`, see the examples")
    return root  # type: ignore[no-any-return]


def decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BatchError(
            "The file is not UTF-8 text",
            f"The first wrong byte is 0x{data[error.start]:02x}.",
            "save it as UTF-8 in your editor",
            line=line,
        ) from None


def _line_at(text: str, number: int) -> str:
    lines = text.split("\n", number + 1)
    return lines[number] if number < len(lines) else ""


def line_of(node: yaml.Node, path: Place) -> int:
    line = node.start_mark.line + 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    node, line = value, key.start_mark.line + 1
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            if not 0 <= step < len(node.value):
                return line
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line
    return line


class Shape(Struct, frozen=True):
    """How a mapping becomes a struct: who reads each key, which are needed, which come later."""

    made: Callable[..., Any]
    keys: "dict[str, Callable[[Reader, yaml.Node, Place], Any]]"
    needed: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


class Reader:
    """Reads nodes as what their field wants; every method raises BatchError with line and place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read = 0

    def struct(self, shape: Shape, node: yaml.Node, path: Place) -> Any:
        known = (*shape.keys, *shape.later)
        found = {}
        for key, key_node, value in self.pairs(node, path):
            here = (*path, key)
            if key not in shape.keys:
                if key not in shape.later:
                    fail(
                        key_node,
                        path,
                        f"`{key}` is no key of this place",
                        nearest(key, known, tuple(shape.keys)),
                    )
                if not is_null(value):
                    fail(
                        key_node,
                        path,
                        f"`{key}` is known, but this release cannot do it yet",
                        f"remove `{key}` from this place",
                    )
            elif not is_null(value):
                found[key] = shape.keys[key](self, value, here)
        for key in shape.needed:
            if key not in found:
                fail(node, path, f"`{key}` is missing")
        return shape.made(**found)

    def pairs(self, node: yaml.Node, path: Place) -> list[tuple[str, yaml.Node, yaml.Node]]:
        self._count(node, path)
        if not isinstance(node, yaml.MappingNode):
            fail(node, path, f"Keys with values are expected here, not {_describe(node)}")
        found: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
        for key_node, value in node.value:
            self._count(key_node, path)
            if not isinstance(key_node, yaml.ScalarNode):
                fail(key_node, path, f"A key has to be a word, not {_describe(key_node)}")
            key = key_node.value
            if key in found:
                first = found[key][1].start_mark.line + 1
                fail(key_node, path, f"`{key}` is here twice", f"the first is in line {first}")
            found[key] = (key, key_node, value)
        return list(found.values())

    def items(self, node: yaml.Node, path: Place) -> list[yaml.Node]:
        self._count(node, path)
        if not isinstance(node, yaml.SequenceNode):
            fail(
                node,
                path,
                f"A list is expected here, not {_describe(node)}",
                "write each entry on a line of its own after a dash, or [a, b]",
            )
        return list(node.value)

    def text(self, node: yaml.Node, path: Place) -> str:
        value = self.scalar(node, path, "Text")
        if value in _NULL and is_null(node):
            fail(
                node, path, "Text is expected here, but there is none", 'for an empty text write ""'
            )
        return value

    def scalar(self, node: yaml.Node, path: Place, wanted: str) -> str:
        self._count(node, path)
        if not isinstance(node, yaml.ScalarNode):
            fail(node, path, f"{wanted} is expected here, not {_describe(node)}")
        return str(node.value)

    def whole(self, node: yaml.Node, path: Place) -> int:
        text = self.scalar(node, path, "A whole number")
        if not _WHOLE.fullmatch(text):
            fail(node, path, f"A whole number is expected here, not {text!r}")
        return int(text)

    def truth(self, node: yaml.Node, path: Place) -> bool:
        text = self.scalar(node, path, "true or false")
        if text not in _TRUTH:
            fail(node, path, f"true or false is expected here, not {text!r}")
        return _TRUTH[text]

    def size(self, node: yaml.Node, path: Place) -> int:
        text = self.scalar(node, path, "A size such as 4GiB")
        try:
            return parse_size(text)
        except ValueError as error:
            fail(node, path, str(error))

    def number(self, node: yaml.Node, path: Place) -> int | float:
        text = self.scalar(node, path, "A number")
        value = guess_number(text)
        if isinstance(value, str):
            fail(node, path, f"A number is expected here, not {text!r}")
        return value

    def value(self, node: yaml.Node, path: Place) -> Scalar:
        text = self.scalar(node, path, "A number or a text")
        if getattr(node, "style", None) in {"'", '"', "|", ">"}:
            return text
        if is_null(node):
            fail(node, path, "A value is expected here", 'for an empty text write ""')
        return guess_number(text)

    def _count(self, node: yaml.Node, path: Place) -> None:
        self._read += 1
        if self._read > _MOST_READ:
            fail(node, path, f"With its aliases the file has more than {_MOST_READ:,} values")
        if node.tag:
            shown = str(node.tag).replace("tag:yaml.org,2002:", "!!")
            fail(node, path, f"The tag {shown} cannot be used", "write the value without it")


def is_mapping(node: Node) -> bool:
    return isinstance(node, yaml.MappingNode)


def is_sequence(node: Node) -> bool:
    return isinstance(node, yaml.SequenceNode)


def is_scalar(node: Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


def is_null(node: yaml.Node) -> bool:
    """Whether this says "nothing": `~`, `null`, or no text at all."""
    return isinstance(node, yaml.ScalarNode) and node.style in {"", None} and node.value in _NULL


def guess_number(text: str) -> int | float | str:
    """A number where the text looks like one that can be kept exactly as meant, else the text."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        value = float(text)
        if value - value == 0:
            return value
    return text


def nearest(word: str, known: Sequence[str], listed: Sequence[str]) -> str:
    """A hint that names the nearest known word, or those to list when none is near."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(listed)}"


def _describe(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "keys with values"
    return "nothing" if is_null(node) else repr(node.value)


def fail(node: yaml.Node, path: Place, title: str, hint: str = "") -> NoReturn:
    raise BatchError(title, hint=hint, line=node.start_mark.line + 1, path=path)


def many(
    one: Callable[[Reader, yaml.Node, Place], T],
) -> Callable[[Reader, yaml.Node, Place], tuple[T, ...]]:
    def read(reader: Reader, node: yaml.Node, path: Place) -> tuple[T, ...]:
        items = reader.items(node, path)
        return tuple(one(reader, item, (*path, place)) for place, item in enumerate(items))

    return read


def made(shape: Shape) -> Callable[[Reader, yaml.Node, Place], Any]:
    return lambda reader, node, path: reader.struct(shape, node, path)
