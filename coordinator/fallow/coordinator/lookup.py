"""From what a person typed to the batch or job that is meant, or a sentence why there is none.

Not the reading of the words themselves (`fallow.shared.ids.parse_ref`).
"""

from difflib import get_close_matches

from fallow.coordinator.live_batch import LiveBatch
from fallow.coordinator.records import JobRecord
from fallow.coordinator.world import World
from fallow.shared.errors import Refused, UsageError
from fallow.shared.ids import Ref, parse_ref

_NEAR = 5


def find(world: World, text: str) -> tuple[LiveBatch, JobRecord | None]:
    """The batch, and the job where one is named.

    UsageError for words that are no reference or mean several batches, Refused for unknown ones.
    """
    ref = parse_ref(text)
    batch = find_batch(world, ref)
    if ref.job is None:
        return batch, None
    index = batch.expansion.find(ref.job)
    if index is None:
        close = get_close_matches(ref.job, list(batch.expansion.names()), n=_NEAR)
        hint = f"did you mean {' or '.join(close)}?" if close else ""
        raise Refused(f"Batch {batch.ref()} has no job {ref.job!r}", hint=hint)
    return batch, batch.jobs[index]


def find_batch(world: World, ref: Ref) -> LiveBatch:
    """The one batch of this name; UsageError when there are several, Refused when none."""
    if ref.namespace is not None:
        uid = world.names.get((ref.namespace, ref.batch))
        found = [world.batches[uid]] if uid is not None else []
    else:
        found = [each for each in world.batches.values() if each.record.name == ref.batch]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{ref.batch!r} is the name of {len(found)} batches",
            ", ".join(sorted(each.ref() for each in found)),
            "write the namespace too",
        )
    wanted = f"{ref.namespace}:{ref.batch}" if ref.namespace is not None else ref.batch
    full = {each.ref(): each.ref() for each in world.batches.values()}
    short = {each.record.name: each.ref() for each in world.batches.values()}
    known = full if ref.namespace is not None else short
    close = get_close_matches(wanted, list(known), n=_NEAR) or (
        [ref.batch] if ref.batch in short else []
    )
    names = [known.get(each) or short[each] for each in close]
    hint = f"did you mean {' or '.join(names)}?" if names else "`coordinator status` lists them"
    raise Refused(f"There is no batch {wanted!r}", hint=hint)
