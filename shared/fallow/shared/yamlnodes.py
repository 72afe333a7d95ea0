"""YAML as a tree of nodes with lines.

Not the reading of nodes as what their field wants (`reading`). The only `import yaml`: its guesses
at types, its tags and its merge keys are left out, so that `no` and `10:00:00` stay what the person
wrote.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import yaml

from fallow.shared.aliases import Place
from fallow.shared.errors import BatchError

Node = yaml.Node

_DEEPEST: Final = 32
_MOST_NODES: Final = 20_000_000

_NULL = {"", "~", "null", "Null", "NULL"}
# Texts that nobody takes for anything else, in whatever version of YAML.
_PLAIN = re.compile(r"(?:[A-Za-z_/]|\.{1,2}/)(?:[\w./+-]| (?=[\w./+-]))*", re.ASCII)
_MEASURE = re.compile(r"\d+(?:\.\d+)?(?:[KMGTP]?i?B|[wdhms](?:\d+(?:\.\d+)?[wdhms])*)", re.ASCII)
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"}
_LINES = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff\ud800-\uffff]+")
_WIDTH: Final = 96
_SHORT: Final = 80


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


class _Unexplained:
    """Writes no tags: the field of a scalar says what it is."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        return ""


_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Unexplained, _SafeDumper):  # type: ignore[misc]
    pass


def serialize(tree: Any) -> str:
    """Mappings, lists and scalars as text; a text that could be taken for a number is quoted."""
    text = yaml.serialize(_node(tree), Dumper=_Dumper, allow_unicode=True, width=_WIDTH)
    return str(text)


def _node(tree: Any) -> yaml.Node:
    if isinstance(tree, dict):
        pairs = [(_scalar(key), _node(value)) for key, value in tree.items()]
        leaf = all(_fits_a_line(value) for _, value in pairs)
        short = sum(len(key.value) + len(value.value) for key, value in pairs) < _SHORT
        return yaml.MappingNode("", pairs, flow_style=not pairs or (leaf and short))
    if isinstance(tree, list):
        nodes = [_node(each) for each in tree]
        leaf = all(map(_fits_a_line, nodes))
        return yaml.SequenceNode("", nodes, flow_style=leaf)
    return _scalar(tree)


def _fits_a_line(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style != "|"


def _scalar(value: str | int | float | bool) -> yaml.ScalarNode:
    if isinstance(value, bool):
        return yaml.ScalarNode("", "true" if value else "false")
    if not isinstance(value, str):
        return yaml.ScalarNode("", repr(value))
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    if plain or _MEASURE.fullmatch(value):
        return yaml.ScalarNode("", value)
    if "\n" in value and _LINES.fullmatch(value):
        return yaml.ScalarNode("", value, style="|")
    return yaml.ScalarNode("", value, style='"')


def written(text: str, line: int) -> yaml.Node:
    """A value that stands in no file, as if in this line: text, or a list, keys or quoted text."""
    if text[:1] in {"[", "{", "'", '"'}:
        node = compose(text)
        _move(node, line)
        return node
    mark = _mark(line)
    return yaml.ScalarNode("", text, mark, mark)


def with_value(root: yaml.Node, steps: Sequence[str], value: yaml.Node, line: int) -> yaml.Node:
    """A copy of the tree with this value at this place, which is made where it is missing.

    BatchError, at the line of the value, where there can be no such place.
    """
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(root, yaml.SequenceNode):
        if not step.isascii() or not step.isdigit() or int(step) >= len(root.value):
            count = len(root.value)
            raise BatchError(
                f"There is no entry {step!r} here",
                hint=f"its {count} entries are 0 to {count - 1}" if count else "the list is empty",
                line=line,
            )
        place = int(step)
        entries = list(root.value)
        entries[place] = with_value(entries[place], rest, value, line)
        return yaml.SequenceNode("", entries, root.start_mark, root.end_mark)
    if is_null(root):
        root = yaml.MappingNode("", [], root.start_mark, root.end_mark)
    if not isinstance(root, yaml.MappingNode):
        raise BatchError(f"There is no {step!r} here, but {describe(root)}", line=line)
    mark = _mark(line)
    pairs = [(key, node) for key, node in root.value if key.value != step]
    old = next((node for key, node in root.value if key.value == step), None)
    if old is None:
        old = yaml.MappingNode("", [], mark, mark)
    pair = (yaml.ScalarNode("", step, mark, mark), with_value(old, rest, value, line))
    at = next((at for at, (key, _) in enumerate(root.value) if key.value == step), len(pairs))
    pairs.insert(at, pair)
    return yaml.MappingNode("", pairs, root.start_mark, root.end_mark)


def _mark(line: int) -> Any:
    return yaml.Mark("", 0, line - 1, 0, None, 0)


def _move(node: yaml.Node, line: int) -> None:
    node.start_mark = _mark(line)
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _move(each, line)
    elif isinstance(node, yaml.MappingNode):
        for key, each in node.value:
            _move(key, line)
            _move(each, line)


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
