"""Batch files: read into a checked Batch, with errors at their lines.

Not which words they have (`batchkeys`) nor what those mean together (`checks`), not the input files
(`inputs`), not YAML itself (`yamlnodes`).
"""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fallow.shared import overrides
from fallow.shared.aliases import Place
from fallow.shared.batch import Batch
from fallow.shared.batchkeys import BATCH
from fallow.shared.checks import check
from fallow.shared.errors import BatchError
from fallow.shared.reading import Reader
from fallow.shared.sweep import Expansion
from fallow.shared.yamlnodes import Node, compose, decode, line_of

_LARGEST_FILE: Final = 64_000_000


class LoadedBatch:
    """A batch that passed every check, with its jobs and the lines where its words stand."""

    def __init__(
        self,
        batch: Batch,
        expansion: Expansion,
        source: Path,
        root: Node,
        options: Sequence[str] = (),
    ) -> None:
        self.batch = batch
        self.expansion = expansion
        self.source = source
        self._root = root
        self._options = options

    @property
    def folder(self) -> Path:
        """The folder to which the batch's relative paths belong."""
        return self.source.parent

    def line(self, path: Place) -> int:
        """The line (from 1) of what stands at this place, or of the nearest thing around it.

        Below 0 where that is the value of an option of the command line, counted from -1.
        """
        return line_of(self._root, path)

    def locate(self, error: BatchError) -> BatchError:
        """The same error with file and line, where it has none yet."""
        if error.file:
            return error
        return _located(error, self.line(error.path), self.source, self._options)


def load(path: Path, options: Sequence[str] = ()) -> LoadedBatch:
    """Read and check a batch file; BatchError says what is wrong and where.

    `options` are texts KEY=VALUE that go before what the file says, see `overrides`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except IsADirectoryError:
        raise BatchError("This is a folder; a batch file is needed", file=str(path)) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BatchError(f"The batch file cannot be read: {reason}", file=str(path)) from None
    return loads(data, path, options)


def loads(text: str | bytes, source: Path, options: Sequence[str] = ()) -> LoadedBatch:
    """Read and check the text of a batch file which stands, or would stand, at `source`."""
    collecting = gc.isenabled()
    gc.disable()  # most of the time of a long file would go into looking for garbage
    try:
        return _loads(text, source, options)
    except BatchError as error:
        if error.file:
            raise
        raise _located(error, error.line, source, options) from None
    finally:
        if collecting:
            gc.enable()


def _located(
    error: BatchError, line: int | None, source: Path, options: Sequence[str]
) -> BatchError:
    if line is not None and line < 0:
        return error.located(f"--set {options[-line - 1]}", None)
    return error.located(str(source), line)


def _loads(text: str | bytes, source: Path, options: Sequence[str]) -> LoadedBatch:
    if len(text) > _LARGEST_FILE:
        raise BatchError(f"The file is larger than {_LARGEST_FILE // 1_000_000} MB")
    root = compose(text if isinstance(text, str) else decode(text))
    if options:
        root = overrides.apply(root, options)
    try:
        batch: Batch = Reader(source.parent).struct(BATCH, root, ())
        expansion = check(batch)
    except BatchError as error:
        if error.file:
            raise
        line = error.line if error.line is not None else line_of(root, error.path)
        raise _located(error, line, source, options) from None
    return LoadedBatch(batch, expansion, source, root, options)
