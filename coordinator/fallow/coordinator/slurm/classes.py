"""The jobs of a batch in classes of equal resources, and the options of sbatch for each class.

Not the text of the scripts (`script`) nor how an option is written (`directives`). One class is
one script; its jobs are the tasks of one array, or of several where it would be too long.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from fallow.coordinator.slurm.directives import options, seconds_of, time_of
from fallow.coordinator.slurm.site import Need, Site
from fallow.shared.aliases import Place
from fallow.shared.batch import Batch, Resources, Scalar, kind_of
from fallow.shared.errors import BatchError, FallowError
from fallow.shared.sweep import Expansion
from fallow.shared.units import parse_size

_MEGABYTE = 1 << 20
_WARNING = 15  # seconds, as SLURM's clock for signals is a coarse one
_STAGING = 300  # seconds for inputs and outputs, which are no running time


class JobClass(Struct, frozen=True, kw_only=True):
    """Jobs that ask for the same. `options` are of sbatch, None: without a value.

    `time` is the limit in seconds that is asked for, where one is.
    """

    number: int
    cpus: int
    need: Need
    options: dict[str, str | None]
    time: int | None
    own_output: bool
    jobs: tuple[int, ...]


class Classes(Struct, frozen=True):
    """All classes, and the one of the build (without jobs), which is None where there is none."""

    jobs: tuple[JobClass, ...]
    build: JobClass | None
    warnings: tuple[str, ...]


def classify(
    batch: Batch,
    expansion: Expansion,
    site: Site,
    *,
    with_build: bool,
    jobs: Sequence[int] | None = None,
) -> Classes:
    """Put these jobs (None: all) into classes; BatchError for options that cannot be."""
    warnings: list[str] = []
    constraint, partition = _capabilities(batch, site)
    general = {**site.slurm, **batch.slurm}
    options(site.slurm, ("slurm",))
    options(batch.slurm, ("slurm",))
    groups: dict[tuple[object, ...], list[int]] = {}
    asked: dict[tuple[object, ...], tuple[Resources, Mapping[str, Scalar], Place]] = {}
    for index in range(len(expansion)) if jobs is None else jobs:
        resources, own = expansion.resources(index), _own_slurm(batch, index)
        key: tuple[object, ...] = (resources, tuple(sorted(own.items())) if own else ())
        if key not in groups:
            groups[key] = []
            asked[key] = resources, own, _place(batch, index)
        groups[key].append(index)
    unnamed = sum(
        len(groups[key])
        for key, (resources, own, _) in asked.items()
        if resources.cpus is None and "cpus_per_task" not in {**general, **own}
    )
    if unnamed:
        warnings.append(
            f"{unnamed:,} job{'' if unnamed == 1 else 's'} name no number of CPUs and get"
            f" {site.cpus}; name it with `resources: {{cpus: N}}`"
        )
    made = []
    for number, (key, members) in enumerate(groups.items(), start=1):
        resources, own, place = asked[key]
        asks = {**general, **own}
        each = _make(batch, site, number, resources, asks, place, constraint, partition)
        made.append(replace(each, jobs=tuple(members)))
    build = None
    if with_build:
        build = _make(
            batch, site, 0, batch.resources, general, ("slurm",), constraint, partition, build=True
        )
    return Classes(tuple(made), build, tuple(warnings))


def _make(
    batch: Batch,
    site: Site,
    number: int,
    resources: Resources,
    slurm: Mapping[str, Scalar],
    place: Place,
    constraint: str,
    partition: str | None,
    build: bool = False,
) -> JobClass:
    own = options(slurm, place)
    cpus = resources.cpus if resources.cpus is not None else site.cpus
    if own.get("cpus-per-task") is not None:
        cpus = _number(own["cpus-per-task"], (*place, "cpus_per_task"))
    memory = resources.memory
    if memory is None and site.memory is not None:
        memory = parse_size(site.memory)
    gpus = 0 if build else resources.gpus or 0
    partition = own.get("partition") or partition or site.partition
    found: dict[str, str | None] = {
        "job-name": f"{batch.meta.namespace}:{batch.meta.batch_name}",
        "nodes": "1",
        "ntasks": "1",
        "cpus-per-task": str(cpus),
    }
    if memory is not None and not {"mem", "mem-per-cpu", "mem-per-gpu"} & own.keys():
        found["mem"] = f"{-(-memory // _MEGABYTE)}M"
    if gpus and not {"gres", "gpus", "gpus-per-node", "gpus-per-task"} & own.keys():
        option, _, value = site.gpu.removeprefix("--").partition("=")
        found[option] = value.replace("{count}", str(gpus))
    time = seconds_of(own["time"] or "") if "time" in own else None if build else _time(batch)
    if time is None and "time" not in own and site.time is not None:
        time = seconds_of(site.time)
    if time is not None:
        found["time"] = time_of(time)
    if partition is not None:
        found["partition"] = partition
    if site.account is not None:
        found["account"] = site.account
    if constraint:
        found["constraint"] = constraint
    if batch.priority == "low":
        found["nice"] = "1000"
    if batch.checkpoint is not None and not build:
        found["signal"] = f"B:USR1@{int(-(-batch.checkpoint.grace // 1)) + _WARNING}"
    again = batch.checkpoint is not None or batch.on_lost.then == "rerun"
    found["requeue" if again else "no-requeue"] = None
    found["open-mode"] = "append"
    found["output"] = "logs/build_%j.txt" if build else f"logs/class{number}_%A_%a.txt"
    if "constraint" in own and constraint:
        own["constraint"] = f"{constraint}&{own['constraint']}"
    own_output = "output" in own
    found.update(own)
    need = Need(
        cpus=cpus * (_number(own["ntasks"], (*place, "ntasks")) if own.get("ntasks") else 1)
        if found["nodes"] == "1"
        else cpus,
        memory=memory if "mem" in found and "mem" not in own else None,
        gpus=gpus,
        features=tuple(each for each in constraint.split("&") if each),
        partition=partition,
        time=time,
    )
    return JobClass(
        number=number,
        cpus=cpus,
        need=need,
        options=found,
        time=time,
        own_output=own_output and not build,
        jobs=(),
    )


def _time(batch: Batch) -> int | None:
    """Seconds for all that may happen within one task; None where the batch names no limit."""
    run_time = batch.limits.run_time
    if run_time is None:
        return None
    retries, pause = batch.on_failure.retries, batch.on_failure.back_off
    grace = batch.checkpoint.grace if batch.checkpoint is not None else 0.0
    pauses = sum(min(pause * 2 ** min(each, 20), 3600.0) for each in range(retries))
    return int(run_time * (retries + 1) + pauses + grace + _STAGING)


def _number(text: str | None, place: Place) -> int:
    if text is None or not text.isascii() or not text.isdigit() or int(text) < 1:
        raise BatchError(f"{text!r} is not a number of at least 1", path=place)
    return int(text)


def _own_slurm(batch: Batch, index: int) -> Mapping[str, Scalar]:
    kind = kind_of(batch)
    return kind.jobs[index].slurm if kind is not None and kind.jobs else {}


def _place(batch: Batch, index: int) -> Place:
    for name in ("python", "apptainer", "command"):
        kind = getattr(batch, name)
        if kind is not None and kind.jobs and kind.jobs[index].slurm:
            return (name, "jobs", index, "slurm")
    return ("slurm",)


def _capabilities(batch: Batch, site: Site) -> tuple[str, str | None]:
    """The constraint and the partition that the batch's capabilities mean on this cluster."""
    constraints: list[str] = []
    partition = None
    for word in batch.meta.capabilities:
        meaning = site.capabilities.get(word)
        if meaning is None:
            # Who has no site file knows the cluster by heart.
            if word == "apptainer" or (not site.capabilities and not site.name):
                continue
            raise FallowError(
                f"The site file does not say what the capability {word!r} is on this cluster",
                hint=f'add below [capabilities]:  "{word}" = {{}}  or with a constraint or modules',
            )
        if meaning.constraint:
            constraints.append(meaning.constraint)
        partition = meaning.partition or partition
    return "&".join(constraints), partition


def modules_of(batch: Batch, site: Site) -> tuple[str, ...]:
    """The modules that jobs load: the site's, then those of the batch's capabilities."""
    found = dict.fromkeys(site.modules)
    for word in batch.meta.capabilities:
        if word in site.capabilities:
            found.update(dict.fromkeys(site.capabilities[word].modules))
    return tuple(found)
