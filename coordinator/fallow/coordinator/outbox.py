"""What one turn will save, then send, then do with files: in that order and no other.

Not what is decided (`core`) nor what came in (`reception`). Nothing leaves before the one commit
of the turn; a test may end the process at each named step.
"""

from collections.abc import Callable

from msgspec import Struct

from fallow.coordinator.archive import Archive, Task, Tidy
from fallow.coordinator.deposits import Deposit, Deposited
from fallow.coordinator.store import AnySave, Committing, Store
from fallow.shared.messages import ClientReply, CoordinatorMessage, Reply, encode
from fallow.shared.transport import ServerSocket


class Peer(Struct, frozen=True):
    """One connection: the socket it came in by, and its routing id there."""

    socket: ServerSocket
    id: bytes


class _Asked(Struct, frozen=True):
    peer: Peer
    request: int


class Outbox:
    """Collects a turn's saves, messages and file tasks, and carries them out in `finish`."""

    def __init__(self, store: Store, archive: Archive, at: Callable[[str], None]) -> None:
        self._store = store
        self._archive = archive
        self._at = at
        self._saves: list[AnySave] = []
        self._sends: list[tuple[Peer, bytes]] = []
        self._tasks: list[Task] = []
        self._settled: list[Deposit] = []
        self._workstations: dict[str, Peer] = {}
        self._asked: dict[int, _Asked] = {}
        self._questions = 0

    def save(self, *saves: AnySave) -> None:
        self._saves += saves

    def do(self, task: Task) -> None:
        """Do this with files, once all is saved."""
        self._tasks.append(task)

    def begin(self, deposit: Deposit) -> None:
        """Save that this commit begins, then let it begin."""
        self._saves.append(Committing(deposit))
        self._tasks.append(deposit)

    def settle(self, deposited: Deposited) -> None:
        """Save that this commit is done, then clear away what it left."""
        self._saves.append(deposited)
        self._settled.append(deposited.deposit)

    def asked(self, peer: Peer, request: int) -> int:
        """A handle for the answer to this question."""
        self._questions += 1
        self._asked[self._questions] = _Asked(peer, request)
        return self._questions

    def connected(self, workstation: str, peer: Peer) -> None:
        """From now on this is the workstation's connection."""
        self._workstations[workstation] = peer

    def disconnected(self, workstation: str) -> None:
        self._workstations.pop(workstation, None)

    def send(self, peer: Peer, message: object) -> None:
        self._sends.append((peer, encode(message)))

    def tell(self, workstation: str, message: CoordinatorMessage) -> None:
        """Send to a workstation, if it has a connection; its next Report repairs what is lost."""
        peer = self._workstations.get(workstation)
        if peer is not None:
            self.send(peer, message)

    def answer(self, reply: int, body: ClientReply) -> None:
        asked = self._asked.pop(reply, None)
        if asked is not None:
            self.send(asked.peer, Reply(asked.request, body))

    def finish(self) -> None:
        """Commit, send, hand over to the archive. FallowError when the store cannot be written."""
        saves, self._saves = self._saves, []
        sends, self._sends = self._sends, []
        tasks, self._tasks = self._tasks, []
        settled, self._settled = self._settled, []
        if saves:
            self._store.commit(saves)
        if any(isinstance(task, Deposit) for task in tasks):
            self._at("committing saved")
        if settled:
            self._at("committed saved")
            tasks.append(Tidy(tuple(settled)))
        for peer, message in sends:
            peer.socket.send(peer.id, message)
        if settled:
            self._at("acknowledged")
        for task in tasks:
            self._archive.do(task)
