"""The table that a sweep may read its values from: CSV with a line of names, or JSON lines.

Not the sweep itself (`sweep`). Each row is one combination; its columns run together.
"""

import csv
import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from fallow.shared.aliases import Place
from fallow.shared.batch import Scalar
from fallow.shared.errors import BatchError
from fallow.shared.ranges import MOST_JOBS
from fallow.shared.reading import Reader, fail, guess_value
from fallow.shared.yamlnodes import Node, decode

_LARGEST: Final = 256_000_000
_JSON_LINES = (".jsonl", ".ndjson")


class _Bad(Exception):
    """What is wrong with a table, and what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def read_table(reader: Reader, node: Node, path: Place) -> dict[str, tuple[Scalar, ...]]:
    """The columns of the table that this node names."""
    source = reader.folder / Path(reader.text(node, path)).expanduser()

    def refuse(what: str, hint: str = "") -> NoReturn:
        fail(node, path, f"{source} {what}", hint)

    try:
        with source.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        refuse(f"cannot be read: {reason.lower()}")
    if len(data) > _LARGEST:
        refuse(f"is larger than {_LARGEST // 1_000_000} MB")
    try:
        text = decode(data)
    except BatchError as error:
        line = f"line {error.line}: " if error.line is not None else ""
        refuse(f"is not a table: {line}{error.title.lower()}", "save it as CSV, UTF-8")
    try:
        columns = _json_lines(text) if source.suffix.lower() in _JSON_LINES else _csv(text)
        _refuse_other_separator(columns)
    except _Bad as bad:
        refuse(bad.what, bad.hint)
    for number, name in enumerate(columns, start=1):
        if not name:
            refuse(f"has no name for its column {number}")
        if not name.isidentifier():
            refuse(
                f"has a column {name!r}, which cannot be a placeholder",
                "use letters, digits and _, and begin with a letter",
            )
    return columns


def _refuse_other_separator(columns: Collection[str]) -> None:
    """As spreadsheets write it where the comma is for decimals."""
    for separator, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(columns) == 1 and separator in next(iter(columns)):
            raise _Bad(f"has {word} between its columns", "save it with commas between them")


def _csv(text: str) -> dict[str, tuple[Scalar, ...]]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] = []
    found: list[list[str]] = []
    try:
        for row in rows:
            if not row:
                continue
            if not names:
                names = [name.strip() for name in row]
                if len(set(names)) < len(names):
                    twice = next(name for name in names if names.count(name) > 1)
                    raise _Bad(f"has two columns of one name: {twice!r}")
                continue
            if len(row) != len(names):
                missing = ""
                if len(row) < len(names):
                    missing = f"; {names[len(row)]!r} is missing"
                raise _Bad(
                    f"has {len(row)} values for {len(names)} names in line {rows.line_num}{missing}"
                )
            found.append(row)
            _bound(found)
    except csv.Error as error:
        raise _Bad(
            f"is not a table: line {rows.line_num}: {error}", "save it as CSV, UTF-8"
        ) from None
    if not found:
        raise _Bad("has no line below its names")
    return {
        name: tuple(guess_value(cell.strip()) for cell in column)
        for name, column in zip(names, zip(*found, strict=True), strict=True)
    }


def _json_lines(text: str) -> dict[str, tuple[Scalar, ...]]:
    found: list[dict[str, Scalar]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row = _json_row(line, number)
        if found and row.keys() != found[0].keys():
            odd = min(row.keys() ^ found[0].keys())
            has = "has" if odd in row else "lacks"
            raise _Bad(f"{has} {odd!r} in line {number}, unlike its first line")
        found.append(row)
        _bound(found)
    if not found or not found[0]:
        raise _Bad("has no row with values")
    return {name: tuple(row[name] for row in found) for name in found[0]}


def _json_row(line: str, number: int) -> dict[str, Scalar]:
    hint = 'each line is one object of plain values, such as {"re": 100, "grid": "fine"}'
    try:
        row = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        where = str(error).removeprefix("JSON is malformed: ")
        raise _Bad(f"is no JSON in line {number}: {where}", hint) from None
    if not isinstance(row, dict):
        raise _Bad(f"has no object in line {number}", hint)
    for name, value in row.items():
        if value is None or isinstance(value, list | dict):
            what = "no value" if value is None else "more than one value"
            raise _Bad(f"has {what} for {name!r} in line {number}", hint)
        if isinstance(value, int) and abs(value) >= 1 << 63:
            raise _Bad(f"has a number too large for {name!r} in line {number}", "put it in quotes")
    return row


def _bound(rows: Sequence[object]) -> None:
    if len(rows) > MOST_JOBS:
        raise _Bad(f"has more than {MOST_JOBS:,} rows")
