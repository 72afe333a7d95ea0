"""Where a job saves itself, in its own words: places in its work folder.

Not when it is told to (`run`), nor the taking (`outputs`) and the placing (`staging`) of them.
"""

from fallow.shared.batch import Checkpoint

FOLDER = "checkpoint"


def folder(checkpoint: Checkpoint) -> str:
    """What FALLOW_CHECKPOINT names: the first folder of the batch's list, else one of that name."""
    return next((each.rstrip("/") for each in checkpoint.files if each.endswith("/")), FOLDER)


def places(checkpoint: Checkpoint) -> tuple[str, ...]:
    """All that is saved: the batch's list, and what FALLOW_CHECKPOINT names in any case."""
    found = dict.fromkeys((*(each.rstrip("/") for each in checkpoint.files), folder(checkpoint)))
    return tuple(found)
