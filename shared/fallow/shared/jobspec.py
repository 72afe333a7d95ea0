"""From a batch and what its paths hold to the JobSpec that a workstation gets.

Not the reading of the files (`inputs`), not the placing of them (`work.staging`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from fallow.shared.aliases import Place, alias_of
from fallow.shared.batch import Apptainer, Batch, Command, File, Kind, Line, Python, kind_of
from fallow.shared.errors import BatchError
from fallow.shared.ids import relative_path_problem
from fallow.shared.messages import (
    Action,
    Argv,
    BuildSpec,
    Container,
    Content,
    Input,
    JobSpec,
    Mount,
    Script,
    Shell,
)
from fallow.shared.sweep import ConcreteJob, Expansion, is_template

_SINGLE: Mapping[str | int, str] = {
    "file": "a Python script",
    "build_file": "a Python script",
    "sif": "an image file",
}

_LONGEST_LIST = 56 << 20
"""Bytes; a message has 64 MiB (`transport.settings`), and a job more to say than its inputs."""

Contents: TypeAlias = Mapping[str, Sequence[Content]]
"""What is behind each input path of a batch, by the path as the batch has it."""


class Specifications:
    """The JobSpecs of one batch; what all of them share is made once.

    KeyError when `contents` lacks a path: see `check_contents`.
    """

    def __init__(self, batch: Batch, expansion: Expansion, contents: Contents) -> None:
        self._batch = batch
        self._expansion = expansion
        self._contents = contents
        self._shared = self._inputs(_initial(batch))
        self._build: Script | Line | None = None
        if batch.command is not None:
            self._build = batch.command.initialize.run
        elif batch.python is not None and batch.python.initialize.build_file is not None:
            self._build = self._script("build.py", batch.python.initialize.build_file)
        # Over the command as written: another number of processors is the same build.
        self._key = _digest((self._build, self._shared))

    def job(self, index: int, owner: str, cpus: int, memory: int | None) -> JobSpec:
        """The job of this index for a slot of so many processors and bytes (None: all)."""
        concrete = self._expansion.concrete(index, cpus)
        resources = self._expansion.resources(index)
        return JobSpec(
            namespace=self._batch.meta.namespace,
            batch=self._batch.meta.batch_name,
            job=concrete.name,
            owner=owner,
            action=self._action(concrete, cpus),
            cpus=cpus,
            memory=memory,
            build=self._build_spec(cpus),
            env=concrete.env,
            shared=self._shared,
            inputs=self._inputs(concrete.files),
            network=self._batch.network,
            gpus=resources.gpus or 0,
            disk=resources.disk,
            run_time=self._batch.limits.run_time,
            on_owner_return=self._batch.on_owner_return,
            checkpoint=self._batch.checkpoint,
        )

    def _action(self, job: ConcreteJob, cpus: int) -> Action:
        if not isinstance(job.run, File):
            return _act(job.run)
        if self._batch.apptainer is None:
            return self._script("run.py", job.run, str(cpus))
        (image,) = self._contents[job.run.path]
        mounts = tuple(Mount(*_mounted(mount)) for mount in job.mounts)
        return Container(image.hash, image.size, (str(cpus),), mounts)

    def _build_spec(self, cpus: int) -> BuildSpec | None:
        if self._build is None:
            return None
        if isinstance(self._build, Script):
            return BuildSpec(self._key, self._build)
        return BuildSpec(self._key, _act(self._expansion.line(self._build, cpus)))

    def _inputs(self, files: Sequence[File]) -> tuple[Input, ...]:
        found: dict[str, tuple[Input, ...]] = {}
        for file in files:
            alias = alias_of(file)
            found[alias] = tuple(
                Input(
                    f"{alias}/{content.below}" if content.below else alias,
                    content.hash,
                    content.size,
                    content.executable,
                )
                for content in self._contents[file.path]
            )
        return tuple(each for inputs in found.values() for each in inputs)

    def _script(self, name: str, file: File, *args: str) -> Script:
        (content,) = self._contents[file.path]
        return Script(name, content.hash, content.size, args)


def specify(
    batch: Batch,
    expansion: Expansion,
    contents: Contents,
    index: int,
    owner: str,
    cpus: int,
    memory: int | None,
) -> JobSpec:
    """One job's JobSpec; for many jobs of a batch keep its Specifications instead."""
    return Specifications(batch, expansion, contents).job(index, owner, cpus, memory)


def uses(batch: Batch, expansion: Expansion) -> Iterator[tuple[Place, File]]:
    """Every input of the batch and of each job, with its place in the batch."""
    match kind_of(batch):
        case Python() as python:
            yield from _uses_of_python(python)
        case Apptainer() as apptainer:
            yield ("apptainer", "initialize", "sif"), apptainer.initialize.sif
            yield from _each(("apptainer", "initialize"), apptainer.initialize.required_files)
            for index, job in enumerate(apptainer.jobs):
                yield from _each(("apptainer", "jobs", index), job.required_files)
        case Command() as command:
            yield from _uses_of_command(command, expansion)
        case None:
            pass


def _uses_of_python(python: Python) -> Iterator[tuple[Place, File]]:
    if python.initialize.build_file is not None:
        yield ("python", "initialize", "build_file"), python.initialize.build_file
    yield from _each(("python", "initialize"), python.initialize.required_files)
    for index, job in enumerate(python.jobs):
        yield ("python", "jobs", index, "file"), job.file
        yield from _each(("python", "jobs", index), job.required_files)


def _uses_of_command(command: Command, expansion: Expansion) -> Iterator[tuple[Place, File]]:
    yield from _each(("command", "initialize"), command.initialize.required_files)
    common = len(command.required_files)
    varying = any(map(is_template, command.required_files))
    if not varying:
        yield from _each(("command",), command.required_files)
    if varying or command.jobs:
        for index in range(len(expansion)):
            files = expansion.files(index)
            if varying:
                yield from _each(("command",), files[:common])
            yield from _each(("command", "jobs", index), files[common:])


def paths(batch: Batch, expansion: Expansion) -> dict[str, Place]:
    """Every distinct input path, with the place in the batch where it first stands."""
    found: dict[str, Place] = {}
    for place, file in uses(batch, expansion):
        found.setdefault(file.path, place)
    return found


def check_contents(batch: Batch, expansion: Expansion, contents: Contents) -> None:
    """Refuse contents that lack a path, or would put two things in one place; BatchError."""
    for place, file in uses(batch, expansion):
        if file.path not in contents:
            raise BatchError(f"What {file.path!r} holds was not sent", path=place)
        wanted = _SINGLE.get(place[-1])
        if wanted is not None and not _is_file(contents[file.path]):
            raise BatchError(f"{file.path!r} is a folder; {wanted} is needed here", path=place)
    places = paths(batch, expansion)
    for path, content in contents.items():
        _check_content(path, content, places.get(path, ()))
    shared = _initial(batch)
    kept = {alias_of(file): file.path for file in shared}
    for index in range(len(expansion)):
        for number, file in enumerate(expansion.files(index)):
            other = kept.get(alias_of(file), file.path)
            if other != file.path:
                place = _place_of_own(batch, index, number)
                _check_cover(contents, other, file, expansion.name(index), place)


def check_sendable(batch: Batch, expansion: Expansion, contents: Contents) -> None:
    """Refuse a job with so many inputs that the list of them is more than one message; BatchError.

    `contents` have passed `check_contents`.
    """
    bytes_of = {path: sum(map(_listed, content)) for path, content in contents.items()}
    if sum(bytes_of.values()) <= _LONGEST_LIST // 2:
        return
    shared = sum(_bytes_as_input(file, contents, bytes_of) for file in _initial(batch))
    for index in range(len(expansion)):
        files = expansion.files(index)
        found = shared + sum(_bytes_as_input(file, contents, bytes_of) for file in files)
        if found > _LONGEST_LIST:
            count = sum(len(contents[file.path]) for file in (*_initial(batch), *files))
            raise BatchError(
                f"Job {expansion.name(index)!r} has {count:,} input files, which are too many",
                f"Their list alone is {found >> 20} MiB; {_LONGEST_LIST >> 20} MiB can be sent.",
                "pack them into one file, such as a tar, and unpack it in the job",
                path=(_section(batch),),
            )


def _place_of_own(batch: Batch, index: int, number: int) -> Place:
    """Where the input of this number among a job's own stands."""
    above: Place = (_section(batch), "jobs", index)
    if batch.command is not None:
        common = len(batch.command.required_files)
        if number < common:
            above = ("command",)
        else:
            number -= common
    return (*above, "required_files", number)


def _section(batch: Batch) -> str:
    if batch.python is not None:
        return "python"
    return "apptainer" if batch.apptainer is not None else "command"


def _bytes_as_input(file: File, contents: Contents, bytes_of: Mapping[str, int]) -> int:
    return bytes_of[file.path] + len(contents[file.path]) * len(alias_of(file).encode())


def _listed(content: Content) -> int:
    """About the bytes that one input is in a message: its hash, its keys and its place."""
    return 128 + len(content.below.encode("utf-8", "surrogateescape"))


def _initial(batch: Batch) -> tuple[File, ...]:
    kind: Kind | None = kind_of(batch)
    return kind.initialize.required_files if kind is not None else ()


def _each(above: Place, files: Sequence[File]) -> Iterator[tuple[Place, File]]:
    for number, file in enumerate(files):
        yield (*above, "required_files", number), file


def _is_file(content: Sequence[Content]) -> bool:
    return len(content) == 1 and not content[0].below


def _check_content(path: str, content: Sequence[Content], place: Place) -> None:
    if _is_file(content):
        return
    places: set[str] = set()
    for each in content:
        problem = relative_path_problem(each.below)
        if problem:
            raise BatchError(
                f"{path!r} holds a file whose name {problem}", f"It is {each.below!r}.", path=place
            )
        if each.below in places:
            raise BatchError(f"{path!r} holds {each.below!r} twice", path=place)
        places.add(each.below)
    for below in places:
        _refuse_nested(below, places, path, place)


def _check_cover(contents: Contents, under: str, over: File, job: str, place: Place) -> None:
    """A job's folder may replace files of the batch's folder, but never a file by a folder."""
    both = {each.below for each in (*contents[under], *contents[over.path])}
    if "" in both and both != {""}:
        raise BatchError(
            f"Job {job!r} has {over.path!r} in the place of {under!r}",
            "One of them is a folder, the other a file.",
            "give one of them another alias",
            path=place,
        )
    for below in both:
        _refuse_nested(below, both, over.path, place)


def _refuse_nested(below: str, places: set[str], path: str, place: Place) -> None:
    folder = below.rpartition("/")[0]
    while folder:
        if folder in places:
            raise BatchError(
                f"{folder!r} in {path!r} would be a file and a folder",
                f"Below it is {below!r}.",
                path=place,
            )
        folder = folder.rpartition("/")[0]


def _mounted(mount: File) -> tuple[str, str]:
    """Where it is on the workstation (nowhere yet: a folder is made), and where it is seen."""
    return (mount.path, mount.alias) if mount.alias is not None else ("", mount.path)


def _act(line: Line) -> Action:
    return Shell(line) if isinstance(line, str) else Argv(line)


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()
