"""A batch as the text of a batch file, by the tables that read one; and batches made in Python.

Not the reading (`batchfile`, the opposite). What is read back is equal to what was written.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fallow.shared import batchfile, batchkeys
from fallow.shared.aliases import Place
from fallow.shared.batch import Batch, File, Range, Sweep
from fallow.shared.batchkeys import BATCH
from fallow.shared.checks import check
from fallow.shared.errors import BatchError, together
from fallow.shared.placeholders import show
from fallow.shared.reading import Made, Many, Reader, Shape, guess_number
from fallow.shared.sweep import Expansion
from fallow.shared.units import format_duration, format_size
from fallow.shared.yamlnodes import serialize

Tree = dict[str, Any] | list[Any] | str | int | float | bool
"""What YAML can hold, in the words of a batch file."""


def dump(batch: Batch) -> str:
    """The text of a batch file that says the same; BatchError for what no file could say."""
    return serialize(_struct(BATCH, batch, ()))


def load(path: str | os.PathLike[str]) -> Batch:
    """The batch of this file; BatchError as `batchfile` has it."""
    return batchfile.load(Path(path)).batch


def loads(text: str) -> Batch:
    """The batch of this text; BatchError as `batchfile` has it."""
    return batchfile.loads(text, Path("batch.yaml")).batch


def check_made(batch: Batch) -> tuple[Batch, Expansion]:
    """A batch made in Python with every value as a file would give it, and its jobs.

    Lists serve as tuples, texts such as "4GiB" and plain paths as in a file. BatchError names the
    place of what is wrong.
    """
    try:
        exact = msgspec.convert(msgspec.to_builtins(batch), Batch)
    except (msgspec.ValidationError, TypeError):
        # Read like a file: that knows all the ways to write a value, and what to say of others.
        try:
            exact = loads(dump(batch))
        except BatchError as error:
            raise together([each.located("", None) for each in error.each()]) from None
    if exact.command is not None and exact.command.sweep is not None:
        # A value that no file can hold would be another one on its way to the coordinator.
        _sweep(exact.command.sweep, ("command", "sweep"))
    return exact, check(exact)


def _struct(shape: Shape, value: Any, path: Place) -> Tree:
    if not isinstance(value, Struct):
        return _loose(value, path)
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(value):
        held = getattr(value, field.name)
        if held is None or _is_default(field, held):
            continue
        key = "from" if isinstance(value, Range) and field.name == "start" else field.name
        read = shape.keys.get(key)
        here = (*path, key)
        found[key] = _loose(held, here) if read is None else _value(read, held, here)
    return found


def _is_default(field: msgspec.structs.FieldInfo, held: object) -> bool:
    if callable(field.default_factory):
        return bool(held == field.default_factory())
    return type(held) is type(field.default) and held == field.default


def _value(read: Any, value: Any, path: Place) -> Tree:
    """The value as this reader would have it."""
    if isinstance(read, Made):
        return _struct(read.shape, value, path)
    if isinstance(read, Many) and not isinstance(value, str) and isinstance(value, Sequence):
        return [_value(read.one, each, (*path, place)) for place, each in enumerate(value)]
    if read is batchkeys.sweep and isinstance(value, Sweep):
        return _sweep(value, path)
    if read is batchkeys.file and isinstance(value, File):
        plain = value.alias is None
        return _loose(value.path, path) if plain else _struct(batchkeys.FILE, value, path)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if read is Reader.size and number:
        return format_size(value) if value >= 0 and value == int(value) else show(value)
    if read is Reader.duration and number and math.isfinite(value):
        return format_duration(value) if value >= 0 else show(value)
    if read is batchkeys.slurm and isinstance(value, Mapping):
        return {str(key): _as_shown(each, (*path, str(key))) for key, each in value.items()}
    return _loose(value, path)


def _sweep(sweep: Sweep, path: Place) -> Tree:
    found: dict[str, Any] = {}
    for name, values in sweep.values.items():
        here = (*path, name)
        if isinstance(values, Range):
            found[name] = _struct(batchkeys.RANGE, values, here)
        else:
            found[name] = _loose(values, here)
    for key, rows in (("zip", sweep.zip), ("exclude", sweep.exclude)):
        if rows:
            found[key] = _loose(rows, (*path, key))
    return found


def _as_shown(value: Any, path: Place) -> Tree:
    """An option of sbatch, which is a number only where it is written in its shortest form."""
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if show(value).lstrip("-").isdigit() else value
    return _loose(value, path)


def _loose(value: Any, path: Place) -> Tree:
    """Plain values and what can be taken for them: paths, arrays, any list or mapping."""
    if isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int | float):
        # Subclasses too, such as those of numpy.
        exact = int(value) if isinstance(value, int) else float(value)
        if guess_number(repr(exact)) != exact:
            raise BatchError(f"{value!r} cannot be kept exactly", path=path)
        return exact
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, Mapping):
        return {str(key): _loose(each, (*path, str(key))) for key, each in value.items()}
    if isinstance(value, File):
        return _value(batchkeys.file, value, path)
    if isinstance(value, Range):
        return _struct(batchkeys.RANGE, value, path)
    if isinstance(value, Sweep):
        return _sweep(value, path)
    if isinstance(value, Sequence):
        return [_loose(each, (*path, place)) for place, each in enumerate(value)]
    if hasattr(value, "tolist"):
        return _loose(value.tolist(), path)
    raise BatchError(
        f"A {type(value).__name__} cannot be part of a batch",
        hint="write numbers, texts, lists, and the words of a batch file",
        path=path,
    )
