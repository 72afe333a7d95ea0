"""Moving a set of files while a command waits, with its progress and its errors in words.

Not for long-running programs: those have a DataClient. The opposite is `server`.
"""

import queue
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from fallow.shared.blobs import BlobStore
from fallow.shared.errors import FallowError, Refused, Unreachable
from fallow.shared.exchange import Delivered, NotMoved, Progressed, Stored
from fallow.shared.transfer.client import (
    ClientEvent,
    Connected,
    DataClient,
    Denied,
    Disconnected,
)
from fallow.shared.transport import KeyPair, Wire


class Item(Struct, frozen=True):
    """A file to move: SHA-256 in hex, bytes, and for an upload where it is (else: in the store)."""

    hash: str
    size: int
    path: Path | None = None


def move_all(
    wire: Wire,
    address: str | Sequence[str],
    store: BlobStore,
    *,
    uploads: Iterable[Item] = (),
    downloads: Iterable[Item] = (),
    on_progress: Callable[[int], None] = lambda _: None,
    keys: KeyPair | None = None,
    server: str | None = None,
    patience: float = 30.0,
) -> None:
    """Move all these files and return, for command-line verbs; `on_progress` gets bytes moved.

    Unreachable after `patience` seconds without a connection, Refused when the key is denied,
    FallowError naming the first file that could not be moved. What was moved stays moved: calling
    again goes on from there.
    """
    uploads, downloads = list(uploads), list(downloads)
    sizes = {item.hash: item for item in (*uploads, *downloads)}
    if not sizes:
        return
    moved = dict.fromkeys(sizes, 0)
    told: queue.SimpleQueue[ClientEvent] = queue.SimpleQueue()
    client = DataClient(wire, address, store, on_event=told.put, keys=keys, server=server)
    where = address if isinstance(address, str) else address[0]
    for item in uploads:
        client.upload(item.hash, item.size, item.path)
    for item in downloads:
        client.download(item.hash, item.size)
    left = set(sizes)
    total = 0
    connected = False
    client.start()
    try:
        while left:
            try:
                # A slow disk may keep the other side silent for a while.
                event = told.get(timeout=10 * patience if connected else patience)
            except queue.Empty:
                raise Unreachable(
                    f"The coordinator's data socket at {where} cannot be reached",
                    "It does not answer any more."
                    if connected
                    else f"No connection within {patience:g} s.",
                    "the same command goes on from where it stopped",
                ) from None
            match event:
                case Connected():
                    connected = True
                case Disconnected(misunderstood=True):
                    raise Unreachable(
                        f"What answers at {where} is not the coordinator that was joined",
                        "Its key is another one, or it is not Fallow at all.",
                        "check the address, or join again with a new invitation",
                    )
                case Disconnected():
                    connected = False
                case Denied():
                    raise Refused(
                        f"The coordinator at {where} does not know this account",
                        "It was never joined here, or its key has been revoked.",
                        "ask for an invitation, then: coordinator join TOKEN",
                    )
                case Progressed(hash, done):
                    if hash in moved and done > moved[hash]:
                        total += done - moved[hash]
                        moved[hash] = done
                        on_progress(total)
                case Stored(hash) | Delivered(hash):
                    if hash in left:
                        left.discard(hash)
                        total += sizes[hash].size - moved[hash]
                        moved[hash] = sizes[hash].size
                        on_progress(total)
                case NotMoved(hash, why):
                    path = sizes[hash].path
                    raise FallowError(
                        f"{path or 'A file'} could not be moved",
                        f"The reason: {why}.",
                        "if the file changed meanwhile, submit again; else look at the disks",
                    )
    finally:
        client.stop()
