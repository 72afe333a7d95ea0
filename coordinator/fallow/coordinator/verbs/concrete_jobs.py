"""The jobs that a batch file makes, one by one, as a dry run shows them.

Not a verb: `submit --dry-run` asks here. Nothing is known yet of the workstations, so `{cpus}`
stays as it is where a job takes all of one.
"""

import shlex
from typing import Any

from fallow.coordinator import render
from fallow.shared.aliases import alias_of
from fallow.shared.batch import File, Line, Scalar, kind_of
from fallow.shared.batchfile import LoadedBatch

_MOST_SHOWN = 20
_HEAD = 12
_TAIL = 3
_MOST_INPUTS = 4


def print_jobs(loaded: LoadedBatch) -> None:
    """A table; of many jobs the first and the last."""
    count = len(loaded.expansion)
    few = count <= _MOST_SHOWN
    places = range(count) if few else (*range(_HEAD), *range(count - _TAIL, count))
    rows = []
    for at, index in enumerate(places):
        if not few and at == _HEAD:
            rows.append(("…", f"{count - _HEAD - _TAIL:,} more (all of them with --json)", ""))
        job = loaded.expansion.concrete(index, loaded.expansion.resources(index).cpus)
        names = [_input(file) for file in _inputs(loaded, job.files)]
        shown = ", ".join(names[:_MOST_INPUTS])
        if len(names) > _MOST_INPUTS:
            shown += f" and {len(names) - _MOST_INPUTS} more"
        rows.append((job.name, _command(loaded, job.run), shown))
    render.print_table(("job", "command", "input"), rows)


def every_job(loaded: LoadedBatch) -> list[dict[str, Any]]:
    """All of them, for programs."""
    return [_job(loaded, index) for index in range(len(loaded.expansion))]


def _job(loaded: LoadedBatch, index: int) -> dict[str, Any]:
    expansion = loaded.expansion
    resources = expansion.resources(index)
    job = expansion.concrete(index, resources.cpus)
    values: dict[str, Scalar] = expansion.values(index)
    return {
        "name": job.name,
        "run": job.run.path if isinstance(job.run, File) else job.run,
        "env": job.env,
        "inputs": [
            {"path": file.path, "alias": alias_of(file)} for file in _inputs(loaded, job.files)
        ],
        "values": values,
        "resources": resources,
    }


def _inputs(loaded: LoadedBatch, own: tuple[File, ...]) -> list[File]:
    """What the job finds in its input folder: its own files go before the batch's."""
    kind = kind_of(loaded.batch)
    shared = kind.initialize.required_files if kind is not None else ()
    return list({alias_of(file): file for file in (*shared, *own)}.values())


def _input(file: File) -> str:
    alias = alias_of(file)
    return file.path if file.path == alias else f"{file.path} as {alias}"


def _command(loaded: LoadedBatch, run: Line | File) -> str:
    if isinstance(run, File):
        return run.path if loaded.batch.apptainer is not None else f"python3 {run.path}"
    return run if isinstance(run, str) else shlex.join(run)
