"""Records with plain values, for tests of what is kept.

Not fixtures: functions that make one record in a line.
"""

from msgspec.structs import replace

from fallow.coordinator.deposits import Deposit, Deposited
from fallow.coordinator.records import AttemptRecord, BatchRecord, JobRecord, Live, Queued
from fallow.coordinator.results import Results
from fallow.shared.batch import Batch, Command, CommandJob, Meta
from fallow.shared.blobs import BlobStore
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.messages import Content, encode
from fallow.shared.runs import Exited, Manifest, OutputFile

UID = "abcd1234"
HASH = "ab" * 32


def a_batch(uid: str = UID, name: str = "sweep", jobs: int = 2) -> BatchRecord:
    listed = tuple(CommandJob(name=f"job_{index}", run="true") for index in range(jobs))
    return BatchRecord(
        uid=uid,
        namespace="ana",
        name=name,
        owner="ana",
        submitted=1000.0,
        jobs=jobs,
        batch=Batch(meta=Meta(namespace="ana", batch_name=name), command=Command(jobs=listed)),
        contents={"mesh.h5": (Content("", HASH, 10),)},
        once=f"once-{uid}",
    )


def a_job(index: int = 0, uid: str = UID) -> JobRecord:
    return JobRecord(id=JobId(uid, index), name=f"job_{index}", state=Queued())


def an_attempt(index: int = 0, number: int = 1, uid: str = UID) -> AttemptRecord:
    return AttemptRecord(
        id=AttemptId(uid, index, number),
        node="dino",
        state=Live("running", frozen=True),
        cpus=2,
        memory=1 << 30,
        assigned=1001.0,
    )


def a_deposit(**changes: object) -> Deposit:
    deposit = Deposit(
        attempt=AttemptId(UID, 0, 1),
        outcome="result",
        namespace="ana",
        batch="sweep",
        job="job_0",
        owner="ana",
        workstation="dino",
        manifest=None,
        exit=Exited(0),
        started=1002.0,
        ended=1003.5,
        run_seconds=1.5,
        paused_seconds=0.0,
        inputs={"mesh.h5": HASH},
    )
    return replace(deposit, **changes)


def a_manifest(blobs: BlobStore, files: dict[str, bytes], *, executable: str = "") -> str:
    """Keep these files and the list of them; the list's hash."""
    listed = tuple(
        OutputFile(path, blobs.put_bytes(data), len(data), path == executable)
        for path, data in files.items()
    )
    return blobs.put_bytes(encode(Manifest(listed, ("empty",), ("a note",))))


def commit_one(results: Results, deposit: Deposit) -> Deposited:
    (done,) = results.commit([deposit])
    assert isinstance(done, Deposited)
    return done
