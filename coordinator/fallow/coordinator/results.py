"""The results tree and the commit of one attempt's files into it, exactly once.

Not the decision whether an attempt counts (`core`) nor the rows about it (`store`): this moves
files that are all here. The opposite is `blobs`, where they come from.

    <root>/<namespace>/<batch>/<job>/             the shown attempt: its files and attempt.json
    <root>/<namespace>/<batch>/<job>/.attempts/<n>/   every attempt that failed
    <root>/<namespace>/<batch>/build_output_<workstation>.txt
    <root>/.staging/<attempt>.{new,old}           a commit under way

A commit can be cut off at any instruction and is simply done again: `attempt.json` in the job's
folder says whose files are there, `new` is made anew, and `old` is where the folder went that the
new one replaces.
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from fallow.shared.ids import AttemptId, relative_path_problem
from fallow.shared.messages import Malformed, decode_manifest
from fallow.shared.runs import Exit, Manifest, OutputFile

RECORD = "attempt.json"
ATTEMPTS = ".attempts"
_STAGING = ".staging"
_OURS = {RECORD, ATTEMPTS}
_HASH = re.compile(r"[0-9a-f]{64}")
_LONGEST_MANIFEST = 256 << 20  # bytes: some two million files
# What a path is to blame for, not the disk: too long, or not for this file system.
_FAULT_OF_NAMES = {
    errno.ENAMETOOLONG,
    errno.EILSEQ,
    errno.EINVAL,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
}

Outcome = Literal["result", "failed"]


class Blobs(Protocol):
    """What the results tree needs of the blob store."""

    def has(self, hash: str) -> bool: ...
    def path(self, hash: str) -> Path: ...


class BadManifest(Exception):
    """A workstation listed outputs that cannot be a folder; the text says why."""


class Deposit(Struct, frozen=True, kw_only=True):
    """Everything a commit must know, saved before it begins. Times are wall-clock seconds.

    `inputs` maps places below `input/` to SHA-256 in hex.
    """

    attempt: AttemptId
    outcome: Outcome
    namespace: str
    batch: str
    job: str
    owner: str
    workstation: str
    manifest: str | None
    exit: Exit
    started: float | None
    ended: float | None
    run_seconds: float
    paused_seconds: float
    inputs: dict[str, str]


class Deposited(Struct, frozen=True):
    """What the commit put into the job's folder, attempt.json included."""

    deposit: Deposit
    files: tuple[OutputFile, ...]
    folders: tuple[str, ...]


class Unusable(Struct, frozen=True):
    """This attempt's files cannot be a folder here, whoever tries; nothing was changed."""

    deposit: Deposit
    why: str


def no_crash(step: str) -> None:
    """The crash point of production: nothing happens."""


class Results:
    """The results tree below `root`, filled from `blobs`; used from one thread.

    `at` is called with the name of each step that was just done, so that a test can end the
    process there.
    """

    def __init__(self, root: Path, blobs: Blobs, at: Callable[[str], None] = no_crash) -> None:
        self._root = root
        self._blobs = blobs
        self._at = at
        self._staging = root / _STAGING
        self._staging.mkdir(parents=True, exist_ok=True)
        self._rooted: set[Path] = set()

    def missing(self, manifest: str | None) -> tuple[str, ...]:
        """The hashes a commit would lack; BadManifest when the list itself is no good."""
        if manifest is None:
            return ()
        if not self._blobs.has(manifest):
            return (manifest,)
        missing: dict[str, None] = {}
        for file in self._read(manifest).files:
            if not file.size:
                continue
            try:
                size = self._blobs.path(file.hash).stat().st_size
            except FileNotFoundError:
                missing[file.hash] = None
                continue
            if size != file.size:
                raise BadManifest(f"{file.path!r} has {size} bytes, not {file.size}")
        return tuple(missing)

    def commit(self, deposits: Sequence[Deposit]) -> list[Deposited | Unusable]:
        """Put these attempts' files in place, durably; doing it again changes nothing.

        All their blobs must be here. OSError when the disk says no: then the row still says
        `committing`, and the next start tries again.
        """
        done: list[Deposited | Unusable] = []
        fresh: list[Path] = []
        for deposit in deposits:
            try:
                done.append(self._assemble(deposit, fresh))
            except BadManifest as error:
                done.append(Unusable(deposit, str(error)))
            except OSError as error:
                if error.errno not in _FAULT_OF_NAMES:
                    raise
                why = f"its files cannot be laid out here: {error.strerror}"
                done.append(Unusable(deposit, why))
        deposits = [each.deposit for each in done if isinstance(each, Deposited)]
        for each in done:
            if isinstance(each, Unusable):
                shutil.rmtree(self._stage(each.deposit, "new"), ignore_errors=True)
        in_staging = set(fresh)
        # All are forced to disk together: what the first one waits for is most of the others'.
        for path in fresh:
            _sync(path)
        self._at("assembled")
        changed: dict[Path, None] = {}
        for deposit in deposits:
            assembled = self._stage(deposit, "new") / RECORD in in_staging
            changed.update(dict.fromkeys(self._install(deposit, assembled)))
        for folder in changed:
            _sync(folder)
        self._at("parents synced")
        return done

    def tidy(self, deposits: Iterable[Deposit]) -> None:
        """Remove what these commits left in the staging folder; after their rows are saved."""
        for deposit in deposits:
            old = self._stage(deposit, "old")
            if old.exists():
                shutil.rmtree(old, ignore_errors=True)

    def tidy_all(self) -> None:
        """Empty the staging folder; at start, when every interrupted commit has been finished."""
        for path in self._staging.iterdir():
            shutil.rmtree(path, ignore_errors=True)

    def put_build_output(self, namespace: str, batch: str, workstation: str, log: str) -> str:
        """Put a build's output beside the jobs and return its name; the last build's stays."""
        name = build_output_name(workstation)
        folder = self._root / namespace / batch
        folder.mkdir(parents=True, exist_ok=True)
        fresh = self._staging / f"build-{os.urandom(8).hex()}"
        fresh.mkdir()
        try:
            _place(self._blobs.path(log), fresh / name)
            os.replace(fresh / name, folder / name)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return name

    def remove_batch(self, uid: str, namespace: str, batch: str) -> None:
        """Remove a batch's folder; its name is free at once, even when this is cut off."""
        doomed = self._staging / f"removed-{uid}"
        self._rooted.discard(self._root / namespace / batch)
        try:
            os.rename(self._root / namespace / batch, doomed)
        except FileNotFoundError:
            pass
        try:
            (self._root / namespace).rmdir()
        except OSError:
            pass  # other batches live there
        shutil.rmtree(doomed, ignore_errors=True)

    def _read(self, manifest: str | None) -> Manifest:
        if manifest is None:
            return Manifest()
        place = self._blobs.path(manifest)
        if place.stat().st_size > _LONGEST_MANIFEST:
            raise BadManifest("its list of outputs is too long")
        try:
            read = decode_manifest(place.read_bytes())
        except Malformed as error:
            raise BadManifest(f"its list of outputs cannot be read: {error}") from None
        return _checked(read)

    def _stage(self, deposit: Deposit, which: str) -> Path:
        return self._staging / f"{deposit.attempt}.{which}"

    def _assemble(self, deposit: Deposit, fresh: list[Path]) -> Deposited:
        manifest = self._read(deposit.manifest)
        record = attempt_file(deposit, manifest)
        listed = (*manifest.files, _listed(record))
        if self._installed(deposit):
            return Deposited(deposit, listed, manifest.folders)
        new = self._stage(deposit, "new")
        try:
            new.mkdir()
        except FileExistsError:
            shutil.rmtree(new)
            new.mkdir()
        failed = deposit.outcome == "failed"
        tops = [new]
        if failed:
            tops.append(new / ATTEMPTS / str(deposit.attempt.number))
            tops[1].mkdir(parents=True)
        folders = {*tops, new / ATTEMPTS} if failed else {new}
        for top in tops:
            for below in manifest.folders:
                _make_folders(top, below, folders)
        for file in manifest.files:
            source = self._blobs.path(file.hash) if file.size else None
            for top in tops:
                if "/" in file.path:
                    _make_folders(top, file.path.rpartition("/")[0], folders)
                _place(source, top / file.path, file.executable)
        _write(new / RECORD, record)
        self._keep(new / RECORD, listed[-1].hash)
        if failed:
            os.link(new / RECORD, tops[1] / RECORD)
        fresh.append(new / RECORD)
        fresh += folders
        return Deposited(deposit, listed, manifest.folders)

    def _keep(self, record: Path, hash: str) -> None:
        """Let attempt.json be fetched like any blob; not forced to disk, it can be made again."""
        blob = self._blobs.path(hash)
        try:
            os.link(record, blob)
        except FileExistsError:
            pass
        except FileNotFoundError:
            blob.parent.mkdir(mode=0o700, exist_ok=True)
            os.link(record, blob)

    def _install(self, deposit: Deposit, assembled: bool) -> list[Path]:
        """Rename the assembled folder into place; returns the folders that must be synced."""
        new, old = self._stage(deposit, "new"), self._stage(deposit, "old")
        batch = self._root / deposit.namespace / deposit.batch
        job = batch / deposit.job
        changed = [batch]
        batch.mkdir(parents=True, exist_ok=True)
        if batch not in self._rooted:
            # Once in a process: an earlier one may have ended between making and syncing it.
            changed += [batch.parent, self._root]
            self._rooted.add(batch)
        if assembled:
            try:
                os.rename(new, job)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                    raise
                os.rename(job, old)
                self._at("old moved")
                os.rename(new, job)
            self._at("renamed")
        earlier = old / ATTEMPTS
        if earlier.is_dir():
            kept = job / ATTEMPTS
            kept.mkdir(exist_ok=True)
            for attempt in os.listdir(earlier):
                if not (kept / attempt).exists():
                    os.rename(earlier / attempt, kept / attempt)
            changed += [kept, job]
            self._at("attempts moved")
        return changed

    def _installed(self, deposit: Deposit) -> bool:
        job = self._root / deposit.namespace / deposit.batch / deposit.job
        try:
            found = msgspec.json.decode((job / RECORD).read_bytes(), type=_Whose)
        except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
            return False
        return found.id == str(deposit.attempt)


class _Whose(Struct):
    id: str


def build_output_name(workstation: str) -> str:
    return f"build_output_{workstation}.txt"


def attempt_file(deposit: Deposit, manifest: Manifest) -> bytes:
    """The text of attempt.json; the same deposit always gives the same bytes."""
    content = {
        "schema": 1,
        "id": str(deposit.attempt),
        "namespace": deposit.namespace,
        "batch": deposit.batch,
        "job": deposit.job,
        "owner": deposit.owner,
        "attempt": deposit.attempt.number,
        "workstation": deposit.workstation,
        "succeeded": deposit.outcome == "result",
        "exit": deposit.exit,
        "started": _iso(deposit.started),
        "ended": _iso(deposit.ended),
        "run_seconds": round(deposit.run_seconds, 3),
        "paused_seconds": round(deposit.paused_seconds, 3),
        "inputs": deposit.inputs,
        "outputs": {file.path: {"sha256": file.hash, "size": file.size} for file in manifest.files},
        "notes": manifest.notes,
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def _listed(record: bytes) -> OutputFile:
    return OutputFile(RECORD, hashlib.sha256(record).hexdigest(), len(record))


def _iso(wall: float | None) -> str | None:
    if wall is None:
        return None
    return datetime.fromtimestamp(wall).astimezone().isoformat(timespec="milliseconds")


def _checked(manifest: Manifest) -> Manifest:
    """The manifest with names that are ours moved aside; BadManifest when it is no folder."""
    files: list[OutputFile] = []
    for file in manifest.files:
        if not _HASH.fullmatch(file.hash) or file.size < 0:
            raise BadManifest(f"what {file.path!r} holds is no hash")
        files.append(msgspec.structs.replace(file, path=_aside(_sound(file.path))))
    folders = tuple(_aside(_sound(folder)) for folder in manifest.folders)
    leaves = {file.path for file in files}
    if len(leaves) != len(files):
        raise BadManifest("it lists a file twice")
    for path in (*leaves, *folders):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in leaves:
                raise BadManifest(f"{path!r} lies below a file")
    if leaves & set(folders):
        raise BadManifest("it lists a file and a folder of one name")
    return Manifest(tuple(files), folders, manifest.notes)


def _sound(path: str) -> str:
    problem = relative_path_problem(path)
    if problem:
        raise BadManifest(f"the output {path!r} {problem}")
    return path


def _aside(path: str) -> str:
    first, slash, rest = path.partition("/")
    return f"{first}.from_job{slash}{rest}" if first in _OURS else path


def _make_folders(top: Path, below: str, made: set[Path]) -> None:
    folder = top
    for part in below.split("/"):
        folder = folder / part
        if folder not in made:
            folder.mkdir(exist_ok=True)
            made.add(folder)


def _place(source: Path | None, target: Path, executable: bool = False) -> None:
    """Make `target` a read-only file with the content of `source` (None: empty)."""
    mode = 0o555 if executable else 0o444
    if source is None:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode))
        return
    if not executable:
        try:
            os.link(source, target)
        except OSError as error:
            # Too many links, another file system, or a file system without links.
            if error.errno not in {errno.EMLINK, errno.EXDEV, errno.EPERM, errno.ENOTSUP}:
                raise
        else:
            os.chmod(target, mode)
            return
    with open(source, "rb") as reader, open(target, "xb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fchmod(writer.fileno(), mode)
        os.fsync(writer.fileno())


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
