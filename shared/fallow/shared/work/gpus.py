"""Which of this computer's GPUs a run gets, and how its programs are told.

Not how many there are (that is found out elsewhere) nor how many it may have, which the coordinator
has agreed with this workstation. The opposite is `cores`, for processors.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct


class Gpu(Struct, frozen=True):
    """One GPU: its number for its vendor, its name for good, and the devices that it needs.

    `uuid` is empty where it is not known. `devices` are places below /dev, those that it shares
    with others too.
    """

    vendor: Literal["nvidia", "amd", "other"]
    index: int
    uuid: str = ""
    devices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.vendor}-{self.index}"


_VARIABLES = {"nvidia": "CUDA_VISIBLE_DEVICES", "amd": "ROCR_VISIBLE_DEVICES"}


def choose(gpus: Sequence[Gpu], wanted: int, taken: Iterable[str]) -> tuple[Gpu, ...] | None:
    """So many that no other run has (`taken`: their names), of one kind where possible.

    None when there are not so many: a GPU is never shared, for its memory would not be either.
    """
    others = set(taken)
    free = [each for each in gpus if each.name not in others]
    if wanted > len(free):
        return None
    for vendor in dict.fromkeys(each.vendor for each in free):
        alike = [each for each in free if each.vendor == vendor]
        if len(alike) >= wanted:
            return tuple(alike[:wanted])
    return tuple(free[:wanted])


def variables(gpus: Sequence[Gpu], given: Sequence[Gpu], hidden: bool) -> dict[str, str]:
    """What tells programs which of the computer's `gpus` they were given.

    `hidden`: the devices of the others are not there, so that drivers count from 0. A name for good
    is right in either case.
    """
    found = {}
    for vendor in dict.fromkeys(each.vendor for each in gpus):
        variable = _VARIABLES.get(vendor)
        if variable is None:
            continue
        mine = [each for each in given if each.vendor == vendor]
        words = []
        for place, each in enumerate(mine):
            words.append(each.uuid or str(place if hidden else each.index))
        found[variable] = ",".join(words)
    return found
