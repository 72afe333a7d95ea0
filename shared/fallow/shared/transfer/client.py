"""One connection for blobs to one coordinator, served by one thread.

Not what is asked for or sent next (`exchange`). The opposite is `server`.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from fallow.shared.blobs import BlobStore, check_hash
from fallow.shared.clock import Clock, SystemClock
from fallow.shared.exchange import Delivered, Exchange, NotMoved, Outgoing, TransferEvent
from fallow.shared.messages import Malformed, decode_data, encode
from fallow.shared.transfer.finisher import DATA_LIMITS, IDLE, LOOK, TURN, Finisher
from fallow.shared.transport import ClientSocket, ConnectionEvent, KeyPair, Poller, Wire
from fallow.shared.waker import Waker

log = logging.getLogger(__name__)

_SILENCE = 5.0  # seconds without an answer after which it is asked for again
_LONGEST_DENIAL = 60.0  # seconds between two attempts with a key that is turned away


class Denied(Struct, frozen=True):
    """The server turned our key away; it is tried again, ever more rarely."""


class Disconnected(Struct, frozen=True):
    """There is no connection; it is tried again."""

    misunderstood: bool = False


class Connected(Struct, frozen=True):
    """There is a connection."""


Connection: TypeAlias = Denied | Disconnected | Connected
ClientEvent: TypeAlias = TransferEvent | Connection


class DataClient:
    """One connection for blobs, served by one thread; for the agent and for command-line verbs.

    All methods return at once and may be called from any thread; what came of them is told to
    `on_event`, in the thread. Downloads land in the store. Everything asked for survives a lost
    connection and goes on where it was.
    """

    def __init__(
        self,
        wire: Wire,
        address: str | Sequence[str],
        store: BlobStore,
        *,
        on_event: Callable[[ClientEvent], None],
        keys: KeyPair | None = None,
        server: str | None = None,
        clock: Clock | None = None,
        rate: int | None = None,
    ) -> None:
        """`rate` is the most bytes per second that move each way, None for as many as can."""
        self._connect = partial(wire.connect, address, DATA_LIMITS, keys=keys, server=server)
        self._on_event = on_event
        self._clock = clock or SystemClock()
        self._waker = Waker()
        self._finisher = Finisher(self._waker)
        self._paths: dict[str, Path] = {}
        self._store = store
        self._exchange = Exchange(store, "", self._find, rate)
        self._commands: deque[Callable[[], None]] = deque()
        self._paused = False
        self._unsent: Outgoing | None = None
        self._heard = 0.0
        self._denials = 0
        self._looked = 0.0
        self._connection: Connection | None = None
        self._reconnect_at: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="data", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def download(self, hash: str, size: int) -> None:
        """Get this blob: Stored (at once if it is here) or NotMoved will follow."""
        check_hash(hash)
        self._do(lambda: self._exchange.receiver.want(hash, size, self._clock.now().boot))

    def upload(self, hash: str, size: int, path: Path | None = None) -> None:
        """Deliver this blob (from the store unless `path` is given): Delivered or NotMoved."""
        check_hash(hash)

        def offer() -> None:
            if path is not None:
                self._paths[hash] = path
            self._exchange.sender.offer(hash, size)

        self._do(offer)

    def cancel(self, hash: str) -> None:
        """Move no more of this blob; nothing more is told about it."""

        def drop() -> None:
            self._exchange.receiver.drop(hash)
            self._exchange.sender.drop(hash)
            self._paths.pop(hash, None)

        self._do(drop)

    def pause(self) -> None:
        """Ask for nothing and send nothing until `resume`: a frozen desk moves no bytes."""
        self._do(lambda: self._set_paused(True))

    def resume(self) -> None:
        self._do(lambda: self._set_paused(False))

    def limit(self, rate: int | None) -> None:
        """Move at most so many bytes per second each way from now on, None for as many as can."""
        self._do(lambda: self._exchange.limit(rate))

    def stop(self) -> None:
        """End the thread; what is half here stays on disk and can go on later."""
        self._stopping.set()
        self._waker.wake()
        self._thread.join()

    def _do(self, command: Callable[[], None]) -> None:
        self._commands.append(command)
        self._waker.wake()

    def _set_paused(self, paused: bool) -> None:
        if self._paused and not paused:
            self._exchange.restart()
            self._heard = self._clock.now().boot
        self._paused = paused

    def _find(self, hash: str) -> Path:
        return self._paths.get(hash) or self._store.path(hash)

    def _run(self) -> None:
        socket = self._connect()
        poller = Poller()
        poller.add(self._waker)
        poller.add(socket)
        try:
            while not self._stopping.is_set():
                poller.wait(self._patience(socket))
                self._waker.drain()
                try:
                    self._turn(socket, poller)
                except Exception:
                    # A fault with one file must not silently end the moving of all.
                    log.exception("a fault while moving files")
                    self._stopping.wait(LOOK)
        finally:
            self._finisher.close()
            self._exchange.close()
            socket.close()
            self._waker.close()

    def _patience(self, socket: ClientSocket) -> float:
        """Seconds to wait for anything to happen."""
        if socket.connected and not self._paused and self._unsent is None and self._exchange.ready:
            return 0.0
        patience = LOOK if self._exchange.busy or self._reconnect_at is not None else IDLE
        opens_in = self._exchange.opens_in
        return patience if opens_in is None else min(patience, opens_in)

    def _turn(self, socket: ClientSocket, poller: Poller) -> None:
        now = self._clock.now().boot
        for event in socket.events():
            self._on_connection(event, now)
        while self._commands:
            self._commands.popleft()()
        for header, payload in socket.receive_chunks():
            self._take(header, payload, now)
        self._finisher.report()
        if now - self._looked >= LOOK:
            self._looked = now
            self._look(socket, now)
        poller.want_room(socket, not self._send(socket, now))
        self._tell()
        self._finisher.take(self._exchange)

    def _on_connection(self, event: ConnectionEvent, now: float) -> None:
        if event is ConnectionEvent.CONNECTED:
            self._denials = 0
            self._heard = now
            self._unsent = None
            self._exchange.restart()
            self._tell_connection(Connected())
        elif event in (ConnectionEvent.DENIED, ConnectionEvent.MISUNDERSTOOD):
            self._reconnect_at = now + min(2.0**self._denials, _LONGEST_DENIAL)
            self._denials += 1
            denied = event is ConnectionEvent.DENIED
            self._tell_connection(Denied() if denied else Disconnected(misunderstood=True))
        else:
            self._tell_connection(Disconnected())

    def _tell_connection(self, state: Connection) -> None:
        if state != self._connection:
            self._connection = state
            self._on_event(state)

    def _take(self, header: bytes, payload: memoryview, now: float) -> None:
        self._heard = now
        try:
            self._exchange.on_message(decode_data(header), payload, now)
        except (Malformed, ValueError) as error:
            log.debug("dropped a data message: %s", error)

    def _look(self, socket: ClientSocket, now: float) -> None:
        if self._reconnect_at is not None and now >= self._reconnect_at:
            self._reconnect_at = None
            socket.reconnect()
        self._exchange.receiver.look_elsewhere(now)
        if not self._paused and self._exchange.waiting and now - self._heard > _SILENCE:
            self._heard = now
            self._exchange.restart()

    def _send(self, socket: ClientSocket, now: float) -> bool:
        """False when there was no room for all."""
        if self._paused or not socket.connected:
            return True
        if self._unsent is not None:
            message, payload = self._unsent
            if not socket.send(encode(message), payload):
                return False
            self._unsent = None
        for message, payload in self._exchange.messages(now, TURN):
            if not socket.send(encode(message), payload):
                self._unsent = message, payload
                return False
        return True

    def _tell(self) -> None:
        for event in self._exchange.events():
            if isinstance(event, Delivered | NotMoved):
                self._paths.pop(event.hash, None)
            self._on_event(event)
