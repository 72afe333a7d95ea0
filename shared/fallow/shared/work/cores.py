"""Which processors a run gets: whole cores, those that the other runs use least.

Not how many it may have, which the coordinator has agreed with this workstation, and not the
setting of them (`processes`).
"""

from collections.abc import Iterable, Sequence

Core = frozenset[int]
"""The logical processors of one core, by their numbers."""


def choose(cores: Sequence[Core], wanted: int, taken: Iterable[Core]) -> Core:
    """The processors of so many cores; empty when that is all of them, or none is known.

    `taken` are the processors of the other runs, one set for each. The first cores come last: they
    are where most of the desk's own work is done.
    """
    if wanted >= len(cores):
        return frozenset()
    others = list(taken)

    def burden(place: int) -> tuple[int, int]:
        return sum(bool(cores[place] & each) for each in others), -place

    chosen = sorted(range(len(cores)), key=burden)[: max(wanted, 1)]
    return frozenset().union(*(cores[place] for place in chosen))
