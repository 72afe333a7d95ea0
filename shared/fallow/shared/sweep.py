"""The jobs of a batch, one at a time: sweeps and placeholders -> names and concrete jobs.

Not the reading of files (`batchfile`), not what goes to a workstation (`jobspec`). Nothing is
expanded before it is asked for: a hundred thousand jobs cost little more than their sweep.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from itertools import product
from math import isfinite, lcm, prod
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
    Range,
    Resources,
    Scalar,
    Sweep,
    kind_of,
)
from fallow.shared.errors import BatchError
from fallow.shared.placeholders import Template, fill, parse, quote, show

MANY_JOBS: Final = 100_000
"""More jobs than this are only submitted when their owner says so twice."""
MOST_JOBS: Final = 1_000_000
"""More jobs than this are refused."""

_SWEEP = ("command", "sweep")


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
            return self._kind.jobs[_within(index, len(self))].name
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
        _within(index, len(self))
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


class Combinations:
    """The combinations of a sweep by index, the last name fastest; BatchError for a bad sweep."""

    def __init__(self, sweep: Sweep) -> None:
        columns = {name: _column(name, values) for name, values in sweep.values.items()}
        self._axes = _axes(sweep, columns)
        sizes = [len(axis[0][1]) for axis in self._axes]
        self._strides = [prod(sizes[place + 1 :]) for place in range(len(sizes))]
        self._sizes = sizes
        total = prod(sizes)
        if total > MOST_JOBS:
            raise BatchError(
                f"The sweep has {_count(total)} combinations; {MOST_JOBS:,} are allowed",
                hint="split it into several batches",
                path=_SWEEP,
            )
        self._kept = self._exclude(sweep, total) if sweep.exclude else range(total)

    def __len__(self) -> int:
        return len(self._kept)

    def values(self, index: int) -> dict[str, Scalar]:
        """The values of one combination by name; IndexError when there is no such combination."""
        at = self._kept[_within(index, len(self._kept))]
        found: dict[str, Scalar] = {}
        for axis, stride, size in zip(self._axes, self._strides, self._sizes, strict=True):
            place = at // stride % size
            for name, column in axis:
                found[name] = column[place]
        return found

    def texts(self, index: int) -> dict[str, str]:
        """The same as texts."""
        return {name: show(value) for name, value in self.values(index).items()}

    def columns(self) -> Iterator[tuple[str, Sequence[Scalar]]]:
        """Each name with all its values."""
        for axis in self._axes:
            yield from axis

    def _exclude(self, sweep: Sweep, total: int) -> "array[int]":
        dropped = bytearray(total)
        names = [name for name, _ in self.columns()]
        for row, wanted in enumerate(sweep.exclude):
            path = (*_SWEEP, "exclude", row)
            if not wanted:
                raise BatchError("This row would exclude everything", path=path)
            for name in wanted:
                if name not in names:
                    raise BatchError(
                        f"{name!r} is not a name of this sweep",
                        hint=f"its names are {', '.join(names)}",
                        path=(*path, name),
                    )
            matching = []
            for axis in self._axes:
                places: Sequence[int] = range(len(axis[0][1]))
                for name, column in axis:
                    if name not in wanted:
                        continue
                    same = [place for place in places if _same(column[place], wanted[name])]
                    if not same and not any(_same(each, wanted[name]) for each in column):
                        raise BatchError(
                            f"{name} never is {show(wanted[name])}, so nothing can be excluded",
                            path=(*path, name),
                        )
                    places = same
                matching.append(places)
            for combination in product(*matching):
                at = sum(
                    place * stride for place, stride in zip(combination, self._strides, strict=True)
                )
                dropped[at] = 1
        kept = array("L", (at for at in range(total) if not dropped[at]))
        if not kept:
            raise BatchError("Every combination is excluded", path=(*_SWEEP, "exclude"))
        return kept


class Steps(Sequence[Scalar]):
    """Evenly spaced numbers, each the float nearest to its decimal: 0.3, never 0.1 + 0.2."""

    def __init__(self, numerators: range, denominator: int) -> None:
        self._numerators = numerators
        self._denominator = denominator

    def __len__(self) -> int:
        return len(self._numerators)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return Steps(self._numerators[index], self._denominator)
        return self._numerators[index] / self._denominator


_EMPTY: Final = Template(("",), (), ())


def is_template(file: File) -> bool:
    """Whether the input may differ from job to job."""
    return "{" in file.path or (file.alias is not None and "{" in file.alias)


def _count(number: int) -> str:
    # Python refuses to print very long numbers, and nobody reads them.
    return f"{number:,}" if number < 10**12 else f"more than {10**12:,}"


def _same(one: Scalar, other: Scalar) -> bool:
    # To Python true is 1.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _within(index: int, size: int) -> int:
    if not 0 <= index < size:
        raise IndexError(f"there is no job {index} among {size}")
    return index


def _column(name: str, values: tuple[Scalar, ...] | Range) -> Sequence[Scalar]:
    path = (*_SWEEP, name)
    if not isinstance(values, Range):
        if not values:
            raise BatchError(f"{name} has no values", path=path)
        return values
    if not all(isfinite(number) for number in (values.start, values.to, values.step or 0)):
        raise BatchError("A range needs finite numbers", path=path)
    return _counted(name, values) if values.count is not None else _stepped(name, values)


def _stepped(name: str, values: Range) -> Sequence[Scalar]:
    path = (*_SWEEP, name)
    if values.scale == "log":
        raise BatchError(
            "A range with `scale: log` needs a `count`",
            hint="write how many values it has, for example count: 5",
            path=path,
        )
    wish = values.step if values.step is not None else 1
    start, to, step = (Fraction(repr(number)) for number in (values.start, values.to, wish))
    if not step:
        raise BatchError("The step is 0, so the range never ends", path=(*path, "step"))
    if (to - start) / step < 0:
        raise BatchError(
            f"{name} has no values: steps of {show(wish)} lead away from "
            f"{show(values.start)} to {show(values.to)}",
            hint="exchange `from` and `to`, or the sign of `step`",
            path=path,
        )
    count = int((to - start) // step) + 1
    if count > MOST_JOBS:
        raise BatchError(
            f"{name} has {_count(count)} values; {MOST_JOBS:,} are allowed",
            hint="check `from`, `to` and `step`",
            path=path,
        )
    whole = all(isinstance(number, int) for number in (values.start, wish))
    return _evenly(start, step, count, whole)


def _counted(name: str, values: Range) -> Sequence[Scalar]:
    path = (*_SWEEP, name)
    assert values.count is not None
    if values.step is not None:
        raise BatchError("A range has either `step` or `count`, here are both", path=path)
    if not 2 <= values.count <= MOST_JOBS:
        raise BatchError(
            f"A range has 2 to {MOST_JOBS:,} values, not {_count(values.count)}",
            path=(*path, "count"),
        )
    if values.start == values.to:
        raise BatchError("`from` and `to` are the same number", path=path)
    if values.scale == "log":
        if min(values.start, values.to) <= 0:
            raise BatchError("A range with `scale: log` needs `from` and `to` above 0", path=path)
        return _multiplied(values.start, values.to, values.count)
    start, to = Fraction(repr(values.start)), Fraction(repr(values.to))
    step = (to - start) / (values.count - 1)
    whole = all(isinstance(number, int) for number in (values.start, values.to))
    return _evenly(start, step, values.count, whole and step.denominator == 1)


def _evenly(start: Fraction, step: Fraction, count: int, whole: bool) -> Sequence[Scalar]:
    scale = lcm(start.denominator, step.denominator)
    first, stride = int(start * scale), int(step * scale)
    numerators = range(first, first + count * stride, stride)
    return numerators if whole else Steps(numerators, scale)


def _multiplied(start: int | float, to: int | float, count: int) -> tuple[Scalar, ...]:
    """Each the same multiple of the one before; in decimals, so that every computer agrees."""
    exact, short = Context(prec=40), Context(prec=30)
    first = Decimal(repr(start))
    growth = exact.ln(exact.divide(Decimal(repr(to)), first))
    inner = tuple(
        float(
            short.plus(
                exact.multiply(
                    first, exact.exp(exact.divide(exact.multiply(growth, at), count - 1))
                )
            )
        )
        for at in range(1, count - 1)
    )
    return (start, *inner, to)


def _axes(
    sweep: Sweep, columns: dict[str, Sequence[Scalar]]
) -> list[list[tuple[str, Sequence[Scalar]]]]:
    """Columns that vary together, in the order in which the first of each stands."""
    partner: dict[str, int] = {}
    for place, names in enumerate(sweep.zip):
        path = (*_SWEEP, "zip", place)
        for name in names:
            if name not in columns:
                raise BatchError(
                    f"{name!r} is not a name of this sweep",
                    hint=f"its names are {', '.join(columns)}",
                    path=path,
                )
            if name in partner:
                raise BatchError(f"{name!r} is zipped twice", path=path)
            partner[name] = place
        lengths = {name: len(columns[name]) for name in names}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{name} has {count}" for name, count in lengths.items())
            raise BatchError(
                "Values that are zipped must be equally many", f"Here {found}.", path=path
            )
    axes: list[list[tuple[str, Sequence[Scalar]]]] = []
    zipped: dict[int, list[tuple[str, Sequence[Scalar]]]] = {}
    for name, column in columns.items():
        group = zipped.get(partner[name]) if name in partner else None
        if group is None:
            group = []
            axes.append(group)
            if name in partner:
                zipped[partner[name]] = group
        group.append((name, column))
    return axes
