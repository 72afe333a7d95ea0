"""The batch file that a verb is given: read with what the command line says besides, inputs too.

Not the reading itself (`shared.batchfile`, `shared.inputs`). For the verbs that send or run it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from fallow.coordinator import render
from fallow.shared import batchfile
from fallow.shared.batchfile import LoadedBatch
from fallow.shared.errors import BatchError, UsageError
from fallow.shared.ids import name_problem
from fallow.shared.inputs import Gathered, gather

F = TypeVar("F", bound=Callable[..., Any])


def name_option(function: F) -> F:
    return click.option("--name", metavar="BATCH", help="Another batch name than the file's.")(
        function
    )


def set_option(function: F) -> F:
    return click.option(
        "--set",
        "options",
        multiple=True,
        metavar="KEY=VALUE",
        help="Another value than the file's, such as sweep.re=[100,200]; may be given again.",
    )(function)


def load_batch(file: Path, name: str | None, options: tuple[str, ...]) -> LoadedBatch:
    """The checked batch, with these values in place of the file's. BatchError, UsageError."""
    loaded = batchfile.load(file, options)
    if name is not None:
        problem = name_problem(name)
        if problem:
            raise UsageError(f"The batch name {name!r} {problem}", hint="choose another --name")
        meta = msgspec.structs.replace(loaded.batch.meta, batch_name=name)
        loaded.batch = msgspec.structs.replace(loaded.batch, meta=meta)
    return loaded


def read_inputs(loaded: LoadedBatch, quiet: bool) -> Gathered:
    """What its paths hold, shown while it is read; BatchError with the line that names a path."""
    try:
        with render.byte_progress("reading", None, quiet) as moved:
            return gather(loaded.batch, loaded.expansion, loaded.folder, moved)
    except BatchError as error:
        raise loaded.locate(error) from None
