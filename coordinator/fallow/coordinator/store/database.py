"""The database of one data folder: SQLite in WAL mode, one transaction per turn of the loop.

Not the decisions (`core`) nor the files of results (`results`). The only `import sqlite3`.
The opposite is `records`, the values that are kept here. Tables of state are the truth; `event` is
the audit.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from fallow.coordinator.deposits import Deposit, Deposited
from fallow.coordinator.people import KeyRecord, TokenRecord
from fallow.coordinator.records import (
    BatchRecord,
    BuildRecord,
    CheckpointRecord,
    Loaded,
    NodeRecord,
)
from fallow.coordinator.schema import MIGRATIONS
from fallow.coordinator.store import rows
from fallow.coordinator.store.rows import Row
from fallow.coordinator.store.saves import AnySave, Doomed, Kept
from fallow.shared.errors import FallowError
from fallow.shared.messages import Happening
from fallow.shared.runs import OutputFile

NAME = "fallow.sqlite"


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
            self._force(not all(map(rows.is_repeated, saves)))
            self._db.execute("BEGIN IMMEDIATE")
            # The order of the records is their owners' business, not that of the references.
            self._db.execute("PRAGMA defer_foreign_keys = ON")
            for kind, group in rows.grouped(saves):
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
            jobs=tuple(
                map(rows.job, self._query(rows.select("job", rows.JOB, "ORDER BY batch, idx")))
            ),
            attempts=tuple(
                map(
                    rows.attempt,
                    self._query(
                        rows.select("attempt", rows.ATTEMPT, "ORDER BY batch, idx, number")
                    ),
                )
            ),
            builds=tuple(BuildRecord(**row) for row in self._named("SELECT * FROM build")),
            nodes=tuple(
                msgspec.json.decode(row[0], type=NodeRecord)
                for row in self._query("SELECT record FROM node ORDER BY name")
            ),
            checkpoints=tuple(self._checkpoints("", ())),
        )

    def people(self) -> tuple[list[KeyRecord], list[TokenRecord]]:
        """All keys and invitations."""
        tokens = [
            TokenRecord(**{**row, "used_by": rows.names.decode(row["used_by"])})
            for row in self._named("SELECT * FROM token")
        ]
        return [KeyRecord(**row) for row in self._named("SELECT * FROM key")], tokens

    def committing(self) -> list[Deposit]:
        """The commits that were begun and not finished."""
        found = self._query("SELECT deposit FROM result WHERE state = 'committing'")
        return [msgspec.json.decode(row[0], type=Deposit) for row in found]

    def doomed(self) -> list[Doomed]:
        """The batches whose results are still to be removed."""
        return [Doomed(*row) for row in self._query("SELECT uid, namespace, name FROM doomed")]

    def notices(self) -> tuple[list[Kept], dict[str, str], int]:
        """Messages not told yet, Matrix rooms by target, and the highest number ever given."""
        kept = [
            msgspec.json.decode(row[0], type=Kept)
            for row in self._query("SELECT record FROM notice ORDER BY id")
        ]
        rooms: dict[str, str] = dict(self._query("SELECT target, room FROM matrix_room"))
        last = self._query("SELECT seq FROM sqlite_sequence WHERE name = 'notice'")
        return kept, rooms, last[0][0] if last else 0

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
            found.setdefault(row[0], []).append((row[1], row[2], rows.names.decode(row[3])))
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
        found = self._query("SELECT name, hash, size FROM build_output WHERE batch = ?", (uid,))
        return [OutputFile(row[0], row[1].hex(), row[2]) for row in found]

    def hashes_of(self, uid: str) -> set[str]:
        """Every blob that the batch and its results consist of, and what listed these."""
        found = {file.hash for file in self.build_outputs(uid)}
        listed = "SELECT manifest FROM attempt WHERE batch = ? AND manifest IS NOT NULL"
        found |= {str(row[0]) for row in self._query(listed, (uid,))}
        for row in self._query("SELECT DISTINCT hash FROM result_file WHERE batch = ?", (uid,)):
            found.add(row[0].hex())
        for checkpoint in self._checkpoints("WHERE batch = ?", (uid,)):
            found |= {checkpoint.manifest, *(each.hash for each in checkpoint.files)}
        for row in self._query("SELECT record FROM batch WHERE uid = ?", (uid,)):
            record = msgspec.json.decode(row[0], type=BatchRecord)
            for contents in record.contents.values():
                found |= {content.hash for content in contents}
        return found

    def used_hashes(self) -> Iterator[str]:
        """Every blob that some result, build output or checkpoint consists of."""
        for table in ("result_file", "build_output"):
            for row in self._query(f"SELECT DISTINCT hash FROM {table}"):
                yield row[0].hex()
        for checkpoint in self._checkpoints("", ()):
            yield checkpoint.manifest
            yield from (each.hash for each in checkpoint.files)

    def last_event(self) -> int:
        """The number of the newest event, 0 before the first."""
        return int(self._query("SELECT coalesce(max(id), 0) FROM event")[0][0])

    def event_before(self, wall: float) -> int:
        """The number after which events at or after this wall-clock second begin.

        Events are numbered as they come, so a clock that was set back in between blurs the answer.
        """
        low, high = 0, self.last_event()
        while low < high:
            middle = (low + high + 1) // 2
            found = self._query(
                "SELECT wall FROM event WHERE id <= ? ORDER BY id DESC LIMIT 1", (middle,)
            )
            if found and found[0][0] >= wall:
                high = middle - 1
            else:
                low = middle
        return low

    def events(self, after: int, until: int, limit: int, ref: str | None) -> list[Happening]:
        """The first events numbered above `after`, up to `until`; of a batch or job alone."""
        where = "id > ? AND id <= ?"
        values: Row = (after, until)
        if ref is not None:
            # "/" is followed by "0": what lies between begins with this batch and a slash.
            where += " AND (ref = ? OR (ref > ? AND ref < ?))"
            values = (*values, ref, f"{ref}/", f"{ref}0")
        end = f"WHERE {where} ORDER BY id LIMIT ?"
        query = rows.select("event", f"id {rows.EVENT}", end)
        return [Happening(*row) for row in self._query(query, (*values, limit))]

    def _checkpoints(self, where: str, values: Row) -> Iterator[CheckpointRecord]:
        for row in self._query(rows.select("checkpoint", "record", where), values):
            yield msgspec.json.decode(row[0], type=CheckpointRecord)

    def _write(self, kind: type, saves: Sequence[Any]) -> None:
        sql, values_of = rows.WRITES[kind]
        self._db.executemany(sql, map(values_of, saves))
        if kind is Deposited:
            self._db.executemany(
                "INSERT OR REPLACE INTO result_file VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *rows.numbers(deposited.deposit.attempt),
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
