"""The combinations of a sweep by index: products, what runs together, what is left out.

Not the values of one name (`ranges`) nor the jobs made of them (`sweep`).
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

from fallow.shared.batch import Scalar, Sweep
from fallow.shared.errors import BatchError
from fallow.shared.placeholders import show
from fallow.shared.ranges import MOST_JOBS, SWEEP, shown, values_of


class Combinations:
    """The combinations of a sweep by index, the last name fastest; BatchError for a bad sweep."""

    def __init__(self, sweep: Sweep) -> None:
        columns = {name: values_of(name, values) for name, values in sweep.values.items()}
        self._axes = _axes(sweep, columns)
        sizes = [len(axis[0][1]) for axis in self._axes]
        self._strides = [prod(sizes[place + 1 :]) for place in range(len(sizes))]
        self._sizes = sizes
        total = prod(sizes)
        if total > MOST_JOBS:
            raise BatchError(
                f"The sweep has {shown(total)} combinations; {MOST_JOBS:,} are allowed",
                hint="split it into several batches",
                path=SWEEP,
            )
        self._kept = self._exclude(sweep, total) if sweep.exclude else range(total)

    def __len__(self) -> int:
        return len(self._kept)

    def values(self, index: int) -> dict[str, Scalar]:
        """The values of one combination by name; IndexError when there is no such combination."""
        at = self._kept[within(index, len(self._kept))]
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
            path = (*SWEEP, "exclude", row)
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
            raise BatchError("Every combination is excluded", path=(*SWEEP, "exclude"))
        return kept


def within(index: int, size: int) -> int:
    """The index itself; IndexError when there is no such thing among so many."""
    if not 0 <= index < size:
        raise IndexError(f"there is no job {index} among {size}")
    return index


def _same(one: Scalar, other: Scalar) -> bool:
    # To Python true is 1.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _axes(
    sweep: Sweep, columns: dict[str, Sequence[Scalar]]
) -> list[list[tuple[str, Sequence[Scalar]]]]:
    """Columns that vary together, in the order in which the first of each stands."""
    partner: dict[str, int] = {}
    for place, names in enumerate(sweep.zip):
        path = (*SWEEP, "zip", place)
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
