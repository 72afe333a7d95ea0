"""The tables row by row: how each save is written, and how a row becomes a record again.

Not when (`database`). The opposite is `schema`, which says what the tables are.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, TypeAlias

import msgspec

from fallow.coordinator.deposits import Deposited
from fallow.coordinator.people import KeyRecord, TokenRecord
from fallow.coordinator.records import (
    AttemptRecord,
    AttemptState,
    BatchRecord,
    BuildRecord,
    CheckpointRecord,
    Collecting,
    DropBatch,
    DropCheckpoint,
    EventRecord,
    JobRecord,
    JobState,
    Live,
    NodeRecord,
)
from fallow.coordinator.store.saves import (
    AnySave,
    BuildOutputKept,
    Cleared,
    Committing,
    Doomed,
    ForgetEvents,
    NoticeGone,
    NoticeKept,
    RoomKept,
    Undone,
)
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.runs import Exit

Row: TypeAlias = tuple[Any, ...]

# The columns of the tables that are read row by row, in the order of `job` and `attempt` below.
JOB = (
    "batch idx name tag state attempts failures crashes evictions killed crashed_on hold earlier"
    " killed_by"
)
ATTEMPT = (
    "batch idx number node tag state cpus memory assigned exit manifest started ended"
    " closed run_seconds paused_seconds doubtful whole gpus disk"
)
EVENT = "wall kind ref node attempt text run_seconds paused_seconds"


def select(table: str, columns: str, end: str) -> str:
    """The query for these columns; they are ours, never a person's words."""
    return f"SELECT {', '.join(columns.split())} FROM {table} {end}"


_encode = msgspec.json.Encoder().encode
_job_state = msgspec.json.Decoder(JobState)
_attempt_state = msgspec.json.Decoder(AttemptState)
_exit = msgspec.json.Decoder(Exit)
names = msgspec.json.Decoder(tuple[str, ...])


def grouped(saves: Sequence[AnySave]) -> Iterable[tuple[type, Sequence[AnySave]]]:
    """The saves by kind, since many rows of a table at once cost less than one by one.

    Their order counts only where something is deleted, so then it is kept.
    """
    kinds: dict[type, list[AnySave]] = {}
    for save in saves:
        kinds.setdefault(type(save), []).append(save)
    if not kinds.keys() & _IN_ORDER:
        return kinds.items()
    return [(kind, list(group)) for kind, group in groupby(saves, type)]


def is_repeated(save: AnySave) -> bool:
    """Whether the workstation's next Report says this again, or it only tells of what does."""
    if isinstance(save, AttemptRecord):
        return isinstance(save.state, Live | Collecting)
    return isinstance(save, EventRecord | ForgetEvents)


def job(row: Row) -> JobRecord:
    return JobRecord(
        id=JobId(row[0], row[1]),
        name=row[2],
        state=_job_state.decode(row[4]),
        attempts=row[5],
        failures=row[6],
        crashes=row[7],
        evictions=row[8],
        killed=bool(row[9]),
        crashed_on=names.decode(row[10]),
        hold=row[11],
        earlier=row[12],
        killed_by=row[13],
    )


def attempt(row: Row) -> AttemptRecord:
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
        whole=bool(row[17]),
        gpus=row[18],
        disk=row[19],
    )


def numbers(attempt: AttemptId) -> Row:
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
WRITES: dict[type, _Write] = {
    BatchRecord: (
        _upsert("batch", 1, "uid namespace name record"),
        lambda it: (it.uid, it.namespace, it.name, _encode(it)),
    ),
    JobRecord: (
        _upsert("job", 2, JOB),
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
            it.hold,
            it.earlier,
            it.killed_by,
        ),
    ),
    AttemptRecord: (
        _upsert("attempt", 3, ATTEMPT),
        lambda it: (
            *numbers(it.id),
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
            it.whole,
            it.gpus,
            it.disk,
        ),
    ),
    BuildRecord: (
        _upsert("build", 2, "batch node key state log log_size text"),
        lambda it: (it.batch, it.node, it.key, it.state, it.log, it.log_size, it.text),
    ),
    NodeRecord: (_upsert("node", 1, "name record"), lambda it: (it.name, _encode(it))),
    EventRecord: (
        f"INSERT INTO event ({', '.join(EVENT.split())}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        lambda it: (
            it.wall,
            it.kind,
            it.ref,
            it.node,
            it.attempt,
            it.text,
            it.run_seconds,
            it.paused_seconds,
        ),
    ),
    CheckpointRecord: (
        _upsert("checkpoint", 2, "batch idx record"),
        lambda it: (it.job.batch, it.job.index, _encode(it)),
    ),
    DropCheckpoint: (
        "DELETE FROM checkpoint WHERE batch = ? AND idx = ?",
        lambda it: (it.job.batch, it.job.index),
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
            *numbers(it.deposit.attempt),
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
            *numbers(it.deposit.attempt),
            it.deposit.outcome,
            "committed",
            b"",
            _encode(it.folders),
        ),
    ),
    Undone: (
        "DELETE FROM result WHERE batch = ? AND idx = ? AND number = ? AND state = 'committing'",
        lambda it: numbers(it.attempt),
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
    NoticeKept: (
        _upsert("notice", 1, "id record"),
        lambda it: (it.kept.id, _encode(it.kept)),
    ),
    NoticeGone: ("DELETE FROM notice WHERE id = ?", lambda it: (it.id,)),
    RoomKept: (_upsert("matrix_room", 1, "target room"), lambda it: (it.target, it.room)),
    # Looks at no more rows than it may drop: it is done in the middle of other work.
    ForgetEvents: (
        "DELETE FROM event WHERE id IN (SELECT id FROM"
        " (SELECT id, wall FROM event ORDER BY id LIMIT ?)"
        " WHERE wall < ? OR id <= (SELECT max(id) FROM event) - ?)"
        # The last one stays, so that no number comes twice.
        " AND id < (SELECT max(id) FROM event)",
        lambda it: (it.most, it.before, it.keep),
    ),
}
_IN_ORDER = {DropBatch, DropCheckpoint, Undone, Doomed, Cleared, NoticeKept, NoticeGone}
