"""The texts of an exported batch: what sbatch is given, the tasks, and the plan they all read.

Not their places in the folder nor its inputs (`export`), not the fixed programs (`scripts/`), which
find here all that differs from batch to batch.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from fallow.coordinator.slurm import words
from fallow.coordinator.slurm.classes import Classes, JobClass, modules_of
from fallow.coordinator.slurm.directives import line
from fallow.coordinator.slurm.site import Site
from fallow.shared.aliases import alias_of
from fallow.shared.batch import Batch, File, Line, kind_of
from fallow.shared.sweep import Expansion

Numbers = Mapping[str, str]
"""What an input path of the batch is called below `inputs/`."""

_GRACE = 10.0  # seconds between SIGTERM and SIGKILL, as on a desk


class Exported(Struct, frozen=True, kw_only=True):
    """One export: `id` (8 letters and digits) is in every key by which its jobs are found again."""

    id: str
    batch: Batch
    site: Site
    classes: Classes


def index_text(index: int) -> str:
    """What a job's folder below `runs/` is called."""
    return f"{index:06}"


def has_build(batch: Batch) -> bool:
    """Whether something is built before the jobs."""
    if batch.python is not None:
        return batch.python.initialize.build_file is not None
    return batch.command is not None and batch.command.initialize.run is not None


def texts(exported: Exported, expansion: Expansion, numbers: Numbers) -> dict[str, str]:
    """Every generated text by its place in the folder."""
    batch, site = exported.batch, exported.site
    found = {"plan.sh": _plan(exported, numbers)}
    for each in exported.classes.jobs:
        found[f"class{each.number}.sbatch"] = _sbatch(each, batch, site)
        tasks = (_task(batch, expansion, index, each.cpus, numbers) for index in each.jobs)
        found[f"tasks/{each.number}"] = "".join(f"{task}\n" for task in tasks)
    if exported.classes.build is not None:
        found["build.sbatch"] = _sbatch(exported.classes.build, batch, site)
        found["tasks/build"] = _build_task(batch, expansion, exported.classes.build.cpus, numbers)
    return found


def _sbatch(each: JobClass, batch: Batch, site: Site) -> str:
    lines = ["#!/bin/bash", *(line(name, value) for name, value in each.options.items()), ""]
    modules = modules_of(batch, site)
    if modules:
        lines += [
            "type module >/dev/null 2>&1 || . /etc/profile",
            *(f"module load {words.quote(name)}" for name in modules),
        ]
    lines += site.setup
    lines += ["# shellcheck source=/dev/null", '. "$1/job.sh"']
    if each.jobs:
        lines += [f'run_job {each.number} "$2" "$3"']
    else:
        lines += ["run_build"]
    return "\n".join(lines) + "\n"


def _plan(exported: Exported, numbers: Numbers) -> str:
    batch, site, classes = exported.batch, exported.site, exported.classes
    checkpoint, jobs = batch.checkpoint, classes.jobs
    title = f"{batch.meta.namespace}:{batch.meta.batch_name}"
    shared = [word for file in _shared(batch) for word in (numbers[file.path], alias_of(file))]
    run_time = batch.limits.run_time
    grace = checkpoint.grace if checkpoint is not None else _GRACE
    return "\n".join(
        (
            "# What the programs of this folder must know of the batch. Do not change it.",
            "# shellcheck shell=bash disable=SC2016,SC2034",
            words.assign("EXPORT", exported.id),
            words.assign("TITLE", title),
            words.assign("BATCH", batch.meta.batch_name),
            words.assign("JOBS", sum(len(each.jobs) for each in jobs)),
            words.assign("CHUNK", site.max_array_size),
            words.assign("THROTTLE", site.throttle or 0),
            words.assign("HAS_IMAGE", int(batch.apptainer is not None)),
            words.assign("HAS_BUILD", int(classes.build is not None)),
            words.assign("BUILD_CPUS", classes.build.cpus if classes.build is not None else 1),
            "# By class, from 1.",
            words.array("CLASS_SIZE", (0, *(len(each.jobs) for each in jobs))),
            words.array("CLASS_CPUS", (0, *(each.cpus for each in jobs))),
            words.array("NEED_CPUS", (0, *(each.need.cpus for each in jobs))),
            words.array("NEED_MEMORY", (0, *(_megabytes(each.need.memory) for each in jobs))),
            words.array("NEED_GPUS", (0, *(each.need.gpus for each in jobs))),
            words.array("NEED_FEATURES", ("", *(",".join(each.need.features) for each in jobs))),
            words.array("NEED_PARTITION", ("", *(each.need.partition or "" for each in jobs))),
            words.array("NEED_TIME", (0, *(each.need.time or 0 for each in jobs))),
            words.array("OWN_OUTPUT", (0, *(int(each.own_output) for each in jobs))),
            "# For the jobs on their nodes.",
            words.array("SHARED", shared),
            words.array("CONTAINER", site.container),
            words.assign("SCRATCH", site.scratch),
            words.assign("RUN_TIME", "" if run_time is None else str(int(run_time * 1000))),
            words.assign("RETRIES", batch.on_failure.retries),
            words.assign("BACK_OFF", int(-(-batch.on_failure.back_off // 1))),
            words.assign("GRACE", f"{grace:.3f}"),
            words.assign("CAN_CONTINUE", int(checkpoint is not None)),
            words.assign("CHECKPOINT_SIGNAL", checkpoint.signal if checkpoint else "TERM"),
            words.array("CHECKPOINT_FILES", checkpoint.files if checkpoint else ()),
            "",
        )
    )


def _megabytes(count: int | None) -> int:
    return 0 if count is None else -(-count // (1 << 20))


def _shared(batch: Batch) -> Sequence[File]:
    kind = kind_of(batch)
    return kind.initialize.required_files if kind is not None else ()


def _task(batch: Batch, expansion: Expansion, index: int, cpus: int, numbers: Numbers) -> str:
    """One job as one line of assignments."""
    job = expansion.concrete(index, cpus)
    parts = [words.assign("index", index_text(index)), words.assign("name", job.name)]
    placed = {alias_of(file): numbers[file.path] for file in job.files}
    if placed:
        parts.append(words.array("puts", (word for each in placed.items() for word in each[::-1])))
    if batch.command is not None:
        parts += _tops(batch, placed)
    if job.env:
        parts.append(words.array("variables", map("=".join, job.env.items())))
    if not isinstance(job.run, File):
        parts.append(words.array("words", _words(job.run)))
    elif batch.python is not None:
        parts += _script(numbers[job.run.path], "run.py", str(cpus))
    else:
        parts += [
            words.assign("image", numbers[job.run.path]),
            words.array("arguments", (str(cpus),)),
        ]
        mounts = [
            word
            for mount in job.mounts
            for word in ((mount.path, mount.alias) if mount.alias else ("", mount.path))
        ]
        if mounts:
            parts.append(words.array("mounts", mounts))
    return " ".join(parts)


def _build_task(batch: Batch, expansion: Expansion, cpus: int, numbers: Numbers) -> str:
    parts = [words.assign("index", "build")]
    if batch.python is not None and batch.python.initialize.build_file is not None:
        parts += _script(numbers[batch.python.initialize.build_file.path], "build.py")
    elif batch.command is not None and batch.command.initialize.run is not None:
        parts += _tops(batch, ())
        run = expansion.line(batch.command.initialize.run, cpus)
        parts.append(words.array("words", _words(run)))
    return " ".join(parts) + "\n"


def _tops(batch: Batch, aliases: Mapping[str, str] | tuple[()]) -> Iterator[str]:
    """The inputs that a command also finds without `input/`."""
    names = {alias_of(file).partition("/")[0] for file in _shared(batch)}
    names.update(alias.partition("/")[0] for alias in aliases)
    if names:
        yield words.array("tops", sorted(names))


def _script(number: str, name: str, *arguments: str) -> list[str]:
    return [
        words.array("script", (number, name)),
        words.array("words", ("python3", f"./{name}", *arguments)),
    ]


def _words(run: Line) -> tuple[str, ...]:
    return ("/bin/sh", "-c", run) if isinstance(run, str) else run
