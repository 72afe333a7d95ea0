"""The data sockets of a coordinator, served for all peers by one thread.

Not what is asked for or sent next (`exchange`). The opposite is `client`.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from fallow.shared.blobs import BlobStore
from fallow.shared.clock import Clock, SystemClock
from fallow.shared.exchange import Exchange, Stored
from fallow.shared.messages import DATA_VERBS, Gone, Malformed, Role, decode_data, encode
from fallow.shared.quiet import Quiet
from fallow.shared.transfer.finisher import IDLE, LOOK, TURN, Finisher
from fallow.shared.transport import IncomingChunk, Poller, ServerSocket
from fallow.shared.waker import Waker

log = logging.getLogger(__name__)

_FORGET_PEER = 60.0  # seconds of silence after which a connection's files are closed


class _Peer:
    def __init__(self, socket: ServerSocket, id: bytes, exchange: Exchange, now: float) -> None:
        self.socket = socket
        self.id = id
        self.exchange = exchange
        self.heard = now
        self.forgotten = False


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
        self._finisher = Finisher(self._waker)
        self._peers: dict[tuple[ServerSocket, bytes], _Peer] = {}
        self._looked = 0.0
        self._quiet = Quiet()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="data", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread still serves; only a bug ends it by itself."""
        return self._thread.is_alive()

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
        sending: set[_Peer] = set()
        try:
            while not self._stopping.is_set():
                poller.wait(0.0 if sending else LOOK if self._peers else IDLE)
                self._waker.drain()
                self._turn(sending)
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

    def _turn(self, sending: set[_Peer]) -> None:
        """Take in what is here, then let every peer that has something to send do so."""
        now = self._clock.now().boot
        for socket in self._sockets:
            for incoming in socket.receive_chunks():
                try:
                    peer = self._take(socket, incoming, now)
                except Exception:
                    log.exception("could not take a data message of %s", incoming.user)
                    continue
                if peer is not None:
                    sending.add(peer)
        finished = self._finisher.report()
        if finished:
            sending.update(peer for peer in self._peers.values() if peer.exchange in finished)
        if now - self._looked >= LOOK:
            self._looked = now
            self._forget_silent(now)
            sending.update(self._peers.values())
        for peer in list(sending):
            try:
                self._send(peer, now)
            except Exception:
                # A fault in what one peer asked for must not end the service of all.
                log.exception("gave up a data connection of %s", peer.exchange.owner or "this user")
                self._forget(peer)
            if not peer.exchange.ready or peer.forgotten:
                sending.discard(peer)

    def _take(self, socket: ServerSocket, incoming: IncomingChunk, now: float) -> _Peer | None:
        role = self._role_of(incoming.user)
        try:
            message = decode_data(incoming.header)
            if role is None or type(message) not in DATA_VERBS[role]:
                if self._quiet.due(incoming.user, now):
                    said = type(message).__name__
                    log.warning("refused %s of %s on the data socket", said, incoming.user)
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
            if self._quiet.due(incoming.user, now):
                log.warning("dropped a data message of %s: %s", incoming.user, error)
            return None
        self._finisher.take(peer.exchange)
        return peer

    def _send(self, peer: _Peer, now: float) -> None:
        for event in peer.exchange.events():
            if isinstance(event, Stored):
                self._on_stored(event.hash)
        for message, payload in peer.exchange.messages(now, TURN):
            # A message that is dropped here is asked for again by the peer.
            peer.socket.send(peer.id, encode(message), payload)
        self._finisher.take(peer.exchange)

    def _forget_silent(self, now: float) -> None:
        for peer in list(self._peers.values()):
            if now - peer.heard > _FORGET_PEER:
                self._forget(peer)
            else:
                peer.exchange.receiver.look_elsewhere(now)

    def _forget(self, peer: _Peer) -> None:
        peer.forgotten = True
        peer.exchange.close()
        self._peers.pop((peer.socket, peer.id), None)
