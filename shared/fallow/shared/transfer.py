"""The threads that carry blobs: a server for all peers of a coordinator, a client for one server.

Not what is asked for or sent next: `exchange` decides, and is the opposite. Data has sockets and
threads of its own, so that a big file never delays a heartbeat.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from msgspec import Struct

from fallow.shared.blobs import BlobStore, CorruptBlob, Partial, check_hash
from fallow.shared.clock import Clock, SystemClock
from fallow.shared.errors import FallowError, Refused, Unreachable
from fallow.shared.exchange import (
    Delivered,
    Exchange,
    NotMoved,
    Outgoing,
    Progressed,
    Stored,
    TransferEvent,
)
from fallow.shared.keys import KeyPair
from fallow.shared.messages import (
    CHUNK,
    DATA_VERBS,
    Gone,
    Malformed,
    Role,
    decode_data,
    encode,
)
from fallow.shared.transport import (
    ClientSocket,
    ConnectionEvent,
    IncomingChunk,
    Limits,
    Poller,
    ServerSocket,
    Wire,
)
from fallow.shared.waker import Waker

log = logging.getLogger(__name__)

DATA_LIMITS = Limits(frames=2, frame_bytes=CHUNK + 4096, queue=600)
_TURN = 8  # chunks sent to one peer before the others have their turn
_FORGET_PEER = 60.0  # seconds of silence after which a connection's files are closed
_LOOK = 1.0  # seconds between two looks at what is elsewhere, silent or gone
_SILENCE = 5.0  # seconds without an answer after which it is asked for again
_LONGEST_DENIAL = 60.0  # seconds between two attempts with a key that is turned away


class _Finisher:
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


class _Peer:
    def __init__(self, socket: ServerSocket, id: bytes, exchange: Exchange, now: float) -> None:
        self.socket = socket
        self.id = id
        self.exchange = exchange
        self.heard = now


class DataServer:
    """The coordinator's data sockets, served by one thread.

    `role_of` is asked about every message (key, or None for the local socket) and gives None for
    who may not use it; `on_stored` is told each blob that a peer delivered. Both are called in
    the thread. The sockets are the server's from `start` on; it closes them.
    """

    def __init__(
        self,
        sockets: Sequence[ServerSocket],
        store: BlobStore,
        *,
        role_of: Callable[[str | None], Role | None],
        on_stored: Callable[[str], None] = lambda _: None,
        clock: Clock | None = None,
    ) -> None:
        self._sockets = list(sockets)
        self._store = store
        self._role_of = role_of
        self._on_stored = on_stored
        self._clock = clock or SystemClock()
        self._waker = Waker()
        self._finisher = _Finisher(self._waker)
        self._peers: dict[tuple[ServerSocket, bytes], _Peer] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="data", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what is half here stays on disk and can go on later."""
        self._stopping.set()
        self._waker.wake()
        self._thread.join()

    def _run(self) -> None:
        poller = Poller()
        poller.add(self._waker)
        for socket in self._sockets:
            poller.add(socket)
        look = 0.0
        sending: dict[_Peer, None] = {}
        try:
            while not self._stopping.is_set():
                poller.wait(0.0 if sending else _LOOK)
                self._waker.drain()
                now = self._clock.now().boot
                for socket in self._sockets:
                    for incoming in socket.receive_chunks():
                        sender = self._take(socket, incoming, now)
                        if sender is not None:
                            sending[sender] = None
                for exchange in self._finisher.report():
                    sending.update(
                        (p, None) for p in self._peers.values() if p.exchange is exchange
                    )
                if now - look >= _LOOK:
                    look = now
                    sending.update((peer, None) for peer in self._look(now))
                for peer in list(sending):
                    self._send(peer, now)
                    if not peer.exchange.ready:
                        del sending[peer]
        except Exception:
            log.exception("the data thread ended")
            raise
        finally:
            self._finisher.close()
            for peer in self._peers.values():
                peer.exchange.close()
            for socket in self._sockets:
                socket.close()
            self._waker.close()

    def _take(self, socket: ServerSocket, incoming: IncomingChunk, now: float) -> _Peer | None:
        role = self._role_of(incoming.user)
        try:
            message = decode_data(incoming.header)
            if role is None or type(message) not in DATA_VERBS[role]:
                log.debug("refused %s of %s", type(message).__name__, incoming.user)
                if not isinstance(message, Gone):
                    socket.send(incoming.peer, encode(Gone(message.hash, "refused")), b"")
                return None
            peer = self._peers.get((socket, incoming.peer))
            if peer is None:
                exchange = Exchange(self._store, incoming.user or "", self._store.path)
                peer = _Peer(socket, incoming.peer, exchange, now)
                self._peers[socket, incoming.peer] = peer
            peer.heard = now
            peer.exchange.on_message(message, incoming.payload, now)
        except (Malformed, ValueError) as error:
            log.debug("dropped a data message of %s: %s", incoming.user, error)
            return None
        self._finisher.take(peer.exchange)
        return peer

    def _send(self, peer: _Peer, now: float) -> None:
        for event in peer.exchange.events():
            if isinstance(event, Stored):
                self._on_stored(event.hash)
        for message, payload in peer.exchange.messages(now, _TURN):
            # A message that is dropped here is asked for again by the peer.
            peer.socket.send(peer.id, encode(message), payload)
        self._finisher.take(peer.exchange)

    def _look(self, now: float) -> Iterable[_Peer]:
        for place, peer in list(self._peers.items()):
            if now - peer.heard > _FORGET_PEER:
                peer.exchange.close()
                del self._peers[place]
            else:
                peer.exchange.receiver.look_elsewhere(now)
                yield peer


class Item(Struct, frozen=True):
    """A file to move: SHA-256 in hex, bytes, and for an upload where it is (else: in the store)."""

    hash: str
    size: int
    path: Path | None = None


class Denied(Struct, frozen=True):
    """The server turned our key away; it is tried again, ever more rarely."""


class Disconnected(Struct, frozen=True):
    """There is no connection; it is tried again."""

    misunderstood: bool = False


class Connected(Struct, frozen=True):
    """There is a connection."""


ClientEvent = TransferEvent | Denied | Disconnected | Connected


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
    ) -> None:
        self._connect = partial(wire.connect, address, DATA_LIMITS, keys=keys, server=server)
        self._on_event = on_event
        self._clock = clock or SystemClock()
        self._waker = Waker()
        self._finisher = _Finisher(self._waker)
        self._paths: dict[str, Path] = {}
        self._store = store
        self._exchange = Exchange(store, "", self._find)
        self._commands: deque[Callable[[], None]] = deque()
        self._paused = False
        self._unsent: Outgoing | None = None
        self._heard = 0.0
        self._denials = 0
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
        look = 0.0
        try:
            while not self._stopping.is_set():
                sending = self._exchange.ready and not self._paused and socket.connected
                poller.wait(0.0 if sending and self._unsent is None else _LOOK)
                self._waker.drain()
                now = self._clock.now().boot
                for event in socket.events():
                    self._on_connection(event, now)
                while self._commands:
                    self._commands.popleft()()
                for header, payload in socket.receive_chunks():
                    self._take(header, payload, now)
                self._finisher.report()
                if now - look >= _LOOK:
                    look = now
                    self._look(socket, now)
                poller.want_room(socket, not self._send(socket, now))
                self._tell()
                self._finisher.take(self._exchange)
        except Exception:
            log.exception("the data thread ended")
            raise
        finally:
            self._finisher.close()
            self._exchange.close()
            socket.close()
            self._waker.close()

    def _on_connection(self, event: ConnectionEvent, now: float) -> None:
        if event is ConnectionEvent.CONNECTED:
            self._denials = 0
            self._heard = now
            self._unsent = None
            self._exchange.restart()
            self._on_event(Connected())
        elif event in (ConnectionEvent.DENIED, ConnectionEvent.MISUNDERSTOOD):
            self._reconnect_at = now + min(2.0**self._denials, _LONGEST_DENIAL)
            self._denials += 1
            denied = event is ConnectionEvent.DENIED
            self._on_event(Denied() if denied else Disconnected(misunderstood=True))
        else:
            self._on_event(Disconnected())

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
        for message, payload in self._exchange.messages(now, _TURN):
            if not socket.send(encode(message), payload):
                self._unsent = message, payload
                return False
        return True

    def _tell(self) -> None:
        for event in self._exchange.events():
            if isinstance(event, Delivered | NotMoved):
                self._paths.pop(event.hash, None)
            self._on_event(event)


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
                event = told.get(timeout=None if connected else patience)
            except queue.Empty:
                raise Unreachable(
                    f"The coordinator's data socket at {where} cannot be reached",
                    f"No connection within {patience:g} s.",
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


__all__ = [
    "DATA_LIMITS",
    "Connected",
    "DataClient",
    "DataServer",
    "Delivered",
    "Denied",
    "Disconnected",
    "Item",
    "NotMoved",
    "Progressed",
    "Stored",
    "move_all",
]
