"""YAML as a tree of nodes with lines.

Not the reading of nodes as what their field wants (`reading`). The only `import yaml`: its guesses
at types, its tags and its merge keys are left out, so that `no` and `10:00:00` stay what the person
wrote.
"""

from typing import Any, Final

import yaml

from fallow.shared.aliases import Place
from fallow.shared.errors import BatchError

Node = yaml.Node

_DEEPEST: Final = 32
_MOST_NODES: Final = 20_000_000

_NULL = {"", "~", "null", "Null", "NULL"}


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
        if "\\t" in problem or (mark and "\t" in _text_of_line(text, mark.line)):
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


def _text_of_line(text: str, number: int) -> str:
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


def is_mapping(node: Node) -> bool:
    return isinstance(node, yaml.MappingNode)


def is_sequence(node: Node) -> bool:
    return isinstance(node, yaml.SequenceNode)


def is_scalar(node: Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


def is_null(node: Node) -> bool:
    """Whether this says "nothing": `~`, `null`, or no text at all."""
    return isinstance(node, yaml.ScalarNode) and node.style in {"", None} and node.value in _NULL


def is_quoted(node: Node) -> bool:
    """Whether this is text by the way it is written: in quotes, or a block of lines."""
    return isinstance(node, yaml.ScalarNode) and node.style in {"'", '"', "|", ">"}


def line_at(node: Node) -> int:
    """The line (from 1) at which this begins."""
    return int(node.start_mark.line) + 1


def tag_of(node: Node) -> str:
    """The tag that was written before it, empty where there is none."""
    return str(node.tag).replace("tag:yaml.org,2002:", "!!") if node.tag else ""


def describe(node: Node) -> str:
    """What this is, as the end of a sentence."""
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "keys with values"
    return "nothing" if is_null(node) else repr(node.value)
