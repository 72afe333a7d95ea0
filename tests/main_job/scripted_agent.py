"""A workstation that runs nothing: it answers each assignment with the result a test wrote.

It speaks the real wire with a real key and moves real blobs. Not the agent of the product; the
opposite is the coordinator under test.
"""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from fallow.shared.addresses import data_address
from fallow.shared.blobs import BlobStore
from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId
from fallow.shared.keys import decode_invitation, load_or_make_keys
from fallow.shared.messages import (
    PROTOCOL,
    Accepted,
    Assign,
    BuildReport,
    CoordinatorMessage,
    Enrol,
    Enrolled,
    Hello,
    JobSpec,
    Missing,
    Notice,
    Noticed,
    Rejected,
    Report,
    Request,
    Resources,
    RunReport,
    Tail,
    Tailed,
    Welcome,
    Withdraw,
    decode_for_agent,
    decode_reply,
    encode,
)
from fallow.shared.runs import (
    Exit,
    Exited,
    Finished,
    Manifest,
    OutputFile,
    Running,
    Stopped,
    Verdict,
)
from fallow.shared.transfer import DataClient, Delivered, NotMoved
from fallow.shared.transport import ConnectionEvent, KeyPair, Limits, Poller, Wire
from fallow.shared.waker import Waker


class Result(Struct, frozen=True):
    """What a job leaves: its files by path, and how it ended. `executable` names one of them."""

    files: dict[str, bytes] = {}
    exit: Exit = Exited(0)
    executable: str = ""


Work = Callable[[JobSpec, int], Result | None]
"""From the job and its attempt's number to what it leaves, or None: it runs on for now."""


def says_hello(job: JobSpec, attempt: int) -> Result:
    return Result({"stdout.txt": f"hello from {job.job}\n".encode(), "stderr.txt": b""})


def enrol(token: str, keys: KeyPair, name: str = "x") -> Enrolled:
    """Use a token by hand; FallowError when it is refused."""
    invitation = decode_invitation(token)
    with Wire() as wire:
        socket = wire.connect(
            invitation.addresses, Limits(), keys=invitation.keys, server=invitation.server
        )
        body = decode_reply(
            socket.request(encode(Request(1, Enrol(keys.public, name))), timeout=10)[0]
        ).body
    if not isinstance(body, Enrolled):
        raise FallowError(getattr(body, "title", repr(body)))
    return body


class ScriptedAgent:
    """Use it in a `with`: it works in a thread until the end of it.

    `assigned` counts what came, by attempt; `runs` is what its next Report lists.
    """

    def __init__(
        self,
        folder: Path,
        token: str,
        work: Work = says_hello,
        *,
        cpus: int = 2,
        build: BuildReport | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._keys = load_or_make_keys(folder / "keys")
        self._invitation = decode_invitation(token)
        self.name = enrol(token, self._keys, "scripted").name
        self._blobs = BlobStore(folder / "blobs", durable=False)
        self._work = work
        self._resources = Resources(cpus, 8 << 30, capabilities=("gfortran",))
        self._build = build
        self.runs: dict[AttemptId, RunReport] = {}
        self._specs: dict[AttemptId, JobSpec] = {}
        self._uploading: dict[AttemptId, set[str]] = {}
        self._session = self._seq = self._heard = 0
        self._dirty = False
        self._waker = Waker()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._delivered: list[str] = []
        self.assigned: dict[AttemptId, int] = {}
        self.accepted: dict[AttemptId, str] = {}
        self.withdrawn: dict[AttemptId, str] = {}
        self.rejected = ""
        self.denied = False
        self.live_output = b""
        self.people: tuple[str, ...] = ()
        self.notices: list[Notice] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._waker.wake()
        self._thread.join()

    @property
    def public_key(self) -> str:
        return self._keys.public

    def change_work(self, work: Work) -> None:
        """From now on; what runs is looked at again."""
        self._work = work
        self._waker.wake()

    def _run(self) -> None:
        invitation = self._invitation
        with Wire() as wire:
            control = wire.connect(
                invitation.addresses, Limits(), keys=self._keys, server=invitation.server
            )
            data = DataClient(
                wire,
                [data_address(each) for each in invitation.addresses],
                self._blobs,
                on_event=self._on_moved,
                keys=self._keys,
                server=invitation.server,
            )
            self._data = data
            data.start()
            poller = Poller()
            poller.add(control)
            poller.add(self._waker)
            while not self._stopping.is_set():
                poller.wait(0.2)
                self._waker.drain()
                for event in control.events():
                    self.denied |= event is ConnectionEvent.DENIED
                    if event is ConnectionEvent.CONNECTED:
                        self._session = 0
                        control.send(encode(self._hello()))
                for frames in control.receive_all():
                    answer = self._hear(decode_for_agent(frames[0]))
                    if answer is not None:
                        control.send(encode(answer))
                self._settle()
                self._go_on()
                if self._session:
                    self._seq += 1
                    control.send(encode(self._report()))
            data.stop()

    def _hello(self) -> Hello:
        return Hello("scripted", "boot", PROTOCOL, "test", self._resources)

    def _report(self) -> Report:
        # Everything is finished, so a build that any of it needed is, too.
        builds = tuple(
            replace(self._build, batch=batch, key=spec.build.key)
            for batch, spec in {id.batch: spec for id, spec in self._specs.items()}.items()
            if spec.build is not None and self._build is not None
        )
        return Report(
            self._session,
            self._seq,
            self._heard,
            Verdict("away"),
            True,
            builds,
            tuple(self.runs.values()),
            self.people,
        )

    def _hear(self, message: CoordinatorMessage) -> Tailed | Noticed | None:
        match message:
            case Welcome(session):
                self._session, self._seq, self._heard = session, 0, 0
            case Assign(n, attempt, job):
                self._heard = n
                self.assigned[attempt] = self.assigned.get(attempt, 0) + 1
                self._specs[attempt] = job
                self.runs.setdefault(attempt, RunReport(attempt, Running()))
            case Withdraw(n, attempt, why):
                self._heard = n
                self.withdrawn[attempt] = why
                if attempt in self.runs and isinstance(self.runs[attempt].state, Running):
                    self._finish(attempt, Result(exit=Stopped(why)), keep=False)
            case Accepted(attempt, outcome):
                self.accepted[attempt] = outcome
                self.runs.pop(attempt, None)
            case Missing(attempt, hashes):
                self._uploading[attempt] = set(hashes)
                self._upload(hashes)
            case Tail(request, attempt, _, offset, limit):
                whole = self.live_output
                start = len(whole) if offset < 0 else offset
                return Tailed(request, whole[start : start + limit], start, len(whole))
            case Notice(number):
                self.notices.append(message)
                return Noticed(number)
            case Rejected(reason):
                self.rejected = reason
            case _:
                pass
        return None

    def _go_on(self) -> None:
        for attempt, run in list(self.runs.items()):
            if isinstance(run.state, Running):
                result = self._work(self._specs[attempt], attempt.number)
                if result is not None:
                    self._finish(attempt, result)

    def _finish(self, attempt: AttemptId, result: Result, keep: bool = True) -> None:
        manifest = None
        if keep:
            files = tuple(
                OutputFile(
                    path,
                    hashlib.sha256(content).hexdigest(),
                    len(content),
                    path == result.executable,
                )
                for path, content in result.files.items()
            )
            for content in result.files.values():
                self._blobs.put_bytes(content)
            manifest = self._blobs.put_bytes(encode(Manifest(files)))
            hashes = {manifest, *(file.hash for file in files)}
            self._uploading[attempt] = set(hashes)
            self._upload(hashes)
        state = Finished(result.exit, manifest, stored=not keep, started=1000.0, ended=1001.0)
        self.runs[attempt] = RunReport(attempt, state, run_seconds=1.0)

    def _upload(self, hashes: "set[str] | tuple[str, ...]") -> None:
        for hash in hashes:
            self._data.upload(hash, self._blobs.path(hash).stat().st_size)

    def _on_moved(self, event: object) -> None:
        if isinstance(event, Delivered):
            self._delivered.append(event.hash)
            self._waker.wake()
        elif isinstance(event, NotMoved):
            raise AssertionError(f"{event.hash} was not moved: {event.why}")

    def _settle(self) -> None:
        while self._delivered:
            hash = self._delivered.pop()
            for attempt, hashes in list(self._uploading.items()):
                hashes.discard(hash)
                run = self.runs.get(attempt)
                if not hashes and run is not None and isinstance(run.state, Finished):
                    del self._uploading[attempt]
                    stored = replace(run.state, stored=True)
                    self.runs[attempt] = replace(run, state=stored)
