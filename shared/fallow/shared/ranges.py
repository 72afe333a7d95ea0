"""The values of one name of a sweep: as they are, or the numbers of a range.

Not their combinations (`combinations`). Numbers are exact to the last digit, since every computer
has to make the same ones.
"""

from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction
from math import isfinite, lcm
from typing import Final, overload

from fallow.shared.batch import Range, Scalar
from fallow.shared.errors import BatchError
from fallow.shared.placeholders import show

MOST_JOBS: Final = 1_000_000
"""More jobs than this are refused."""

SWEEP: Final = ("command", "sweep")
"""Where a sweep stands in a batch."""


class Steps(Sequence[Scalar]):
    """Evenly spaced numbers, each the float nearest to its decimal: 0.3, never 0.1 + 0.2."""

    def __init__(self, numerators: range, denominator: int) -> None:
        self._numerators = numerators
        self._denominator = denominator

    def __len__(self) -> int:
        return len(self._numerators)

    @overload
    def __getitem__(self, index: int) -> Scalar: ...
    @overload
    def __getitem__(self, index: slice) -> "Steps": ...
    def __getitem__(self, index: int | slice) -> "Scalar | Steps":
        if isinstance(index, slice):
            return Steps(self._numerators[index], self._denominator)
        return self._numerators[index] / self._denominator


def shown(number: int) -> str:
    """A number of jobs for people."""
    # Python refuses to print very long numbers, and nobody reads them.
    return f"{number:,}" if number < 10**12 else f"more than {10**12:,}"


def values_of(name: str, values: tuple[Scalar, ...] | Range) -> Sequence[Scalar]:
    """All values in their order; BatchError for a range that has none, or far too many."""
    path = (*SWEEP, name)
    if not isinstance(values, Range):
        if not values:
            raise BatchError(f"{name} has no values", path=path)
        return values
    if not all(isfinite(number) for number in (values.start, values.to, values.step or 0)):
        raise BatchError("A range needs finite numbers", path=path)
    return _counted(name, values) if values.count is not None else _stepped(name, values)


def _stepped(name: str, values: Range) -> Sequence[Scalar]:
    path = (*SWEEP, name)
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
            f"{name} has {shown(count)} values; {MOST_JOBS:,} are allowed",
            hint="check `from`, `to` and `step`",
            path=path,
        )
    whole = all(isinstance(number, int) for number in (values.start, wish))
    return _evenly(start, step, count, whole)


def _counted(name: str, values: Range) -> Sequence[Scalar]:
    path = (*SWEEP, name)
    assert values.count is not None
    if values.step is not None:
        raise BatchError("A range has either `step` or `count`, here are both", path=path)
    if not 2 <= values.count <= MOST_JOBS:
        raise BatchError(
            f"A range has 2 to {MOST_JOBS:,} values, not {shown(values.count)}",
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
