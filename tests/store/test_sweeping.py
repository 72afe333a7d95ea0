"""Blobs go when nobody needs them, and never before."""

import os
from pathlib import Path

from msgspec.structs import replace

from fallow.coordinator import sweeping
from fallow.coordinator.records import CheckpointRecord, DropBatch, DropCheckpoint
from fallow.coordinator.results import Results
from fallow.coordinator.store import Committing, Store
from fallow.shared.blobs import BlobStore
from fallow.shared.ids import JobId
from fallow.shared.messages import Input
from store.made import HASH as INPUT
from store.made import UID, a_batch, a_deposit, a_job, a_manifest, commit_one


def age(blobs: BlobStore, hash: str) -> None:
    os.utime(blobs.path(hash), (1.0, 1.0))


def put_old(blobs: BlobStore, content: bytes) -> str:
    hash = blobs.put_bytes(content)
    age(blobs, hash)
    return hash


def test_a_sweep_keeps_what_is_needed_or_young(
    store: Store, blobs: BlobStore, results: Results
) -> None:
    input, old = put_old(blobs, b"input"), put_old(blobs, b"abandoned")
    young = blobs.put_bytes(b"being uploaded")
    batch = a_batch()
    batch.contents["mesh.h5"] = (type(batch.contents["mesh.h5"][0])("", input, 5),)
    store.commit([batch, a_job()])
    manifest = a_manifest(blobs, {"a": b"result", "stdout.txt": b""})
    done = commit_one(results, a_deposit(manifest=manifest))
    store.commit([done])
    for file in done.files:
        age(blobs, file.hash)
    sweeping.sweep(blobs, sweeping.needed(store, blobs, store.load().batches))
    assert not blobs.has(old)
    assert blobs.has(young)
    assert blobs.has(input)
    assert all(blobs.has(file.hash) for file in done.files)


def test_a_removed_batch_frees_its_blobs_but_not_others(
    store: Store, blobs: BlobStore, results: Results, tmp_path: Path
) -> None:
    store.commit([a_batch(), a_job(0)])
    manifest = a_manifest(blobs, {"own": b"own", "both": b"shared"})
    done = commit_one(results, a_deposit(manifest=manifest))
    other = a_batch("other123", "other")
    shared = blobs.put_bytes(b"shared")
    other.contents["x"] = (type(other.contents["mesh.h5"][0])("", shared, 6),)
    store.commit([done, other])
    hashes = store.hashes_of(UID)
    assert INPUT in hashes
    store.commit([DropBatch(UID)])
    results.remove_batch(UID, "ana", "sweep")
    sweeping.free(blobs, hashes, sweeping.needed(store, blobs, [other]))
    assert blobs.has(shared)
    assert not blobs.has(next(file.hash for file in done.files if file.path == "own"))


def test_a_removal_takes_nothing_from_a_commit_that_was_begun(
    store: Store, blobs: BlobStore
) -> None:
    store.commit([a_batch(), a_job(0)])
    manifest = a_manifest(blobs, {"stdout.txt": b"the same in many a batch\n", "stderr.txt": b""})
    store.commit([Committing(a_deposit(manifest=manifest))])
    before = blobs.hashes()
    sweeping.free(blobs, before, sweeping.needed(store, blobs, []))
    assert blobs.hashes() == before


def test_a_checkpoint_stays_as_long_as_its_job_can_go_on_from_it(
    store: Store, blobs: BlobStore
) -> None:
    state = put_old(blobs, b"state")
    manifest = put_old(blobs, b"a list")
    kept = CheckpointRecord(
        job=JobId(UID, 0), attempt=1, manifest=manifest, files=(Input("checkpoint/s", state, 5),)
    )
    store.commit([a_batch(), a_job(0), kept])
    assert store.load().checkpoints == (kept,)
    sweeping.sweep(blobs, sweeping.needed(store, blobs, []))
    assert blobs.has(state)
    assert blobs.has(manifest)
    assert {state, manifest} <= store.hashes_of(UID)
    # A newer one takes its place, and a job that is done has none.
    store.commit([replace(kept, attempt=2, files=())])
    assert store.load().checkpoints == (replace(kept, attempt=2, files=()),)
    store.commit([DropCheckpoint(JobId(UID, 0))])
    assert store.load().checkpoints == ()
    sweeping.sweep(blobs, sweeping.needed(store, blobs, []))
    assert not blobs.hashes() & {state, manifest}


def test_a_removed_batch_takes_its_checkpoints_with_it(store: Store) -> None:
    kept = CheckpointRecord(job=JobId(UID, 0), attempt=1, manifest=INPUT)
    store.commit([a_batch(), a_job(0), kept])
    store.commit([DropBatch(UID)])
    assert store.load().checkpoints == ()
    assert set(store.used_hashes()) == set()
