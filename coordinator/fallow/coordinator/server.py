"""The coordinator's shell: receive, step, commit to disk, then send, then move files.

Not the decisions (`core`), and nothing is sent before what it says is on disk. State on disk is
the truth: this process may end at any instruction. The opposite is `client`.
"""

import getpass
import logging
import os
import secrets
import string
from collections.abc import Callable
from functools import partial
from typing import assert_never

import msgspec
from msgspec import Struct

from fallow.coordinator import archive, sweeping
from fallow.coordinator.answers import Answers, failed
from fallow.coordinator.archive import Archive, BatchRemoved, Broken, BuildOutputPut
from fallow.coordinator.config import Settings, advertised
from fallow.coordinator.core import Core
from fallow.coordinator.events import (
    AgentSaid,
    Answer,
    Caller,
    ClientAsked,
    Commit,
    CommitFailed,
    CommitIncomplete,
    Committed,
    Event,
    Expired,
    KeepBuildLog,
    NodeJoined,
    NodeRevoked,
    RemoveTree,
    Step,
    Submission,
    ToNode,
)
from fallow.coordinator.people import Caller as Known
from fallow.coordinator.people import People
from fallow.coordinator.results import BadManifest, Deposit, Deposited, Results, no_crash
from fallow.coordinator.store import (
    NAME,
    AnySave,
    BuildOutputKept,
    Cleared,
    Committing,
    DataDirLock,
    Doomed,
    Store,
    Undone,
)
from fallow.shared import addresses
from fallow.shared.blobs import BlobStore
from fallow.shared.clock import SystemClock, boot_id
from fallow.shared.errors import FallowError, Refused
from fallow.shared.keys import KeyPair, load_or_make_keys
from fallow.shared.loop import Loop
from fallow.shared.messages import (
    Bye,
    ClientReply,
    ClientVerb,
    CoordinatorMessage,
    Done,
    Enrol,
    Failed,
    Hello,
    Invite,
    Keys,
    KeysReply,
    Kill,
    Logs,
    Malformed,
    Nodes,
    Pull,
    Rejected,
    Remove,
    Reply,
    Report,
    Request,
    Revoke,
    Status,
    Submit,
    Tailed,
    decode_from,
    encode,
)
from fallow.shared.moments import Moment
from fallow.shared.transfer import DATA_LIMITS, DataServer
from fallow.shared.transport import (
    AllowList,
    Incoming,
    Limits,
    ServerSocket,
    Wire,
    reserve_descriptors,
)

log = logging.getLogger(__name__)

_LOG_EVERY = 60.0  # seconds between two lines about the same peer


class _Peer(Struct, frozen=True):
    socket: ServerSocket
    id: bytes


class _Asked(Struct, frozen=True):
    peer: _Peer
    request: int


class _OnlyId(Struct):
    id: int


class Server:
    """A coordinator on one data folder; `run` serves until SIGTERM or SIGINT.

    `at` is called with the name of each step of a commit just done, `ready` with the address once
    it answers.
    """

    def __init__(self, settings: Settings, at: Callable[[str], None] = no_crash) -> None:
        self._settings = settings
        self._at = at
        self._clock = SystemClock()
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = DataDirLock(settings.data_dir)
        self._keys: KeyPair = load_or_make_keys(settings.keys, "server")
        settings.blobs.mkdir(mode=0o700, exist_ok=True)
        self._blobs = BlobStore(settings.blobs)
        self._store = Store(settings.data_dir / NAME)
        self._results = Results(settings.results, self._blobs, at)
        self._allowed = AllowList()
        self._people = People(*self._store.people(), self._allowed, _user(), self._now().wall)
        self._loop: Loop[archive.Outcome] = Loop(
            self._clock,
            on_event=self._on_archived,
            on_turn=self._on_turn,
            deadline=self._deadline,
        )
        self._archive = Archive(self._results, self._loop.post)
        self._core = Core(boot_id())
        self._answers = Answers(self._core, self._store, self._blobs, self._tell, self._answer)
        self._peers: dict[str, _Peer] = {}
        self._asked: dict[int, _Asked] = {}
        self._questions = 0
        self._quiet_until: dict[str | None, float] = {}
        # What this turn will save, then send, then do.
        self._saves: list[AnySave] = []
        self._sends: list[tuple[_Peer, bytes]] = []
        self._tasks: list[archive.Task] = []
        self._settled: list[Deposit] = []
        self._build_outputs: list[archive.PutBuildOutput] = []
        self._unneeded: set[str] = set()
        self._sweep_at = 0.0
        self._fatal: FallowError | None = None

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve; FallowError when it cannot, or cannot any more."""
        reserve_descriptors()
        self._recover()
        with Wire() as wire:
            wire.allow(self._allowed)
            control, data = self._bind(wire)
            local = addresses.make_local_addresses(self._settings.data_dir)
            local_control = wire.serve_local(local[0], Limits())
            data_server = DataServer(
                [data, wire.serve_local(local[1], DATA_LIMITS)],
                self._blobs,
                role_of=self._people.role_of,
            )
            self._addresses = advertised(self._settings, control.address)
            for socket in (control, local_control):
                self._loop.watch(socket, partial(self._on_readable, socket))
            self._archive.start()
            data_server.start()
            try:
                with self._loop.stopped_by_signals():
                    self._on_turn()
                    ready(control.address)
                    log.info("serving on %s", control.address)
                    self._loop.run()
            finally:
                data_server.stop()
                self._archive.stop()
        self._store.close()
        self._lock.release()
        if self._fatal is not None:
            raise self._fatal

    # --- start ------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Go on where the last process ended: finish its commits, then its removals."""
        restored = self._core.restore(self._store.load(), self._now())
        saves: list[AnySave] = []
        for deposit in self._store.committing():
            try:
                whole = not self._results.missing(deposit.manifest)
            except BadManifest:
                whole = False
            if whole:
                log.info("finishing the commit of attempt %s", deposit.attempt)
                for deposited in self._results.commit([deposit]):
                    saves.append(deposited)
                    self._handle(Committed(deposit.attempt, deposit.outcome))
            else:
                saves.append(Undone(deposit.attempt))
        for doomed in self._store.doomed():
            self._results.remove_batch(doomed.uid, doomed.namespace, doomed.name)
            saves.append(Cleared(doomed.uid))
        self._take(restored)
        self._saves = [*saves, *self._saves]
        self._commit_and_act()
        self._results.tidy_all()

    def _bind(self, wire: Wire) -> tuple[ServerSocket, ServerSocket]:
        """The control socket, and the data socket on the next port."""
        wanted = self._settings.listen
        tries = 50 if addresses.split_address(wanted)[1] == 0 else 1
        for left in reversed(range(tries)):
            control = wire.serve_tcp(wanted, self._keys, Limits())
            try:
                place = addresses.data_address(control.address)
                return control, wire.serve_tcp(place, self._keys, DATA_LIMITS)
            except FallowError:
                control.close()
                if not left:
                    raise
        raise AssertionError("unreachable")

    # --- what comes in ----------------------------------------------------------------------------

    def _on_readable(self, socket: ServerSocket) -> None:
        for incoming in socket.receive_all():
            self._on_message(_Peer(socket, incoming.peer), incoming)

    def _on_message(self, peer: _Peer, incoming: Incoming) -> None:
        who = self._people.caller(incoming.user, self._now().wall)
        if who is None:
            self._complain(incoming.user, "its key is not allowed any more")
            self._turn_away(
                peer, incoming.frames[0], "This key or invitation is not allowed here any more"
            )
            return
        try:
            message = decode_from(who.role, incoming.frames[0])
        except Malformed as error:
            self._complain(incoming.user, str(error))
            self._turn_away(peer, incoming.frames[0], f"The coordinator refused that: {error}")
            return
        log.debug("%s says %s", who.name, type(message).__name__)
        match message:
            case Request():
                self._questions += 1
                self._asked[self._questions] = _Asked(peer, message.id)
                try:
                    self._on_request(self._questions, who, message.body)
                except FallowError as error:
                    self._answer(self._questions, failed(error))
            case Tailed():
                self._answers.tailed(who.name, message)
            case Hello() | Report() | Bye():
                self._peers[who.name] = peer
                self._handle(AgentSaid(who.name, message))
            case _:
                assert_never(message)

    def _on_request(self, reply: int, who: Known, body: ClientVerb) -> None:
        now = self._now()
        match body:
            case Submit():
                self._submit(reply, who, body)
            case Kill() | Remove() | Status() | Nodes():
                self._handle(ClientAsked(reply, _caller(who), body))
            case Logs():
                self._answers.logs(reply, body, now.boot)
            case Pull():
                self._answer(reply, self._answers.pull(body))
            case Invite():
                invited, saves = self._people.invite(
                    body, self._addresses, self._keys.public, now.wall
                )
                self._saves += saves
                self._answer(reply, invited)
            case Enrol():
                if who.key is None:
                    raise Refused("Only an invitation's key may enrol")
                enrolled, saves = self._people.enrol(body, who.key, now.wall)
                self._saves += saves
                if saves and enrolled.role == "workstation":
                    self._handle(NodeJoined(enrolled.name))
                self._answer(reply, enrolled)
            case Keys():
                self._answer(reply, KeysReply(self._people.listed()))
            case Revoke():
                gone, saves = self._people.revoke(body.name, now.wall)
                self._saves += saves
                for key in gone:
                    if key.role == "workstation":
                        self._handle(NodeRevoked(key.name))
                        self._peers.pop(key.name, None)
                self._answer(reply, Done(f"{body.name} is shut out"))
            case _:
                assert_never(body)

    def _submit(self, reply: int, who: Known, body: Submit) -> None:
        missing: dict[str, None] = {}
        for contents in body.contents.values():
            for content in contents:
                try:
                    found = self._blobs.path(content.hash).stat().st_size
                except FileNotFoundError:
                    missing[content.hash] = None
                    continue
                except ValueError as error:
                    raise Refused("The submission is damaged", str(error)) from None
                if found != content.size:
                    raise Refused(
                        "The submission is damaged",
                        f"It says that {content.hash} has {content.size} bytes; it has {found}.",
                    )
        uid = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
        self._handle(Submission(reply, _caller(who), uid, body, tuple(missing)))

    def _turn_away(self, peer: _Peer, frame: bytes, why: str) -> None:
        """Answer a refused message if it can be told what it wanted, so that nobody waits."""
        try:
            asked = msgspec.msgpack.decode(frame, type=_OnlyId)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            try:
                decode_from("workstation", frame)
            except Malformed:
                return
            self._sends.append((peer, encode(Rejected(why))))
            return
        hint = "ask whoever runs the coordinator"
        self._sends.append((peer, encode(Reply(asked.id, _refusal(why, hint)))))

    def _on_archived(self, outcome: archive.Outcome) -> None:
        match outcome:
            case Deposited(deposit):
                if deposit.attempt.batch not in self._core.world.batches:
                    # Removed while it was being committed, so the name's folder is to go again.
                    self._tasks.append(
                        archive.RemoveBatch(deposit.attempt.batch, deposit.namespace, deposit.batch)
                    )
                    return
                self._saves.append(outcome)
                self._settled.append(deposit)
                self._handle(Committed(deposit.attempt, deposit.outcome))
            case BuildOutputPut(uid, file):
                if uid in self._core.world.batches:
                    self._saves.append(BuildOutputKept(uid, file))
            case BatchRemoved(uid):
                self._saves.append(Cleared(uid))
            case Broken(error):
                self._fatal = FallowError(
                    "The coordinator cannot write results",
                    f"The system says: {error}.",
                    "look whether the disk is full, then start the coordinator again;"
                    " workstations keep what was not written",
                )
                self._loop.stop()
            case _:
                assert_never(outcome)

    # --- one step, and the turn -------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        self._take(self._core.handle(event, self._now()))

    def _take(self, step: Step) -> None:
        self._saves += step.save
        for send in step.send:
            match send:
                case ToNode(node, message):
                    self._tell(node, message)
                case Answer(reply, body):
                    self._answer(reply, body)
        for effect in step.do:
            match effect:
                case Commit():
                    self._begin_commit(effect)
                case KeepBuildLog(namespace, batch, node, hash, size):
                    found = self._core.world.names.get((namespace, batch))
                    if found is not None:
                        self._build_outputs.append(
                            archive.PutBuildOutput(found, namespace, batch, node, hash, size)
                        )
                case RemoveTree(uid, namespace, batch):
                    self._unneeded |= self._store.hashes_of(uid)
                    self._saves.append(Doomed(uid, namespace, batch))
                    self._tasks.append(archive.RemoveBatch(uid, namespace, batch))

    def _begin_commit(self, wanted: Commit) -> None:
        attempt = wanted.attempt
        try:
            missing = self._results.missing(wanted.manifest)
        except BadManifest as error:
            log.warning("the results of attempt %s are unusable: %s", attempt, error)
            self._handle(CommitFailed(attempt, str(error), permanent=True))
            return
        if missing:
            self._handle(CommitIncomplete(attempt, missing))
            return
        spec = self._core.spec(attempt)
        inputs = () if spec is None else (*spec.shared, *spec.inputs)
        deposit = Deposit(
            attempt=attempt,
            outcome=wanted.outcome,
            namespace=wanted.namespace,
            batch=wanted.batch,
            job=wanted.job,
            owner="" if spec is None else spec.owner,
            workstation=wanted.node,
            manifest=wanted.manifest,
            exit=wanted.exit,
            started=wanted.started,
            ended=wanted.ended,
            run_seconds=wanted.run_seconds,
            paused_seconds=wanted.paused_seconds,
            inputs={one.path: one.hash for one in inputs},
        )
        self._saves.append(Committing(deposit))
        self._tasks.append(deposit)

    def _put_build_outputs(self) -> None:
        """Put those beside the jobs whose bytes are here; the others stay for a later turn."""
        waiting, self._build_outputs = self._build_outputs, []
        for put in waiting:
            if self._blobs.has(put.log):
                self._tasks.append(put)
            elif put.uid in self._core.world.batches:
                self._build_outputs.append(put)

    def _on_turn(self) -> None:
        now = self._now()
        deadline = self._core.deadline()
        if deadline is not None and deadline <= now.boot:
            self._handle(Expired())
        self._answers.expire(now.boot)
        self._take(self._core.plan(now))
        self._put_build_outputs()
        try:
            self._commit_and_act()
        except FallowError as error:
            self._fatal = error
            self._loop.stop()
        if now.boot >= self._sweep_at:
            self._sweep_at = now.boot + sweeping.EVERY
            sweeping.sweep(self._blobs, self._needed())

    def _commit_and_act(self) -> None:
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
            tasks.append(archive.Tidy(tuple(settled)))
        for peer, message in sends:
            peer.socket.send(peer.id, message)
        if settled:
            self._at("acknowledged")
        for task in tasks:
            self._archive.do(task)
        if self._unneeded:
            unneeded, self._unneeded = self._unneeded, set()
            sweeping.free(self._blobs, unneeded, self._needed())

    def _needed(self) -> set[str]:
        batches = self._core.world.batches.values()
        return sweeping.needed(self._store, (batch.record for batch in batches))

    def _deadline(self) -> float | None:
        all_ = (self._core.deadline(), self._answers.deadline(), self._sweep_at)
        return min(one for one in all_ if one is not None)

    # --- what goes out, after the commit ----------------------------------------------------------

    def _tell(self, node: str, message: CoordinatorMessage) -> None:
        peer = self._peers.get(node)
        if peer is not None:
            self._sends.append((peer, encode(message)))

    def _answer(self, reply: int, body: ClientReply) -> None:
        asked = self._asked.pop(reply, None)
        if asked is not None:
            self._sends.append((asked.peer, encode(Reply(asked.request, body))))

    def _complain(self, user: str | None, what: str) -> None:
        now = self._now().boot
        if now < self._quiet_until.get(user, 0.0):
            return
        if len(self._quiet_until) > 1000:
            self._quiet_until.clear()
        self._quiet_until[user] = now + _LOG_EVERY
        log.warning("refused a message of %s: %s", user or "a local client", what)

    def _now(self) -> Moment:
        return self._clock.now()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _caller(who: Known) -> Caller:
    return Caller(who.name, "admin" if who.role == "admin" else "submitter")


def _refusal(why: str, hint: str) -> ClientReply:
    return Failed(why, hint=hint)
