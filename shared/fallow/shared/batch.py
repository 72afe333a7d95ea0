"""The batch as values: what a batch file says, in the same words; also the Python API.

Not the reading of YAML (`batchfile`) nor the making of concrete jobs (`sweep`). Sizes are int
bytes, durations float seconds here; files write them as "4GiB" and "10m".
"""

from typing import TypeAlias

from msgspec import Struct

Scalar: TypeAlias = str | int | float | bool
Line: TypeAlias = str | tuple[str, ...]
"""A command: one string is a shell line, several are a program and its arguments."""


class File(Struct, frozen=True):
    """An input: where it is for the submitter, and the name it gets below `input/`."""

    path: str
    alias: str | None = None


class Meta(Struct, frozen=True, kw_only=True):
    namespace: str
    batch_name: str
    capabilities: tuple[str, ...] = ()


class Resources(Struct, frozen=True, kw_only=True):
    """What each job needs; None means all of the workstation's."""

    cpus: int | None = None
    memory: int | None = None


class PythonInitialize(Struct, frozen=True, kw_only=True):
    build_file: File | None = None
    required_files: tuple[File, ...] = ()


class PythonJob(Struct, frozen=True, kw_only=True):
    name: str
    file: File
    required_files: tuple[File, ...] = ()


class Python(Struct, frozen=True, kw_only=True):
    initialize: PythonInitialize = PythonInitialize()
    jobs: tuple[PythonJob, ...] = ()


class CommandInitialize(Struct, frozen=True, kw_only=True):
    run: Line | None = None
    required_files: tuple[File, ...] = ()


class CommandJob(Struct, frozen=True, kw_only=True):
    name: str
    run: Line | None = None
    env: dict[str, str] = {}
    required_files: tuple[File, ...] = ()
    resources: Resources | None = None


class Range(Struct, frozen=True, kw_only=True):
    """Numbers `start`, `start`+`step`, … up to and including `to`; in files `from` for start."""

    start: int | float
    to: int | float
    step: int | float = 1


class Sweep(Struct, frozen=True, kw_only=True):
    """All combinations of `values` in the order they stand, the last one fastest.

    `zip` groups names that run together, `exclude` drops combinations that match all of a row.
    """

    values: dict[str, tuple[Scalar, ...] | Range]
    zip: tuple[tuple[str, ...], ...] = ()
    exclude: tuple[dict[str, Scalar], ...] = ()


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
    """One batch: exactly one of `python` and `command` is there.

    `network`: whether its build and its jobs may use it.
    """

    meta: Meta
    python: Python | None = None
    command: Command | None = None
    resources: Resources = Resources()
    network: bool = True
