"""What a job saved of itself comes out of its work folder, and is in place for the next attempt."""

import os
from pathlib import Path

import pytest

from fallow.shared.batch import Checkpoint
from fallow.shared.blobs import BlobStore
from fallow.shared.messages import Argv, BuildSpec, Input, JobSpec
from fallow.shared.runs import Manifest, OutputFile
from fallow.shared.work import checkpoint, files, outputs, staging

WISH = Checkpoint(files=("checkpoint/", "state.bin", "logs/deep/"))


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "work"
    staging.make_work_folder(folder)
    return folder


def save(work: Path, store: BlobStore, wish: Checkpoint = WISH) -> Manifest:
    return outputs.save(work, checkpoint.places(wish), store)


def write(work: Path, **contents: str) -> None:
    for name, text in contents.items():
        place = work / name.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def as_input(each: OutputFile) -> Input:
    return Input(each.path, each.hash, each.size, each.executable)


def job(saved: Manifest = Manifest(), build: bool = False, **more: Input) -> JobSpec:  # noqa: B008
    return JobSpec(
        namespace="ana",
        batch="b",
        job="j",
        owner="ana",
        action=Argv(("true",)),
        cpus=1,
        build=BuildSpec("key", Argv(("make",))) if build else None,
        inputs=tuple(more.values()),
        checkpoint=WISH,
        saved=tuple(
            Input(each.path, each.hash, each.size, each.executable) for each in saved.files
        ),
    )


def test_what_is_saved_is_in_place_again(work: Path, store: BlobStore, tmp_path: Path) -> None:
    write(work, checkpoint__step__a="A", state_bin="no", logs__deep__x="X", distribute_save__y="Y")
    (work / "state.bin").write_text("bits")
    (work / "state.bin").chmod(0o755)
    found = save(work, store)
    paths = [each.path for each in found.files]
    assert paths == ["checkpoint/step/a", "logs/deep/x", "state.bin"]
    folder = tmp_path / "next"
    files.place_run(folder, folder / "work", job(found), store.path, None)
    assert (folder / "work/checkpoint/step/a").read_text() == "A"
    assert (folder / "work/logs/deep/x").read_text() == "X"
    assert os.access(folder / "work/state.bin", os.X_OK)
    assert list((folder / "work/distribute_save").iterdir()) == []
    # It is the job's own: what the cache has stays as it is.
    (folder / "work/checkpoint/step/a").write_text("B")
    assert store.path(found.files[0].hash).read_text() == "A"


def test_nothing_saved_is_no_checkpoint(work: Path, store: BlobStore) -> None:
    assert save(work, store) == Manifest()
    (work / "checkpoint/empty").mkdir(parents=True)
    assert save(work, store).files == ()


def test_the_first_folder_of_the_list_is_what_the_job_is_told() -> None:
    assert checkpoint.folder(WISH) == "checkpoint"
    named = Checkpoint(files=("a.bin", "restart/", "more/"))
    assert checkpoint.folder(named) == "restart"
    assert checkpoint.places(named) == ("a.bin", "restart", "more")
    # One that names no folder still has the one that it is told of.
    assert checkpoint.places(Checkpoint(files=("a.bin",))) == ("a.bin", "checkpoint")
    assert checkpoint.places(Checkpoint()) == ("checkpoint",)


def test_the_folder_is_there_from_the_first_attempt_on(tmp_path: Path, store: BlobStore) -> None:
    files.place_run(tmp_path / "run", tmp_path / "run/work", job(), store.path, None)
    assert (tmp_path / "run/work/checkpoint").is_dir()


@pytest.mark.parametrize("name", ["checkpoint", "logs", "state.bin"])
def test_no_link_leads_out_of_the_work_folder(
    name: str, work: Path, store: BlobStore, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep/secret").write_text("secret")
    (outside / "secret").write_text("secret")
    target = outside / "secret" if name == "state.bin" else outside
    (work / name).symlink_to(target)
    (work / "checkpoint2").mkdir()
    assert save(work, store).files == ()
    assert save(work, store).notes


def test_a_link_among_the_saved_files_is_kept_as_what_it_means(
    work: Path, store: BlobStore, tmp_path: Path
) -> None:
    write(work, checkpoint__step_9="nine")
    (work / "checkpoint/latest").symlink_to("step_9")
    (work / "checkpoint/etc").symlink_to("/etc/hostname")
    found = save(work, store)
    assert [each.path for each in found.files] == ["checkpoint/latest", "checkpoint/step_9"]
    assert len({each.hash for each in found.files}) == 1


def test_an_input_of_the_same_name_is_not_in_the_way(tmp_path: Path, store: BlobStore) -> None:
    first = Input("checkpoint/seed", store.put_bytes(b"seed"), 4)
    # A build gives its inputs names at the top, and the job's folder is a copy of the built one.
    tree = tmp_path / "tree"
    staging.make_work_folder(tree)
    staging.place_inputs(tree, [first], store.path)
    staging.link_at_top(tree, [first])
    place = tmp_path / "run"
    files.place_run(place, place / "work", job(build=True, one=first), store.path, tree)
    assert not (place / "work/checkpoint").is_symlink()
    assert list((place / "work/checkpoint").iterdir()) == []
    assert (place / "work/input/checkpoint/seed").read_text() == "seed"
