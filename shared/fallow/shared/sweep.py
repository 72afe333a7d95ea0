"""The jobs of a batch, one at a time: sweeps and placeholders -> names and concrete jobs.

Not the reading of files (`batchfile`), not what goes to a workstation (`jobspec`). Nothing is
expanded before it is asked for: a hundred thousand jobs cost little more than their sweep.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from fallow.shared.batch import (
    Apptainer,
    Batch,
    Command,
    File,
    Line,
    Python,
    Resources,
    Scalar,
    kind_of,
)
from fallow.shared.combinations import Combinations, within
from fallow.shared.placeholders import Template, fill, parse, quote

MANY_JOBS: Final = 100_000
"""More jobs than this are only submitted when their owner says so twice."""


class ConcreteJob(Struct, frozen=True):
    """One job with every placeholder filled in.

    `run` is a Python script (File) in the `python` kind, the image in the `apptainer` kind, else a
    command. `files` are its own inputs, in the order in which a later one of the same alias wins;
    `mounts` what a container sees besides.
    """

    name: str
    run: Line | File
    env: dict[str, str]
    files: tuple[File, ...]
    mounts: tuple[File, ...] = ()


class Expansion:
    """The jobs of a batch by their index from 0. Makes no checks: see `checks.check`."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._kind = kind_of(batch)
        self._combinations: Combinations | None = None
        self._name = _EMPTY
        if batch.command is not None and batch.command.sweep is not None:
            self._combinations = Combinations(batch.command.sweep)
            self._name = parse(batch.command.name or "")
        self._templates: dict[str, Template] = {}
        self._hashes: array[int] | None = None

    def __len__(self) -> int:
        if self._combinations is not None:
            return len(self._combinations)
        return len(self._kind.jobs) if self._kind is not None else 0

    def name(self, index: int) -> str:
        """The job's name; IndexError when there is no such job."""
        if self._combinations is None:
            assert self._kind is not None
            return self._kind.jobs[within(index, len(self))].name
        texts = self._combinations.texts(index)
        return fill(self._name, lambda name: str(index) if name == "index" else texts[name])

    def names(self) -> Iterator[str]:
        """Every job's name, by index."""
        return map(self.name, range(len(self)))

    def find(self, name: str) -> int | None:
        """The index of the job with this name, or None."""
        if self._hashes is None:
            self._hashes = array("q", map(hash, self.names()))
        wanted, start = hash(name), 0
        while True:
            try:
                start = self._hashes.index(wanted, start)
            except ValueError:
                return None
            if self.name(start) == name:
                return start
            start += 1

    def values(self, index: int) -> dict[str, Scalar]:
        """The job's sweep values by name; empty where there is no sweep."""
        return self._combinations.values(index) if self._combinations is not None else {}

    def columns(self) -> dict[str, Sequence[Scalar]]:
        """All the values of each name of the sweep; empty where there is no sweep."""
        return dict(self._combinations.columns()) if self._combinations is not None else {}

    def resources(self, index: int) -> Resources:
        """What the job needs: its own word where it has one, else the batch's."""
        command, general = self._batch.command, self._batch.resources
        if general.gpus is None and "gpu" in self._batch.meta.capabilities:
            general = replace(general, gpus=1)
        own = command.jobs[index].resources if command is not None and command.jobs else None
        if own is None:
            return general
        return Resources(
            cpus=own.cpus if own.cpus is not None else general.cpus,
            memory=own.memory if own.memory is not None else general.memory,
            gpus=own.gpus if own.gpus is not None else general.gpus,
            disk=own.disk if own.disk is not None else general.disk,
        )

    def concrete(self, index: int, cpus: int | None) -> ConcreteJob:
        """The job as it runs on so many processors; IndexError when there is no such job.

        None: that is not known yet, and `{cpus}` stays as it is.
        """
        files = self.files(index)
        kind = self._kind
        assert kind is not None
        if isinstance(kind, Python):
            return ConcreteJob(kind.jobs[index].name, kind.jobs[index].file, {}, files)
        if isinstance(kind, Apptainer):
            job, initialize = kind.jobs[index], kind.initialize
            mounts = (*initialize.required_mounts, *job.required_mounts)
            return ConcreteJob(job.name, initialize.sif, {}, files, mounts)
        run, env = kind.run, kind.env
        if kind.jobs:
            own = kind.jobs[index]
            run = own.run if own.run is not None else run
            env = {**env, **own.env}
        gpus = self.resources(index).gpus
        shown = "{cpus}" if cpus is None else str(cpus)
        texts = {**self._texts(index), "cpus": shown, "gpus": str(gpus or 0)}
        return ConcreteJob(
            texts["name"],
            self._line(run if run is not None else "", texts),
            {key: self._fill(value, texts.__getitem__) for key, value in env.items()},
            files,
        )

    def files(self, index: int) -> tuple[File, ...]:
        """The job's own inputs, of which a later one with the same alias wins."""
        within(index, len(self))
        kind = self._kind
        assert kind is not None
        if not isinstance(kind, Command):
            return kind.jobs[index].required_files
        files = kind.required_files
        if kind.jobs:
            files = (*files, *kind.jobs[index].required_files)
        if not any(map(is_template, files)):
            return files
        texts = self._texts(index)
        return tuple(self._file(file, texts) for file in files)

    def line(self, line: Line, cpus: int) -> Line:
        """A command of the whole batch (its build), where only `{cpus}` and `{gpus}` are known."""
        gpus = self._batch.resources.gpus
        return self._line(line, {"cpus": str(cpus), "gpus": str(gpus or 0)})

    def _texts(self, index: int) -> dict[str, str]:
        texts = self._combinations.texts(index) if self._combinations is not None else {}
        return {**texts, "index": str(index), "name": self.name(index)}

    def _line(self, line: Line, texts: dict[str, str]) -> Line:
        if isinstance(line, str):
            return self._fill(
                line, lambda name: texts[name] if name == "cpus" else quote(texts[name])
            )
        return tuple(self._fill(word, texts.__getitem__) for word in line)

    def _file(self, file: File, texts: dict[str, str]) -> File:
        if not is_template(file):
            return file
        alias = file.alias
        return File(
            self._fill(file.path, texts.__getitem__),
            self._fill(alias, texts.__getitem__) if alias is not None else None,
        )

    def _fill(self, text: str, value: Callable[[str], str]) -> str:
        if "{" not in text:
            return text
        template = self._templates.get(text)
        if template is None:
            template = parse(text)
            if self._combinations is not None:  # else texts are as many as jobs
                self._templates[text] = template
        return fill(template, value)


_EMPTY: Final = Template(("",), (), ())


def is_template(file: File) -> bool:
    """Whether the input may differ from job to job."""
    return "{" in file.path or (file.alias is not None and "{" in file.alias)
