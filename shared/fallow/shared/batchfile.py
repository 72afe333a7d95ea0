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
from fallow.shared.batch import Batch, Meta
from fallow.shared.batchkeys import BATCH
from fallow.shared.checks import check
from fallow.shared.errors import BatchError, together
from fallow.shared.reading import Reader
from fallow.shared.sweep import Expansion
from fallow.shared.yamlnodes import Node, compose, decode, line_of

_LARGEST_FILE: Final = 64_000_000
_NOBODY: Final = Meta(namespace="", batch_name="")


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
        return _located(error, self._root, self.source, self._options)


def load(path: Path, options: Sequence[str] = ()) -> LoadedBatch:
    """Read and check a batch file; BatchError says all that is wrong and where.

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
        raise _located(error, None, source, options) from None
    finally:
        if collecting:
            gc.enable()


def _located(
    error: BatchError, root: Node | None, source: Path, options: Sequence[str]
) -> BatchError:
    """Every mistake with its place, in the order of the file; options of the command line last."""
    found = []
    for each in error.each():
        line = each.line
        if line is None and root is not None:
            line = line_of(root, each.path)
        if each.file:
            found.append((0, each))
        elif line is not None and line < 0:
            found.append((_LARGEST_FILE - line, each.located(f"--set {options[-line - 1]}", None)))
        else:
            found.append((line or 0, each.located(str(source), line)))
    found.sort(key=lambda pair: pair[0])
    return together([each for _, each in found])


def _loads(text: str | bytes, source: Path, options: Sequence[str]) -> LoadedBatch:
    if len(text) > _LARGEST_FILE:
        raise BatchError(f"The file is larger than {_LARGEST_FILE // 1_000_000} MB")
    root = compose(text if isinstance(text, str) else decode(text))
    if options:
        root = overrides.apply(root, options)
    try:
        batch, expansion = _read(Reader(source.parent), root)
    except BatchError as error:
        raise _located(error, root, source, options) from None
    return LoadedBatch(batch, expansion, source, root, options)


def _read(reader: Reader, root: Node) -> tuple[Batch, Expansion]:
    """BatchError with every mistake that does not follow from another one."""
    found = reader.fields(BATCH, root, ())
    mistakes = reader.mistakes
    if not mistakes.found:
        batch: Batch = BATCH.made(**found)
        return batch, check(batch)
    try:
        check(BATCH.made(**{"meta": _NOBODY, **found}))
    except BatchError as error:
        for each in error.each():
            # The others may only lack what could not be read.
            if each.path and each.path[0] in found:
                mistakes.note(each)
    raise together(mistakes.found)
