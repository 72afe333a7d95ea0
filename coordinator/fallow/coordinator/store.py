"""What the coordinator knows, on disk: SQLite in WAL mode, one transaction per turn of the loop.

Not the decisions (`core`) nor the files of results (`results`). The only `import sqlite3`.
The opposite is `records`, the values that are kept here. Tables of state are the truth; `event` is
the audit.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Self, TypeAlias

import msgspec
from msgspec import Struct

from fallow.coordinator.people import KeyRecord, TokenRecord
from fallow.coordinator.records import (
    AttemptRecord,
    AttemptState,
    BatchRecord,
    BuildRecord,
    Collecting,
    DropBatch,
    EventRecord,
    JobRecord,
    JobState,
    Live,
    Loaded,
    NodeRecord,
    Save,
)
from fallow.coordinator.results import Deposit, Deposited
from fallow.coordinator.schema import MIGRATIONS
from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.runs import Exit, OutputFile

NAME = "fallow.sqlite"

Row: TypeAlias = tuple[Any, ...]


class Committing(Struct, frozen=True):
    """A commit into the results tree is about to begin."""

    deposit: Deposit


class Undone(Struct, frozen=True):
    """That commit was not begun after all: something was missing."""

    attempt: AttemptId


class BuildOutputKept(Struct, frozen=True):
    """A build's output lies beside the jobs of this batch."""

    batch: str
    file: OutputFile


class Doomed(Struct, frozen=True):
    """The results of this batch (already dropped) are to be removed."""

    uid: str
    namespace: str
    name: str


class Cleared(Struct, frozen=True):
    """They have been removed."""

    uid: str


AnySave: TypeAlias = (
    Save
    | KeyRecord
    | TokenRecord
    | Committing
    | Deposited
    | Undone
    | BuildOutputKept
    | Doomed
    | Cleared
)

_encode = msgspec.json.Encoder().encode
_job_state = msgspec.json.Decoder(JobState)
_attempt_state = msgspec.json.Decoder(AttemptState)
_exit = msgspec.json.Decoder(Exit)
_names = msgspec.json.Decoder(tuple[str, ...])


class DataDirLock:
    """Keeps a second coordinator out of a data folder, as long as this process lives."""

    def __init__(self, data_dir: Path) -> None:
        path = data_dir / "lock"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 100, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise FallowError(
                f"A coordinator already runs on {data_dir}",
                f"Its process is {holder or 'unknown'}.",
                "use that one, stop it, or choose another folder with --data-dir",
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._file)


class Store:
    """The database of one data folder; used from one thread.

    Every method raises FallowError when the disk or the file says no: the process should end then,
    since what is on disk is the truth.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, cached_statements=256)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._forcing = True
            self._db.execute("PRAGMA foreign_keys = ON")
            self._migrate()
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def commit(self, saves: Iterable[AnySave]) -> None:
        """Write all of these in one transaction; when it returns, they are on disk.

        What the next Report says again is only written: it survives the end of this process, and
        is forced to disk with the next commit that matters.
        """
        saves = list(saves)
        try:
            self._force(not all(map(_is_repeated, saves)))
            self._db.execute("BEGIN IMMEDIATE")
            # The order of the records is their owners' business, not that of the references.
            self._db.execute("PRAGMA defer_foreign_keys = ON")
            for kind, group in _grouped(saves):
                self._write(kind, group)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._broken(error) from None

    def load(self) -> Loaded:
        """Everything that the core needs to go on where it was."""
        return Loaded(
            batches=tuple(
                msgspec.json.decode(row[0], type=BatchRecord)
                for row in self._query("SELECT record FROM batch ORDER BY rowid")
            ),
            jobs=tuple(map(_job, self._query("SELECT * FROM job ORDER BY batch, idx"))),
            attempts=tuple(
                map(_attempt, self._query("SELECT * FROM attempt ORDER BY batch, idx, number"))
            ),
            builds=tuple(BuildRecord(**row) for row in self._named("SELECT * FROM build")),
            nodes=tuple(
                msgspec.json.decode(row[0], type=NodeRecord)
                for row in self._query("SELECT record FROM node ORDER BY name")
            ),
        )

    def people(self) -> tuple[list[KeyRecord], list[TokenRecord]]:
        """All keys and invitations."""
        tokens = [
            TokenRecord(**{**row, "used_by": _names.decode(row["used_by"])})
            for row in self._named("SELECT * FROM token")
        ]
        return [KeyRecord(**row) for row in self._named("SELECT * FROM key")], tokens

    def committing(self) -> list[Deposit]:
        """The commits that were begun and not finished."""
        rows = self._query("SELECT deposit FROM result WHERE state = 'committing'")
        return [msgspec.json.decode(row[0], type=Deposit) for row in rows]

    def doomed(self) -> list[Doomed]:
        """The batches whose results are still to be removed."""
        return [Doomed(*row) for row in self._query("SELECT uid, namespace, name FROM doomed")]

    def results(
        self, uid: str, first: int, last: int
    ) -> dict[int, list[tuple[int, str, tuple[str, ...]]]]:
        """Committed results of the jobs from number `first` to `last`.

        For each job, by attempt: (number, outcome, empty folders).
        """
        found: dict[int, list[tuple[int, str, tuple[str, ...]]]] = {}
        for row in self._query(
            "SELECT idx, number, outcome, folders FROM result"
            " WHERE batch = ? AND idx BETWEEN ? AND ? AND state = 'committed' ORDER BY idx, number",
            (uid, first, last),
        ):
            found.setdefault(row[0], []).append((row[1], row[2], _names.decode(row[3])))
        return found

    def result_files(
        self, uid: str, first: int, last: int
    ) -> dict[tuple[int, int], list[OutputFile]]:
        """The files of the results of these jobs, by (job number, attempt number)."""
        found: dict[tuple[int, int], list[OutputFile]] = {}
        for row in self._query(
            "SELECT idx, number, path, hash, size, executable FROM result_file"
            " WHERE batch = ? AND idx BETWEEN ? AND ?",
            (uid, first, last),
        ):
            found.setdefault((row[0], row[1]), []).append(
                OutputFile(os.fsdecode(row[2]), row[3].hex(), row[4], bool(row[5]))
            )
        return found

    def listed_bytes(self, uid: str, first: int, last: int) -> dict[int, int]:
        """About how many bytes it takes to list the files of each of these jobs that has any."""
        return dict(
            self._query(
                "SELECT idx, SUM(LENGTH(path) + 100) FROM result_file"
                " WHERE batch = ? AND idx BETWEEN ? AND ? GROUP BY idx",
                (uid, first, last),
            )
        )

    def build_outputs(self, uid: str) -> list[OutputFile]:
        """The files beside the jobs."""
        rows = self._query("SELECT name, hash, size FROM build_output WHERE batch = ?", (uid,))
        return [OutputFile(row[0], row[1].hex(), row[2]) for row in rows]

    def hashes_of(self, uid: str) -> set[str]:
        """Every blob that the batch and its results consist of, and what listed these."""
        found = {file.hash for file in self.build_outputs(uid)}
        listed = "SELECT manifest FROM attempt WHERE batch = ? AND manifest IS NOT NULL"
        found |= {str(row[0]) for row in self._query(listed, (uid,))}
        for row in self._query("SELECT DISTINCT hash FROM result_file WHERE batch = ?", (uid,)):
            found.add(row[0].hex())
        for row in self._query("SELECT record FROM batch WHERE uid = ?", (uid,)):
            record = msgspec.json.decode(row[0], type=BatchRecord)
            for contents in record.contents.values():
                found |= {content.hash for content in contents}
        return found

    def used_hashes(self) -> Iterator[str]:
        """Every blob that some result or build output consists of."""
        for table in ("result_file", "build_output"):
            for row in self._query(f"SELECT DISTINCT hash FROM {table}"):
                yield row[0].hex()

    def _write(self, kind: type, saves: Sequence[Any]) -> None:
        sql, rows = _WRITES[kind]
        self._db.executemany(sql, map(rows, saves))
        if kind is Deposited:
            self._db.executemany(
                "INSERT OR REPLACE INTO result_file VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *_numbers(deposited.deposit.attempt),
                        os.fsencode(file.path),
                        bytes.fromhex(file.hash),
                        file.size,
                        file.executable,
                    )
                    for deposited in saves
                    for file in deposited.files
                ],
            )

    def _force(self, wanted: bool) -> None:
        """Whether the next commit waits for the disk."""
        if wanted != self._forcing:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if wanted else 'NORMAL'}")
            self._forcing = wanted

    def _query(self, sql: str, values: Row = ()) -> list[Row]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def _named(self, sql: str) -> list[dict[str, Any]]:
        try:
            cursor = self._db.execute(sql)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def _migrate(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise FallowError(
                f"{self._path} was written by a newer Fallow",
                f"Its version is {version}, this program knows up to {len(MIGRATIONS)}.",
                "start the newer program on it",
            )
        for number in range(version, len(MIGRATIONS)):
            self._db.executescript(
                f"BEGIN IMMEDIATE;\n{MIGRATIONS[number]}\n"
                f"PRAGMA user_version = {number + 1};\nCOMMIT;"
            )

    def _broken(self, error: sqlite3.Error) -> FallowError:
        return FallowError(
            f"The coordinator's database cannot be used: {self._path}",
            f"SQLite says: {error}.",
            "look whether the disk is full or the file damaged, then start the coordinator again;"
            " what was acknowledged is on disk",
        )


def _grouped(saves: Sequence[AnySave]) -> Iterable[tuple[type, Sequence[AnySave]]]:
    """The saves by kind, since many rows of a table at once cost less than one by one.

    Their order counts only where something is deleted, so then it is kept.
    """
    kinds: dict[type, list[AnySave]] = {}
    for save in saves:
        kinds.setdefault(type(save), []).append(save)
    if not kinds.keys() & _IN_ORDER:
        return kinds.items()
    return [(kind, list(group)) for kind, group in groupby(saves, type)]


def _is_repeated(save: AnySave) -> bool:
    """Whether the workstation's next Report says this again, or it only tells of what does."""
    if isinstance(save, AttemptRecord):
        return isinstance(save.state, Live | Collecting)
    return isinstance(save, EventRecord)


def _job(row: Row) -> JobRecord:
    return JobRecord(
        id=JobId(row[0], row[1]),
        name=row[2],
        state=_job_state.decode(row[4]),
        attempts=row[5],
        failures=row[6],
        crashes=row[7],
        evictions=row[8],
        killed=bool(row[9]),
        crashed_on=_names.decode(row[10]),
    )


def _attempt(row: Row) -> AttemptRecord:
    return AttemptRecord(
        id=AttemptId(row[0], row[1], row[2]),
        node=row[3],
        state=_attempt_state.decode(row[5]),
        cpus=row[6],
        memory=row[7],
        assigned=row[8],
        exit=None if row[9] is None else _exit.decode(row[9]),
        manifest=row[10],
        started=row[11],
        ended=row[12],
        closed=row[13],
        run_seconds=row[14],
        paused_seconds=row[15],
        doubtful=bool(row[16]),
    )


def _numbers(attempt: AttemptId) -> Row:
    return attempt.batch, attempt.index, attempt.number


def _tag(state: JobState | AttemptState) -> str:
    return str(state.__struct_config__.tag)


def _upsert(table: str, keys: int, columns: str) -> str:
    names = columns.split()
    changed = ", ".join(f"{name} = excluded.{name}" for name in names[keys:])
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        f" ON CONFLICT ({', '.join(names[:keys])}) DO UPDATE SET {changed}"
    )


_Write: TypeAlias = tuple[str, Callable[[Any], Row]]
_WRITES: dict[type, _Write] = {
    BatchRecord: (
        _upsert("batch", 1, "uid namespace name record"),
        lambda it: (it.uid, it.namespace, it.name, _encode(it)),
    ),
    JobRecord: (
        _upsert(
            "job",
            2,
            "batch idx name tag state attempts failures crashes evictions killed crashed_on",
        ),
        lambda it: (
            it.id.batch,
            it.id.index,
            it.name,
            _tag(it.state),
            _encode(it.state),
            it.attempts,
            it.failures,
            it.crashes,
            it.evictions,
            it.killed,
            _encode(it.crashed_on),
        ),
    ),
    AttemptRecord: (
        _upsert(
            "attempt",
            3,
            "batch idx number node tag state cpus memory assigned exit manifest started ended"
            " closed run_seconds paused_seconds doubtful",
        ),
        lambda it: (
            *_numbers(it.id),
            it.node,
            _tag(it.state),
            _encode(it.state),
            it.cpus,
            it.memory,
            it.assigned,
            None if it.exit is None else _encode(it.exit),
            it.manifest,
            it.started,
            it.ended,
            it.closed,
            it.run_seconds,
            it.paused_seconds,
            it.doubtful,
        ),
    ),
    BuildRecord: (
        _upsert("build", 2, "batch node key state log log_size text"),
        lambda it: (it.batch, it.node, it.key, it.state, it.log, it.log_size, it.text),
    ),
    NodeRecord: (_upsert("node", 1, "name record"), lambda it: (it.name, _encode(it))),
    EventRecord: (
        "INSERT INTO event (wall, kind, ref, node, attempt, text) VALUES (?, ?, ?, ?, ?, ?)",
        lambda it: (it.wall, it.kind, it.ref, it.node, it.attempt, it.text),
    ),
    DropBatch: ("DELETE FROM batch WHERE uid = ?", lambda it: (it.uid,)),
    KeyRecord: (
        _upsert("key", 1, "public name role created token revoked"),
        lambda it: (it.public, it.name, it.role, it.created, it.token, it.revoked),
    ),
    TokenRecord: (
        _upsert("token", 1, "public role name created expires uses used_by"),
        lambda it: (
            it.public,
            it.role,
            it.name,
            it.created,
            it.expires,
            it.uses,
            _encode(it.used_by),
        ),
    ),
    Committing: (
        _upsert("result", 3, "batch idx number outcome state deposit folders"),
        lambda it: (
            *_numbers(it.deposit.attempt),
            it.deposit.outcome,
            "committing",
            _encode(it.deposit),
            b"[]",
        ),
    ),
    Deposited: (
        _upsert("result", 3, "batch idx number outcome state deposit folders"),
        # attempt.json says the rest by now.
        lambda it: (
            *_numbers(it.deposit.attempt),
            it.deposit.outcome,
            "committed",
            b"",
            _encode(it.folders),
        ),
    ),
    Undone: (
        "DELETE FROM result WHERE batch = ? AND idx = ? AND number = ? AND state = 'committing'",
        lambda it: _numbers(it.attempt),
    ),
    BuildOutputKept: (
        _upsert("build_output", 2, "batch name hash size"),
        lambda it: (it.batch, it.file.path, bytes.fromhex(it.file.hash), it.file.size),
    ),
    Doomed: (
        _upsert("doomed", 1, "uid namespace name"),
        lambda it: (it.uid, it.namespace, it.name),
    ),
    Cleared: ("DELETE FROM doomed WHERE uid = ?", lambda it: (it.uid,)),
}
_IN_ORDER = {DropBatch, Undone, Doomed, Cleared}
