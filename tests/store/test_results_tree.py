"""The results tree: what a commit leaves, and that it may be cut off anywhere and done again.

Not the whole coordinator being killed: that is tests/main_job.
"""

import json
import os
import stat
from pathlib import Path

import pytest

from fallow.coordinator.deposits import Deposit, Deposited, Unusable
from fallow.coordinator.manifests import BadManifest
from fallow.coordinator.results import Results
from fallow.shared.blobs import BlobStore
from fallow.shared.ids import AttemptId
from fallow.shared.messages import encode
from fallow.shared.runs import Exited, Manifest, OutputFile
from store import made
from store.made import a_deposit, a_manifest, commit_one


class PowerCut(Exception):
    pass


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_a_success_is_a_folder_with_its_files_and_attempt_json(
    tmp_path: Path, blobs: BlobStore, results: Results
) -> None:
    manifest = a_manifest(
        blobs,
        {"stdout.txt": b"hello\n", "stderr.txt": b"", "deep/er/field.vtk": b"1 2", "go": b"#!x"},
        executable="go",
    )
    done = commit_one(results, a_deposit(manifest=manifest))
    job = tmp_path / "results/ana/sweep/job_0"
    found = tree(job)
    record = json.loads(found.pop("attempt.json"))
    assert found == {
        "stdout.txt": b"hello\n",
        "stderr.txt": b"",
        "deep/er/field.vtk": b"1 2",
        "go": b"#!x",
    }
    assert (job / "empty").is_dir()
    assert stat.S_IMODE((job / "go").stat().st_mode) == 0o555
    assert stat.S_IMODE((job / "stdout.txt").stat().st_mode) == 0o444
    assert record["attempt"] == 1
    assert record["workstation"] == "dino"
    assert record["exit"] == {"type": "exited", "code": 0}
    assert record["started"].startswith("1970-01-01T")
    assert record["run_seconds"] == 1.5
    assert record["inputs"] == {"mesh.h5": made.HASH}
    assert record["outputs"]["stdout.txt"]["size"] == 6
    assert record["notes"] == ["a note"]
    assert {file.path for file in done.files} == {*found, "attempt.json"}
    # What `pull` will fetch by its hash is there, attempt.json too.
    assert all(blobs.has(file.hash) for file in done.files)


def test_a_success_stays_when_a_later_try_fails(
    tmp_path: Path, blobs: BlobStore, results: Results
) -> None:
    """A job that succeeded is tried again by hand, and that fails."""
    job = tmp_path / "results/ana/sweep/job_0"
    results.commit([a_deposit(manifest=a_manifest(blobs, {"stdout.txt": b"good"}))])
    bad = failed(2, a_manifest(blobs, {"stdout.txt": b"bad", "x/y": b"1"}))
    for _ in range(2):  # also when it is done again after a crash
        (done,) = results.commit([bad])
        assert isinstance(done, Deposited)
        results.tidy([bad])
        assert (job / "stdout.txt").read_bytes() == b"good"
        assert tree(job / ".attempts/2").keys() == {"stdout.txt", "x/y", "attempt.json"}
        assert (job / ".attempts/2/stdout.txt").read_bytes() == b"bad"
        assert json.loads((job / "attempt.json").read_text())["attempt"] == 1
    results.commit([failed(3, a_manifest(blobs, {"stdout.txt": b"worse"}))])
    again = AttemptId(made.UID, 0, 4)
    results.commit([a_deposit(attempt=again, manifest=a_manifest(blobs, {"stdout.txt": b"best"}))])
    assert (job / "stdout.txt").read_bytes() == b"best"
    assert sorted(path.name for path in (job / ".attempts").iterdir()) == ["2", "3"]
    assert list((tmp_path / "results/.staging").glob("*.new")) == []


def test_a_failed_attempt_shows_until_a_success_replaces_it(
    tmp_path: Path, blobs: BlobStore, results: Results
) -> None:
    job = tmp_path / "results/ana/sweep/job_0"
    for number in (1, 2):
        manifest = a_manifest(blobs, {"stdout.txt": b"try %d" % number})
        results.commit([failed(number, manifest)])
        assert (job / "stdout.txt").read_bytes() == b"try %d" % number
    results.commit(
        [
            a_deposit(
                attempt=AttemptId(made.UID, 0, 3), manifest=a_manifest(blobs, {"stdout.txt": b"ok"})
            )
        ]
    )
    found = tree(job)
    assert found["stdout.txt"] == b"ok"
    assert found[".attempts/1/stdout.txt"] == b"try 1"
    assert found[".attempts/2/stdout.txt"] == b"try 2"
    assert json.loads(found[".attempts/2/attempt.json"])["attempt"] == 2
    assert set(found) == {
        "stdout.txt",
        "attempt.json",
        ".attempts/1/stdout.txt",
        ".attempts/1/attempt.json",
        ".attempts/2/stdout.txt",
        ".attempts/2/attempt.json",
    }


def failed(number: int, manifest: str) -> Deposit:
    return a_deposit(
        attempt=AttemptId(made.UID, 0, number),
        outcome="failed",
        manifest=manifest,
        exit=Exited(3),
    )


STEPS = ["assembled", "old moved", "renamed", "attempts moved", "parents synced"]


@pytest.mark.parametrize("step", STEPS)
def test_a_commit_that_was_cut_off_is_done_again(
    tmp_path: Path, blobs: BlobStore, results: Results, step: str
) -> None:
    results.commit([failed(1, a_manifest(blobs, {"stdout.txt": b"bad", "core": b"x"}))])
    second = failed(2, a_manifest(blobs, {"stdout.txt": b"worse"}))
    results.commit([second])
    results.tidy([second])
    success = a_deposit(
        attempt=AttemptId(made.UID, 0, 3), manifest=a_manifest(blobs, {"stdout.txt": b"good"})
    )

    def cut(done: str) -> None:
        if done == step:
            raise PowerCut

    with pytest.raises(PowerCut):
        Results(tmp_path / "results", blobs, cut).commit([success])
    after = Results(tmp_path / "results", blobs)
    after.commit([success])
    after.commit([success])
    after.tidy_all()
    found = tree(tmp_path / "results")
    job = "ana/sweep/job_0"
    assert found[f"{job}/stdout.txt"] == b"good"
    assert found[f"{job}/.attempts/1/core"] == b"x"
    assert found[f"{job}/.attempts/2/stdout.txt"] == b"worse"
    assert len(found) == 2 + 3 + 2
    assert not list((tmp_path / "results/.staging").iterdir())


def test_what_is_missing_is_named(blobs: BlobStore, results: Results) -> None:
    gone = OutputFile("a", "cd" * 32, 5)
    manifest = blobs.put_bytes(encode(Manifest((gone,))))
    assert results.missing(manifest) == (gone.hash,)
    assert results.missing("ef" * 32) == ("ef" * 32,)
    assert results.missing(a_manifest(blobs, {"a": b"x"})) == ()


def test_a_size_that_is_not_that_of_the_content_is_refused(
    blobs: BlobStore, results: Results
) -> None:
    for size in (1, 1 << 63):
        lie = OutputFile("a", blobs.put_bytes(b"12345"), size)
        with pytest.raises(BadManifest, match="5 bytes"):
            results.missing(blobs.put_bytes(encode(Manifest((lie,)))))


def test_a_list_without_end_is_not_read(blobs: BlobStore, results: Results) -> None:
    manifest = blobs.put_bytes(b"x")
    blobs.path(manifest).chmod(0o600)
    os.truncate(blobs.path(manifest), 1 << 30)
    with pytest.raises(BadManifest, match="too long"):
        results.missing(manifest)


BAD = {
    "a place outside": Manifest((OutputFile("../x", made.HASH, 0),)),
    "an absolute place": Manifest((OutputFile("/etc/x", made.HASH, 0),)),
    "a file twice": Manifest((OutputFile("x", made.HASH, 0), OutputFile("x", made.HASH, 0))),
    "a file as a folder": Manifest(
        (OutputFile("x", made.HASH, 0), OutputFile("x/y", made.HASH, 0))
    ),
    "a folder that is a file": Manifest((OutputFile("x", made.HASH, 0),), ("x",)),
    "a folder below a file": Manifest((OutputFile("x", made.HASH, 0),), ("x/y",)),
    "a folder outside": Manifest((), ("..",)),
    "a content that is a path": Manifest((OutputFile("x", "../../x", 5),)),
    "a content of less than nothing": Manifest((OutputFile("x", made.HASH, -1),)),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_a_bad_list_of_outputs_changes_nothing(
    tmp_path: Path, blobs: BlobStore, results: Results, case: str
) -> None:
    manifest = blobs.put_bytes(encode(BAD[case]))
    with pytest.raises(BadManifest):
        results.missing(manifest)
    (outcome,) = results.commit([a_deposit(manifest=manifest)])
    assert isinstance(outcome, Unusable)
    assert tree(tmp_path / "results") == {}


def test_a_path_that_this_disk_cannot_have_spoils_nothing_else(
    tmp_path: Path, blobs: BlobStore, results: Results
) -> None:
    deep = "/".join(["d" * 200] * 19)
    first = a_deposit(manifest=a_manifest(blobs, {f"{deep}/x": b"too deep"}), job="job_0")
    second = a_deposit(
        attempt=AttemptId(made.UID, 1, 1), manifest=a_manifest(blobs, {"x": b"fine"}), job="job_1"
    )
    too_deep, fine = Results(tmp_path / ("r" * 200) / ("s" * 200), blobs).commit([first, second])
    assert isinstance(too_deep, Unusable)
    assert "too long" in too_deep.why.lower()
    assert isinstance(fine, Deposited)


def test_a_list_of_outputs_may_not_shadow_what_is_ours(
    tmp_path: Path, blobs: BlobStore, results: Results
) -> None:
    manifest = a_manifest(blobs, {"attempt.json": b"mine", ".attempts/9/x": b"mine too"})
    results.commit([a_deposit(manifest=manifest)])
    found = tree(tmp_path / "results/ana/sweep/job_0")
    assert found["attempt.json.from_job"] == b"mine"
    assert found[".attempts.from_job/9/x"] == b"mine too"


def test_a_batch_is_removed_with_its_name(
    tmp_path: Path, blobs: BlobStore, results: Results
) -> None:
    results.commit([a_deposit(manifest=a_manifest(blobs, {"a": b"x"}))])
    results.put_build_output("ana", "sweep", "dino", blobs.put_bytes(b"cc -O2\n"))
    assert (tmp_path / "results/ana/sweep/build_output_dino.txt").read_bytes() == b"cc -O2\n"
    results.remove_batch(made.UID, "ana", "sweep")
    results.remove_batch(made.UID, "ana", "sweep")
    assert not (tmp_path / "results/ana").exists()
    assert tree(tmp_path / "results") == {}


def test_a_checkpoint_is_listed_to_be_placed_again(blobs: BlobStore, results: Results) -> None:
    manifest = a_manifest(blobs, {"checkpoint/a": b"A", "tool": b""}, executable="tool")
    first, second = results.checkpoint(manifest)
    assert (first.path, first.size, first.executable) == ("checkpoint/a", 1, False)
    assert (second.path, second.size, second.executable) == ("tool", 0, True)


def test_a_checkpoint_that_no_message_could_name_is_none(
    blobs: BlobStore, results: Results
) -> None:
    deep = "/".join(["d" * 200] * 4)
    files = tuple(OutputFile(f"{deep}/{number}", made.HASH, 1) for number in range(40_000))
    manifest = blobs.put_bytes(encode(Manifest(files)))
    with pytest.raises(BadManifest, match="too many files"):
        results.checkpoint(manifest)
