"""The coordinator's shell: receive, step, commit to disk, then send, then move files.

Not the decisions (`core`), not what comes in (`reception`) and goes out (`outbox`). State on disk
is the truth: this process may end at any instruction. The opposite is `client`.
"""

import getpass
import logging
import os
from collections.abc import Callable
from functools import partial
from typing import assert_never

from fallow.coordinator import archive, couriers
from fallow.coordinator.answers import Answers
from fallow.coordinator.archive import Archive, BatchRemoved, Broken, BuildOutputPut
from fallow.coordinator.config import Settings, advertised
from fallow.coordinator.core import Core
from fallow.coordinator.couriers import Couriers
from fallow.coordinator.deposits import Deposit, Deposited, Unusable
from fallow.coordinator.events import (
    Answer,
    CheckpointKept,
    Commit,
    CommitFailed,
    CommitIncomplete,
    Committed,
    DropOutputs,
    Event,
    Expired,
    KeepBuildLog,
    KeepCheckpoint,
    RemoveTree,
    Step,
    Tell,
    ToNode,
)
from fallow.coordinator.housekeeping import Housekeeping
from fallow.coordinator.manifests import BadManifest
from fallow.coordinator.notifying import Notifying
from fallow.coordinator.outbox import Outbox, Peer
from fallow.coordinator.people import People
from fallow.coordinator.reception import Place, Reception
from fallow.coordinator.results import Results, no_crash
from fallow.coordinator.store import (
    NAME,
    BuildOutputKept,
    Cleared,
    DataDirLock,
    Doomed,
    Store,
    Undone,
)
from fallow.coordinator.watching import Watching
from fallow.shared import addresses
from fallow.shared.blobs import BlobStore
from fallow.shared.clock import SystemClock, boot_id
from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId
from fallow.shared.keys import load_or_make_keys
from fallow.shared.loop import Loop
from fallow.shared.moments import Moment
from fallow.shared.release import installed_version
from fallow.shared.transfer import DATA_LIMITS, DataServer
from fallow.shared.transport import (
    AllowList,
    Limits,
    ServerSocket,
    Wire,
    reserve_descriptors,
)

log = logging.getLogger(__name__)


class Server:
    """A coordinator on one data folder; `run` serves until SIGTERM or SIGINT.

    `at` is called with the name of each step of a commit just done.
    """

    def __init__(self, settings: Settings, at: Callable[[str], None] = no_crash) -> None:
        self._settings = settings
        self._clock = SystemClock()
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = DataDirLock(settings.data_dir)
        self._keys = load_or_make_keys(settings.keys, "server")
        settings.blobs.mkdir(mode=0o700, exist_ok=True)
        self._blobs = BlobStore(settings.blobs)
        self._store = Store(settings.data_dir / NAME)
        self._results = Results(settings.results, self._blobs, at)
        self._allowed = AllowList()
        self._people = People(*self._store.people(), self._allowed, _user(), self._now().wall)
        self._loop: Loop[archive.Outcome | couriers.Outcome] = Loop(
            self._clock,
            on_event=self._on_done,
            on_turn=self._on_turn,
            deadline=self._deadline,
        )
        self._archive = Archive(self._results, self._loop.post)
        self._couriers = Couriers(settings.homeserver, self._loop.post)
        self._outbox = Outbox(self._store, self._archive, at)
        self._core = Core(boot_id())
        self._answers = Answers(
            self._core, self._store, self._blobs, self._outbox.tell, self._outbox.answer
        )
        self._core.world.ways = settings.ways
        self._core.world.version = installed_version()
        self._watching = Watching(self._core, self._store, self._outbox.answer)
        self._notifying = Notifying(
            self._outbox.save, self._couriers.send, self._outbox.tell, self._name_of
        )
        self._build_outputs: list[archive.PutBuildOutput] = []
        self._keeping = Housekeeping(self._core.world, self._store, self._blobs, self._outbox.save)
        self._data: DataServer | None = None
        self._fatal: FallowError | None = None

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve, and call `ready` with the address once it answers.

        FallowError when it cannot serve, or cannot go on.
        """
        reserve_descriptors()
        self._recover()
        with Wire() as wire:
            wire.allow(self._allowed)
            control, data = self._bind(wire)
            self._core.world.address = control.address
            local = addresses.make_local_addresses(self._settings.data_dir)
            local_control = wire.serve_local(local[0], Limits())
            data_server = DataServer(
                [data, wire.serve_local(local[1], DATA_LIMITS)],
                self._blobs,
                role_of=self._people.role_of,
            )
            place = Place(advertised(self._settings, control.address), self._keys.public)
            reception = Reception(
                place,
                self._people,
                self._answers,
                self._watching,
                self._notifying,
                self._blobs,
                self._outbox,
                self._handle,
            )
            for socket in (control, local_control):
                self._loop.watch(socket, partial(self._on_readable, socket, reception))
            self._archive.start()
            data_server.start()
            self._data = data_server
            try:
                with self._loop.stopped_by_signals():
                    self._on_turn()
                    ready(control.address)
                    log.info("serving on %s", control.address)
                    self._loop.run()
            finally:
                data_server.stop()
                self._couriers.stop()
                self._archive.stop()
        self._store.close()
        self._lock.release()
        if self._fatal is not None:
            raise self._fatal

    # --- start ------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Go on where the last process ended: its removals, then its commits."""
        restored = self._core.restore(self._store.load(), self._now())
        self._notifying.restore(*self._store.notices(), self._now())
        # First: a batch that took over the name of a removed one may be among the commits.
        for doomed in self._store.doomed():
            self._results.remove_batch(doomed.uid, doomed.namespace, doomed.name)
            self._outbox.save(Cleared(doomed.uid))
        for deposit in self._store.committing():
            if self._is_whole(deposit):
                log.info("finishing the commit of attempt %s", deposit.attempt)
                for outcome in self._results.commit([deposit]):
                    self._on_archived(outcome)
            else:
                self._outbox.save(Undone(deposit.attempt))
        self._take(restored)
        self._outbox.finish()
        self._results.tidy_all()

    def _is_whole(self, deposit: Deposit) -> bool:
        try:
            return not self._results.missing(deposit.manifest)
        except BadManifest:
            return False

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

    def _on_readable(self, socket: ServerSocket, reception: Reception) -> None:
        now = self._now()
        for incoming in socket.receive_all():
            reception.on_message(Peer(socket, incoming.peer), incoming, now)

    def _on_done(self, outcome: archive.Outcome | couriers.Outcome) -> None:
        """Another thread has done something."""
        if isinstance(outcome, couriers.Delivered | couriers.Failed):
            self._notifying.came_back(outcome, self._now())
        else:
            self._on_archived(outcome)

    def _on_archived(self, outcome: archive.Outcome) -> None:
        match outcome:
            case Deposited(deposit):
                # Else its batch was removed meanwhile, and its folder by the task after this one.
                if deposit.attempt.batch in self._core.world.batches:
                    self._outbox.settle(outcome)
                    self._handle(Committed(deposit.attempt, deposit.outcome))
            case Unusable(deposit, why):
                self._outbox.save(Undone(deposit.attempt))
                self._refuse_results(deposit.attempt, why)
            case BuildOutputPut(uid, file):
                if uid in self._core.world.batches:
                    self._outbox.save(BuildOutputKept(uid, file))
            case BatchRemoved(uid):
                self._outbox.save(Cleared(uid))
            case Broken(error):
                self._end(
                    FallowError(
                        "The coordinator cannot write results",
                        f"The system says: {error}.",
                        "look whether the disk is full, then start the coordinator again;"
                        " workstations keep what was not written",
                    )
                )
            case _:
                assert_never(outcome)

    # --- one step, and the turn -------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        self._take(self._core.handle(event, self._now()))

    def _take(self, step: Step) -> None:
        self._outbox.save(*step.save)
        for send in step.send:
            match send:
                case ToNode(node, message):
                    self._outbox.tell(node, message)
                case Answer(reply, body):
                    self._outbox.answer(reply, body)
        for effect in step.do:
            match effect:
                case Commit():
                    self._begin_commit(effect)
                case KeepCheckpoint(attempt, manifest):
                    self._keep_checkpoint(attempt, manifest)
                case KeepBuildLog(namespace, batch, node, hash, size):
                    uid = self._core.world.names.get((namespace, batch))
                    if uid is not None:
                        self._build_outputs.append(
                            archive.PutBuildOutput(uid, namespace, batch, node, hash, size)
                        )
                case Tell(said):
                    self._notifying.take(said, self._now())
                case DropOutputs(manifest):
                    self._keeping.free_outputs(manifest)
                case RemoveTree(uid, namespace, batch):
                    self._keeping.free(self._store.hashes_of(uid))
                    self._outbox.save(Doomed(uid, namespace, batch))
                    self._outbox.do(archive.RemoveBatch(uid, namespace, batch))
                case _:
                    assert_never(effect)

    def _begin_commit(self, wanted: Commit) -> None:
        attempt = wanted.attempt
        try:
            missing = self._results.missing(wanted.manifest)
        except BadManifest as error:
            self._refuse_results(attempt, str(error))
            return
        if missing:
            self._handle(CommitIncomplete(attempt, missing))
            return
        spec = self._core.spec(attempt)
        inputs = () if spec is None else (*spec.shared, *spec.inputs)
        self._outbox.begin(
            Deposit(
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
        )

    def _keep_checkpoint(self, attempt: AttemptId, manifest: str) -> None:
        try:
            missing = self._results.missing(manifest)
            files = self._results.checkpoint(manifest) if not missing else ()
        except BadManifest as error:
            self._refuse_results(attempt, str(error))
            return
        if missing:
            self._handle(CommitIncomplete(attempt, missing))
            return
        self._handle(CheckpointKept(attempt, manifest, files))

    def _refuse_results(self, attempt: AttemptId, why: str) -> None:
        log.warning("the results of attempt %s are unusable: %s", attempt, why)
        self._handle(CommitFailed(attempt, why, permanent=True))

    def _on_turn(self) -> None:
        now = self._now()
        deadline = self._core.deadline()
        if deadline is not None and deadline <= now.boot:
            self._handle(Expired())
        self._answers.expire(now)
        self._take(self._core.plan(now))
        self._put_build_outputs()
        self._keeping.forget(now)
        try:
            self._outbox.finish()
            # Only what is on disk by now is told.
            self._notifying.go(now)
            if self._watching.look(now):
                self._outbox.finish()
            self._keeping.sweep(now)
        except FallowError as error:
            self._end(error)
        if self._data is not None and not self._data.alive:
            self._end(
                FallowError(
                    "The coordinator can move no files any more",
                    "This is a bug in Fallow; the lines above tell its authors more.",
                    "start the coordinator again; nothing is lost",
                )
            )

    def _put_build_outputs(self) -> None:
        """Put those beside the jobs whose bytes are here; the others stay for a later turn."""
        waiting, self._build_outputs = self._build_outputs, []
        for put in waiting:
            if self._blobs.has(put.log):
                self._outbox.do(put)
            elif put.uid in self._core.world.batches:
                self._build_outputs.append(put)

    def _deadline(self) -> float:
        deadlines = (
            self._core.deadline(),
            self._answers.deadline(),
            self._watching.deadline(),
            self._notifying.deadline(),
            self._keeping.deadline(),
        )
        return min(one for one in deadlines if one is not None)

    def _end(self, error: FallowError) -> None:
        self._fatal = error
        self._loop.stop()

    def _name_of(self, node: str, word: str) -> str | None:
        """Who is at a desk: by their public key or, on this same computer, by their number."""
        kind, _, uid = word.partition(":")
        if kind != "uid":
            return self._people.name_of(word)
        known = self._core.world.nodes.get(node)
        here = known is not None and known.record.boot == boot_id()
        return _user() if here and uid == str(os.getuid()) else None

    def _now(self) -> Moment:
        return self._clock.now()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
