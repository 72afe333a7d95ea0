"""Batch files: which words they have, and reading them into a Batch with errors at their lines.

Not what the words mean together (`checks`), not the input files (`inputs`), not YAML itself
(`yamlnodes`). A key is added in one place: its row in the tables below, and its field in `batch`.
"""

import csv
import gc
import io
from pathlib import Path
from typing import Final

from fallow.shared.aliases import Place
from fallow.shared.batch import (
    Batch,
    Command,
    CommandInitialize,
    CommandJob,
    File,
    Line,
    Meta,
    Python,
    PythonInitialize,
    PythonJob,
    Range,
    Resources,
    Scalar,
    Sweep,
)
from fallow.shared.checks import check
from fallow.shared.errors import BatchError
from fallow.shared.sweep import MOST_JOBS, Expansion
from fallow.shared.yamlnodes import (
    Node,
    Reader,
    Shape,
    compose,
    decode,
    fail,
    guess_number,
    is_mapping,
    is_scalar,
    is_sequence,
    line_of,
    made,
    many,
)

_LARGEST_FILE: Final = 64_000_000


class LoadedBatch:
    """A batch that passed every check, with its jobs and the lines where its words stand."""

    def __init__(self, batch: Batch, expansion: Expansion, source: Path, root: Node) -> None:
        self.batch = batch
        self.expansion = expansion
        self.source = source
        self._root = root

    @property
    def folder(self) -> Path:
        """The folder to which the batch's relative paths belong."""
        return self.source.parent

    def line(self, path: Place) -> int:
        """The line (from 1) of what stands at this place, or of the nearest thing around it."""
        return line_of(self._root, path)

    def locate(self, error: BatchError) -> BatchError:
        """The same error with file and line, where it has none yet."""
        if error.file:
            return error
        return error.located(str(self.source), self.line(error.path))


def load(path: Path) -> LoadedBatch:
    """Read and check a batch file; BatchError says what is wrong and where."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except IsADirectoryError:
        raise BatchError("This is a folder; a batch file is needed", file=str(path)) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BatchError(f"The batch file cannot be read: {reason}", file=str(path)) from None
    return loads(data, path)


def loads(text: str | bytes, source: Path) -> LoadedBatch:
    """Read and check the text of a batch file which stands, or would stand, at `source`."""
    collecting = gc.isenabled()
    gc.disable()  # most of the time of a long file would go into looking for garbage
    try:
        return _loads(text, source)
    except BatchError as error:
        raise (error if error.file else error.located(str(source), error.line)) from None
    finally:
        if collecting:
            gc.enable()


def _loads(text: str | bytes, source: Path) -> LoadedBatch:
    if len(text) > _LARGEST_FILE:
        raise BatchError(f"The file is larger than {_LARGEST_FILE // 1_000_000} MB")
    root = compose(text if isinstance(text, str) else decode(text))
    try:
        batch: Batch = Reader(source.parent).struct(_BATCH, root, ())
        expansion = check(batch)
    except BatchError as error:
        if error.file:
            raise
        line = error.line if error.line is not None else line_of(root, error.path)
        raise error.located(str(source), line) from None
    return LoadedBatch(batch, expansion, source, root)


def _file(reader: Reader, node: Node, path: Place) -> File:
    if is_mapping(node):
        file: File = reader.struct(_FILE, node, path)
        return file
    return File(reader.text(node, path))


def _command_line(reader: Reader, node: Node, path: Place) -> Line:
    if is_sequence(node):
        return many(Reader.text)(reader, node, path)
    return reader.text(node, path)


def _env(reader: Reader, node: Node, path: Place) -> dict[str, str]:
    pairs = reader.pairs(node, path)
    return {key: reader.text(value, (*path, key)) for key, _, value in pairs}


def _row(reader: Reader, node: Node, path: Place) -> dict[str, Scalar]:
    pairs = reader.pairs(node, path)
    return {key: reader.value(value, (*path, key)) for key, _, value in pairs}


def _sweep(reader: Reader, node: Node, path: Place) -> Sweep:
    values: dict[str, tuple[Scalar, ...] | Range] = {}
    zipped: tuple[tuple[str, ...], ...] = ()
    exclude: tuple[dict[str, Scalar], ...] = ()
    for key, key_node, value in reader.pairs(node, path):
        here = (*path, key)
        if key == "zip":
            zipped += many(many(Reader.text))(reader, value, here)
        elif key == "exclude":
            exclude = many(_row)(reader, value, here)
        elif key == "file":
            columns = _table(reader, value, here)
            for name in columns:
                if name in values:
                    fail(key_node, here, f"{name!r} is in the table and in the sweep")
            values |= columns
            zipped += (tuple(columns),)
        else:
            if key in values:
                fail(key_node, here, f"{key!r} is in the table and in the sweep")
            values[key] = _values(reader, value, here)
    return Sweep(values=values, zip=zipped, exclude=exclude)


def _values(reader: Reader, node: Node, path: Place) -> tuple[Scalar, ...] | Range:
    if is_mapping(node):
        steps: Range = reader.struct(_RANGE, node, path)
        return steps
    if is_scalar(node):
        return (reader.value(node, path),)
    return many(Reader.value)(reader, node, path)


def _table(reader: Reader, node: Node, path: Place) -> dict[str, tuple[Scalar, ...]]:
    """The columns of a CSV file with a line of names on top."""
    source = reader.folder / Path(reader.text(node, path)).expanduser()
    try:
        with source.open("rb") as file:
            text = decode(file.read(_LARGEST_FILE))
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except OSError as error:
        fail(node, path, f"{source} cannot be read: {(error.strerror or str(error)).lower()}")
    except (csv.Error, BatchError) as error:
        fail(node, path, f"{source} is not a table: {str(error).lower()}", "save it as CSV, UTF-8")
    names = [name.strip() for name in rows[0]] if rows else []
    if len(rows) < 2 or len(rows) > MOST_JOBS:
        fail(node, path, f"{source} has no line below its names, or too many of them")
    if len(set(names)) < len(names):
        fail(node, path, f"{source} has two columns of one name")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(names):
            fail(
                node, path, f"Row {number} of {source} has {len(row)} values for {len(names)} names"
            )
    columns = zip(*rows[1:], strict=True)
    return {
        name: tuple(guess_number(cell.strip()) for cell in column)
        for name, column in zip(names, columns, strict=True)
    }


def _range(*, to: int | float, step: int | float = 1, **start: int | float) -> Range:
    return Range(start=start["from"], to=to, step=step)


# --- the keys -------------------------------------------------------------------------------------

_FILE = Shape(File, {"path": Reader.text, "alias": Reader.text}, ("path",))
_RANGE = Shape(
    _range,
    {"from": Reader.number, "to": Reader.number, "step": Reader.number},
    ("from", "to"),
)
_RESOURCES = Shape(Resources, {"cpus": Reader.whole, "memory": Reader.size}, later=("gpus", "disk"))
_META = Shape(
    Meta,
    {
        "namespace": Reader.text,
        "batch_name": Reader.text,
        "capabilities": many(Reader.text),
    },
    ("namespace", "batch_name"),
    later=("matrix",),
)
_PYTHON_INITIALIZE = Shape(PythonInitialize, {"build_file": _file, "required_files": many(_file)})
_PYTHON_JOB = Shape(
    PythonJob,
    {"name": Reader.text, "file": _file, "required_files": many(_file)},
    ("name", "file"),
    later=("slurm",),
)
_PYTHON = Shape(
    Python,
    {"initialize": made(_PYTHON_INITIALIZE), "jobs": many(made(_PYTHON_JOB))},
    ("jobs",),
)
_COMMAND_INITIALIZE = Shape(
    CommandInitialize, {"run": _command_line, "required_files": many(_file)}
)
_COMMAND_JOB = Shape(
    CommandJob,
    {
        "name": Reader.text,
        "run": _command_line,
        "env": _env,
        "required_files": many(_file),
        "resources": made(_RESOURCES),
    },
    ("name",),
    later=("slurm",),
)
_COMMAND = Shape(
    Command,
    {
        "initialize": made(_COMMAND_INITIALIZE),
        "run": _command_line,
        "env": _env,
        "required_files": many(_file),
        "sweep": _sweep,
        "name": Reader.text,
        "jobs": many(made(_COMMAND_JOB)),
    },
)
_BATCH = Shape(
    Batch,
    {
        "meta": made(_META),
        "python": made(_PYTHON),
        "command": made(_COMMAND),
        "resources": made(_RESOURCES),
        "network": Reader.truth,
    },
    ("meta",),
    later=(
        "apptainer",
        "limits",
        "on_failure",
        "on_owner_return",
        "checkpoint",
        "on_lost",
        "priority",
        "after",
        "notify",
        "slurm",
    ),
)
