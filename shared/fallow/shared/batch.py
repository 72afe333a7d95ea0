"""The batch as values: what a batch file says, in the same words; also the Python API.

Not the reading of YAML (`batchfile`) nor the making of concrete jobs (`sweep`). Sizes are int
bytes, durations float seconds here; files write them as "4GiB" and "10m".
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from os import PathLike

    from fallow.coordinator.python import Results, SubmittedBatch

Scalar: TypeAlias = str | int | float | bool
Line: TypeAlias = str | tuple[str, ...]
"""A command: one string is a shell line, several are a program and its arguments."""


class File(Struct, frozen=True):
    """An input: where it is for the submitter, and the name it gets below `input/`."""

    path: str
    alias: str | None = None


class Meta(Struct, frozen=True, kw_only=True):
    """`matrix`: who is told when the batch ends, "@user:server"; one more entry of `notify`."""

    namespace: str
    batch_name: str
    capabilities: tuple[str, ...] = ()
    matrix: str | None = None


class Resources(Struct, frozen=True, kw_only=True):
    """What each job needs; None means all of the workstation's (of `gpus`: none, `disk`: no wish).

    `memory` and `disk` are bytes. A job's own word goes before the batch's, key by key.
    """

    cpus: int | None = None
    memory: int | None = None
    gpus: int | None = None
    disk: int | None = None


class Limits(Struct, frozen=True, kw_only=True):
    """`run_time` is running seconds (pauses do not count); over it a job fails. None: no limit."""

    run_time: float | None = None


class OnFailure(Struct, frozen=True, kw_only=True):
    """How often a failed job is tried again, and the seconds before the first (then doubled)."""

    retries: int = 0
    back_off: float = 30.0


class OnOwnerReturn(Struct, frozen=True, kw_only=True):
    """What becomes of a running job when somebody sits down.

    `do` None: evict a job that has a GPU and a checkpoint, freeze any other. A job frozen for more
    than `max_pause` seconds (None: for ever) keeps waiting or moves elsewhere; `then` None: move
    where there is a checkpoint, else wait.
    """

    do: Literal["freeze", "evict"] | None = None
    max_pause: float | None = None
    then: Literal["wait", "move"] | None = None


class Checkpoint(Struct, frozen=True, kw_only=True):
    """How a job is told to save itself: a signal, then so many seconds of grace.

    `files` are places in its work folder (a folder ends with a slash) that are saved on eviction
    and are back in place on the next attempt.
    """

    signal: str = "TERM"
    grace: float = 60.0
    files: tuple[str, ...] = ()


class OnLost(Struct, frozen=True, kw_only=True):
    """After so many silent seconds of its workstation another attempt may start, or never."""

    after: float = 1800.0
    then: Literal["rerun", "wait"] = "rerun"


Priority: TypeAlias = Literal["low", "normal", "high"]


class PythonInitialize(Struct, frozen=True, kw_only=True):
    """Once per workstation: a script that builds, and the inputs of the build and of every job."""

    build_file: File | None = None
    required_files: tuple[File, ...] = ()


class PythonJob(Struct, frozen=True, kw_only=True):
    """One script, run as `python3 run.py <cpus>`, with inputs of its own."""

    name: str
    file: File
    required_files: tuple[File, ...] = ()
    slurm: dict[str, Scalar] = {}


class Python(Struct, frozen=True, kw_only=True):
    """Jobs that are Python scripts."""

    initialize: PythonInitialize = PythonInitialize()
    jobs: tuple[PythonJob, ...] = ()


class ApptainerInitialize(Struct, frozen=True, kw_only=True):
    """`sif` is the image; each of `required_mounts` is an empty folder to write to inside it.

    Its `path` is where the container sees that folder. With an `alias`, the `path` is a folder of
    the workstation that its owner lets jobs read, and the `alias` is where the container sees it.
    """

    sif: File
    required_files: tuple[File, ...] = ()
    required_mounts: tuple[File, ...] = ()


class ApptainerJob(Struct, frozen=True, kw_only=True):
    """One run of the image, with inputs and mounts of its own."""

    name: str
    required_files: tuple[File, ...] = ()
    required_mounts: tuple[File, ...] = ()
    slurm: dict[str, Scalar] = {}


class Apptainer(Struct, frozen=True, kw_only=True):
    """Jobs that run in a container image."""

    initialize: ApptainerInitialize
    jobs: tuple[ApptainerJob, ...] = ()


class CommandInitialize(Struct, frozen=True, kw_only=True):
    """Once per workstation: what builds, and the inputs of the build and of every job."""

    run: Line | None = None
    required_files: tuple[File, ...] = ()


class CommandJob(Struct, frozen=True, kw_only=True):
    """One job of a list; what it does not say itself is that of `Command`."""

    name: str
    run: Line | None = None
    env: dict[str, str] = {}
    required_files: tuple[File, ...] = ()
    resources: Resources | None = None
    slurm: dict[str, Scalar] = {}


class Range(Struct, frozen=True, kw_only=True):
    """Numbers from `start` up to and including `to`; in files `from` for start.

    Either every `step`, or `count` of them: evenly spaced, or each the same multiple of the one
    before it (`scale="log"`).
    """

    start: int | float
    to: int | float
    step: int | float | None = None
    count: int | None = None
    scale: Literal["linear", "log"] = "linear"


class Sweep(Struct, frozen=True, kw_only=True):
    """All combinations of `values` in the order they stand, the last one fastest.

    `zip` groups names that run together, `exclude` drops combinations that match all of a row.
    """

    values: dict[str, tuple[Scalar, ...] | Range]
    zip: tuple[tuple[str, ...], ...] = ()
    exclude: tuple[dict[str, Scalar], ...] = ()


def sweep(
    *,
    zip: Iterable[Iterable[str]] = (),
    exclude: Iterable[Mapping[str, Scalar]] = (),
    **values: Any,
) -> Sweep:
    """All combinations of values by name: lists, arrays, Python ranges, a `Range`, or one value.

    >>> sweep(re=[100, 200], grid=range(32, 65, 32)).values
    {'re': (100, 200), 'grid': (32, 64)}
    """
    return Sweep(
        values={name: _values(each) for name, each in values.items()},
        zip=tuple(map(tuple, zip)),
        exclude=tuple(map(dict, exclude)),
    )


def _values(given: Any) -> tuple[Scalar, ...] | Range:
    if isinstance(given, Range):
        return given
    # An array has its numbers as those of Python.
    plain = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(plain, str | int | float):
        return (plain,)
    return tuple(each.item() if hasattr(each, "item") else each for each in plain)


class Command(Struct, frozen=True, kw_only=True):
    """Either `sweep` and `name`, or `jobs`; `run`, `env`, `required_files` are every job's."""

    initialize: CommandInitialize = CommandInitialize()
    run: Line | None = None
    env: dict[str, str] = {}
    required_files: tuple[File, ...] = ()
    sweep: Sweep | None = None
    name: str | None = None
    jobs: tuple[CommandJob, ...] = ()


class Batch(Struct, frozen=True, kw_only=True):
    """One batch: exactly one of `python`, `apptainer` and `command` is there.

    `network`: whether its build and its jobs may use it. `after` are references of batches that
    must have succeeded first. `notify` tells people of its end ("desktop", "matrix:@user:server",
    "https://…"). `slurm` is for an export only; a job's own `slurm` goes before it.
    """

    meta: Meta
    python: Python | None = None
    apptainer: Apptainer | None = None
    command: Command | None = None
    resources: Resources = Resources()
    limits: Limits = Limits()
    on_failure: OnFailure = OnFailure()
    on_owner_return: OnOwnerReturn = OnOwnerReturn()
    checkpoint: Checkpoint | None = None
    on_lost: OnLost = OnLost()
    priority: Priority = "normal"
    after: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    slurm: dict[str, Scalar] = {}
    network: bool = True

    @classmethod
    def load(cls, path: "str | PathLike[str]") -> "Batch":
        """Read and check a batch file; `BatchError` names file, line and what to do.

        Its relative paths belong to the file's folder: give that to `run` or `submit`.
        """
        from fallow.shared import batchtext

        return batchtext.load(path)

    @classmethod
    def loads(cls, text: str) -> "Batch":
        """Read and check the text of a batch file; `BatchError` as `load`."""
        from fallow.shared import batchtext

        return batchtext.loads(text)

    def to_yaml(self) -> str:
        """The text of a batch file that says the same; `loads` gives an equal batch."""
        from fallow.shared import batchtext

        return batchtext.dump(self)

    def check(self) -> "Batch":
        """The batch with every value as a file would give it; `BatchError` says what is wrong.

        Whether its input files are there is seen by `run` and `submit`.
        """
        from fallow.shared import batchtext

        return batchtext.check_made(self)[0]

    def run(
        self,
        output: "str | PathLike[str]" = ".",
        *,
        jobs: int | None = None,
        folder: "str | PathLike[str]" = ".",
        read_only: "Iterable[str | PathLike[str]]" = (),
        progress: bool = True,
    ) -> "Results":
        """Run it on this computer, as `coordinator run` does; results go below `output`.

        `jobs` run side by side (None: as many as fit). Relative input paths belong to `folder`.
        `read_only` are folders that jobs may read besides the system, such as a conda environment.
        What has succeeded before and is unchanged is not run again. Jobs that fail are no error:
        they show in the results. `FallowError` where this computer cannot run it.
        """
        from fallow.coordinator import python

        return python.run(
            self, output, jobs=jobs, folder=folder, read_only=read_only, progress=progress
        )

    def submit(
        self,
        coordinator: "str | PathLike[str] | None" = None,
        *,
        folder: "str | PathLike[str]" = ".",
        progress: bool = True,
    ) -> "SubmittedBatch":
        """Check it, send what it needs and hand it in; `wait` and `results` are on what it returns.

        `coordinator` None: as on the command line. Relative input paths belong to `folder`.
        `BatchError` for a bad batch, `Refused` for a name that is taken, `Unreachable`.
        """
        from fallow.coordinator import python

        return python.submit(self, coordinator, folder=folder, progress=progress)

    def submitted(self, coordinator: "str | PathLike[str] | None" = None) -> "SubmittedBatch":
        """The batch of this name that was handed in before, by another program perhaps.

        `FallowError` when the coordinator has none.
        """
        from fallow.coordinator import python

        return python.submitted(self, coordinator)


Kind: TypeAlias = Python | Apptainer | Command


def kind_of(batch: Batch) -> Kind | None:
    """The section that says what the batch's jobs are; None where there is none."""
    return batch.python or batch.apptainer or batch.command


def capabilities_of(batch: Batch) -> tuple[str, ...]:
    """What a workstation must have for its jobs: what it asks for, and what its kind does."""
    words = batch.meta.capabilities
    if batch.apptainer is None or "apptainer" in words:
        return words
    return (*words, "apptainer")
