"""A client moves blobs to or from its coordinator and tells how far it is, step by step.

Not which blobs (`handing_in`, `fetching`, `slurm.exchange`), nor how they travel (`transfer`).
"""

from collections.abc import Callable, Sequence

from fallow.coordinator.client import Client
from fallow.shared.blobs import BlobStore
from fallow.shared.transfer import Item, move_all


def move(
    client: Client,
    store: BlobStore,
    moved: Callable[[int], None],
    *,
    uploads: Sequence[Item] = (),
    downloads: Sequence[Item] = (),
) -> None:
    """Move all of these; `moved` is told of each so many bytes more. FallowError as `move_all`."""
    so_far = 0

    def on_progress(now: int) -> None:
        nonlocal so_far
        moved(now - so_far)
        so_far = now

    way = client.data_way()
    move_all(
        client.wire,
        way.addresses,
        store,
        uploads=uploads,
        downloads=downloads,
        on_progress=on_progress,
        keys=way.keys,
        server=way.server,
    )
