"""One attempt's outcome on its way into the results tree: the values, and attempt.json.

Not the moving of files (`results`) nor the rows about it (`store`).
"""

import hashlib
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from fallow.shared.ids import AttemptId
from fallow.shared.runs import Exit, Manifest, OutputFile

RECORD = "attempt.json"

Outcome = Literal["result", "failed"]


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


def as_listed(record: bytes) -> OutputFile:
    return OutputFile(RECORD, hashlib.sha256(record).hexdigest(), len(record))


def _iso(wall: float | None) -> str | None:
    if wall is None:
        return None
    return datetime.fromtimestamp(wall).astimezone().isoformat(timespec="milliseconds")
