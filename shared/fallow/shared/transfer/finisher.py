"""Complete blobs, verified and forced to disk while the data thread goes on.

Not what becomes of them: `exchange` is told. Also what both ends of a data connection agree on.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

from fallow.shared.blobs import CorruptBlob, Partial
from fallow.shared.exchange import Exchange
from fallow.shared.transport import Limits
from fallow.shared.waker import Waker

DATA_LIMITS = Limits(frames=2, frame_bytes=1 << 20, queue=600)
TURN = 8  # chunks sent to one peer before the others have their turn
IDLE = 30.0  # seconds between two turns where nothing is under way
LOOK = 1.0  # seconds between two looks at what is elsewhere, silent or gone


class Finisher:
    """Forces complete blobs to disk in threads of its own: it may take seconds."""

    def __init__(self, waker: Waker) -> None:
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="blob-finisher")
        self._waker = waker
        self._outcomes: deque[tuple[Exchange, str, str | None, bool]] = deque()

    def take(self, exchange: Exchange) -> None:
        complete, exchange.receiver.complete = exchange.receiver.complete, []
        for blob in complete:
            self._pool.submit(self._finish, exchange, blob)

    def report(self) -> set[Exchange]:
        """Tell each exchange what came of its blobs; the exchanges concerned."""
        told: set[Exchange] = set()
        while self._outcomes:
            exchange, hash, problem, corrupt = self._outcomes.popleft()
            exchange.receiver.finished(hash, problem, corrupt=corrupt)
            told.add(exchange)
        return told

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    def _finish(self, exchange: Exchange, blob: Partial) -> None:
        problem: str | None = None
        corrupt = False
        try:
            blob.finish()
        except CorruptBlob:
            problem, corrupt = "what arrived is not what its hash says", True
        except OSError as error:
            blob.discard()
            problem = f"it could not be written: {error.strerror}"
        self._outcomes.append((exchange, blob.hash, problem, corrupt))
        self._waker.wake()
