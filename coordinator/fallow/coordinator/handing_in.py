"""Handing a batch in: the files that the coordinator lacks go first, then the batch is its own.

Not the checks (`shared.checks`, `shared.inputs`) nor the words around it (`verbs.submit`,
`python`). Nothing is saved before the coordinator says so, and saying it again does no harm.
"""

import secrets
from collections.abc import Callable
from pathlib import Path

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.shared.batch import Batch
from fallow.shared.errors import BatchError, Refused, UsageError
from fallow.shared.inputs import Gathered
from fallow.shared.messages import Need, Submit, Submitted

_ROUNDS = 5  # uploads in a row after which a coordinator that still lacks files is not asked again


def hand_in(
    client: Client,
    batch: Batch,
    gathered: Gathered,
    *,
    locate: Callable[[BatchError], BatchError] = lambda error: error,
    dry_run: bool = False,
    quiet: bool = False,
) -> Submitted:
    """Send what is missing there, then the batch; FallowError when it is refused.

    `locate` adds to an error about the batch where in a file that is.
    """
    ask = Submit(batch, gathered.contents, secrets.token_hex(16), dry_run)
    for _ in range(_ROUNDS):
        try:
            reply = client.ask_any(ask, timeout=120.0)
        except UsageError as error:
            raise locate(BatchError(error.title, error.detail, error.hint)) from None
        if isinstance(reply, Submitted):
            return reply
        if isinstance(reply, Need) and not dry_run:
            upload(client, gathered, reply.hashes, quiet)
            continue
        break
    raise Refused(
        "The coordinator still lacks files that were sent to it",
        hint="look whether its disk is full, and whether the files change all the time",
    )


def upload(client: Client, gathered: Gathered, hashes: tuple[str, ...], quiet: bool) -> None:
    """Send these files; FallowError for one that is not any more what was read."""
    import tempfile

    from fallow.coordinator.moving import move
    from fallow.shared.blobs import BlobStore
    from fallow.shared.transfer import Item

    sizes = gathered.sizes
    items = [Item(hash, sizes[hash], gathered.files[hash]) for hash in hashes if hash in sizes]
    total = sum(item.size for item in items)
    with (
        tempfile.TemporaryDirectory(prefix="fallow-") as scratch,
        render.byte_progress("sending", total, quiet) as moved,
    ):
        move(client, BlobStore(Path(scratch), durable=False), moved, uploads=items)
