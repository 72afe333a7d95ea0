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
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from fallow.coordinator.deposits import (
    RECORD,
    Deposit,
    Deposited,
    Unusable,
    as_listed,
    attempt_file,
)
from fallow.coordinator.laying import NO_LINK, make_folders, place, sync, write
from fallow.coordinator.manifests import ATTEMPTS, BadManifest, checked
from fallow.shared.messages import Input, Malformed, decode_manifest
from fallow.shared.runs import Manifest

_STAGING = ".staging"
_LONGEST_MANIFEST = 256 << 20  # bytes: some two million files
_LONGEST_CHECKPOINT = 32 << 20  # bytes: half of what one message may have
_LISTED = 120  # bytes that each of its files takes there, besides its path
# What a path is to blame for, not the disk: too long, or not for this file system.
_FAULT_OF_NAMES = {
    errno.ENAMETOOLONG,
    errno.EILSEQ,
    errno.EINVAL,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
}


class Blobs(Protocol):
    """What the results tree needs of the blob store."""

    def has(self, hash: str) -> bool: ...
    def path(self, hash: str) -> Path: ...
    def put_bytes(self, data: bytes) -> str: ...


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

    def checkpoint(self, manifest: str) -> tuple[Input, ...]:
        """What a manifest that is here lists, to be placed again; BadManifest if it cannot be."""
        files = self._read(manifest).files
        if sum(_LISTED + len(each.path) for each in files) > _LONGEST_CHECKPOINT:
            raise BadManifest("its checkpoint has too many files to be told to a workstation")
        return tuple(Input(each.path, each.hash, each.size, each.executable) for each in files)

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
        in_staging = {path.relative_to(self._staging).parts[0] for path in fresh}
        # All are forced to disk together: what the first one waits for is most of the others'.
        for path in fresh:
            sync(path)
        self._at("assembled")
        changed: dict[Path, None] = {}
        for deposit in deposits:
            assembled = self._stage(deposit, "new").name in in_staging
            changed.update(dict.fromkeys(self._install(deposit, assembled)))
        for folder in changed:
            sync(folder)
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
            place(self._blobs.path(log), fresh / name)
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
        where = self._blobs.path(manifest)
        if where.stat().st_size > _LONGEST_MANIFEST:
            raise BadManifest("its list of outputs is too long")
        try:
            read = decode_manifest(where.read_bytes())
        except Malformed as error:
            raise BadManifest(f"its list of outputs cannot be read: {error}") from None
        return checked(read)

    def _stage(self, deposit: Deposit, which: str) -> Path:
        return self._staging / f"{deposit.attempt}.{which}"

    def _assemble(self, deposit: Deposit, fresh: list[Path]) -> Deposited:
        manifest = self._read(deposit.manifest)
        record = attempt_file(deposit, manifest)
        listed = (*manifest.files, as_listed(record))
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
            kept = new / ATTEMPTS / str(deposit.attempt.number)
            kept.mkdir(parents=True)
            tops = [kept] if self._is_beside(deposit) else [new, kept]
        folders = {*tops, new, new / ATTEMPTS} if failed else {new}
        for top in tops:
            for below in manifest.folders:
                make_folders(top, below, folders)
        for file in manifest.files:
            source = self._blobs.path(file.hash) if file.size else None
            for top in tops:
                if "/" in file.path:
                    make_folders(top, file.path.rpartition("/")[0], folders)
                place(source, top / file.path, file.executable)
        first, *others = tops
        write(first / RECORD, record)
        self._keep(first / RECORD, record, listed[-1].hash)
        for top in others:
            os.link(first / RECORD, top / RECORD)
        fresh.append(first / RECORD)
        fresh += folders
        return Deposited(deposit, listed, manifest.folders)

    def _keep(self, record: Path, content: bytes, hash: str) -> None:
        """Let attempt.json be fetched like any blob; not forced to disk, it can be made again."""
        blob = self._blobs.path(hash)
        try:
            try:
                os.link(record, blob)
            except FileNotFoundError:
                blob.parent.mkdir(mode=0o700, exist_ok=True)
                os.link(record, blob)
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
            self._blobs.put_bytes(content)

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
        if self._is_beside(deposit):
            kept = job / ATTEMPTS
            if assembled:
                kept.mkdir(exist_ok=True)
                number = str(deposit.attempt.number)
                os.rename(new / ATTEMPTS / number, kept / number)
                shutil.rmtree(new)
            return [*changed, kept, job]
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
        if self._is_beside(deposit):
            job = job / ATTEMPTS / str(deposit.attempt.number)
        found = _whose(job)
        return found is not None and found.id == str(deposit.attempt)

    def _is_beside(self, deposit: Deposit) -> bool:
        """Whether it failed, and an earlier success stays in the job's own folder."""
        if deposit.outcome != "failed":
            return False
        shown = _whose(self._root / deposit.namespace / deposit.batch / deposit.job)
        return shown is not None and shown.succeeded


class _Whose(Struct):
    id: str
    succeeded: bool = False


def _whose(folder: Path) -> _Whose | None:
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=_Whose)
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return None


def build_output_name(workstation: str) -> str:
    return f"build_output_{workstation}.txt"
