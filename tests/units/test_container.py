"""How an image is run: the words, what is bound, what is told, and which places are refused."""

import os
from pathlib import Path

import pytest

from fallow.shared.batch import Checkpoint
from fallow.shared.errors import FallowError
from fallow.shared.messages import Container, JobSpec, Mount
from fallow.shared.work import container, machine
from fallow.shared.work.container import Runtime
from fallow.shared.work.staging import make_work_folder

APPTAINER = Runtime("/usr/bin/apptainer")


def job(*mounts: Mount, checkpoint: Checkpoint | None = None) -> tuple[JobSpec, Container]:
    action = Container("a" * 64, 5, ("4",), mounts)
    made = JobSpec("n", "b", "j", "ana", action, 4, checkpoint=checkpoint)
    return made, action


def words(*mounts: Mount, nvidia: bool = False, checkpoint: Checkpoint | None = None) -> list[str]:
    spec, action = job(*mounts, checkpoint=checkpoint)
    work, scratch = Path("/d/work"), Path("/d/scratch")
    return list(container.words(APPTAINER, spec, action, work, scratch, nvidia=nvidia))


def test_the_words_are_those_of_the_original() -> None:
    binds = "/d/work/distribute_save:/distribute_save:rw,/d/work/input:/input:rw"
    tail = ["--app", "distribute", "--bind", binds, "/d/scratch/image.sif", "4"]
    assert words() == ["/usr/bin/apptainer", "run", *tail]
    assert words(nvidia=True) == ["/usr/bin/apptainer", "run", "--nv", *tail]


def test_mounts_come_after_the_two_known_folders() -> None:
    given = words(
        Mount("", "/output"), Mount("/data/tables", "/tables"), checkpoint=Checkpoint(files=("c/",))
    )
    assert given[5].split(",")[2:] == [
        "/d/work/mounts/0:/output:rw",
        "/data/tables:/tables:ro",
        "/d/work/c:/c:rw",
    ]


def test_a_checkpoint_within_the_results_needs_no_bind() -> None:
    given = words(checkpoint=Checkpoint(files=("distribute_save/ckpt/", "input/x")))
    assert len(given[5].split(",")) == 2


@pytest.mark.parametrize("name", ["a:b", "a,b", "a\\b", 'a"b'])
def test_a_place_that_cannot_be_bound_is_refused(name: str) -> None:
    spec, action = job()
    with pytest.raises(FallowError, match="cannot be bound"):
        container.words(APPTAINER, spec, action, Path("/") / name, Path("/s"), nvidia=False)


@pytest.mark.parametrize("place", ["../out/", "/etc/", "a/../../b/", "link/x/"])
def test_what_a_coordinator_says_stays_in_the_work_folder(tmp_path: Path, place: str) -> None:
    blob, work = tmp_path / "blob", tmp_path / "work"
    blob.write_bytes(b"image")
    make_work_folder(work)
    (work / "link").symlink_to("/etc")
    spec, action = job(checkpoint=Checkpoint(files=(place, "good/")))
    with pytest.raises(FallowError, match="is refused"):
        container.place(work, tmp_path / "s", spec, action, lambda _: blob)
    with pytest.raises(FallowError, match="is refused"):
        container.words(APPTAINER, spec, action, work, tmp_path / "s", nvidia=False)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["blob", "s", "work"]


@pytest.mark.parametrize("target", ["relative", "/a/../b", "/", "/a//x", ""])
def test_a_mount_that_is_nowhere_is_refused(target: str) -> None:
    with pytest.raises(FallowError, match="no place in a container"):
        words(Mount("", target))


@pytest.mark.parametrize(
    ("program", "begin"), [("apptainer", "APPTAINER"), ("singularity", "SINGULARITY")]
)
def test_the_program_is_told_what_its_job_may_see(program: str, begin: str) -> None:
    runtime, scratch = Runtime(f"/usr/bin/{program}"), Path("/s")
    told = container.variables(
        runtime, scratch, {"LD_PRELOAD": "x"}, hidden=True, network=False, amd=True
    )
    assert told == {
        f"{begin}_CONTAIN": "true",
        f"{begin}_WORKDIR": "/s",
        f"{begin}_NET": "true",
        f"{begin}_NETWORK": "none",
        f"{begin}_ROCM": "true",
        f"{begin}ENV_LD_PRELOAD": "x",
        **({f"{begin}_NO_PRIVS": "true"} if os.geteuid() == 0 else {}),
    }
    assert container.variables(runtime, scratch, {}, hidden=False, network=True) == {}


def test_only_what_the_owner_lets_jobs_read_is_mounted(tmp_path: Path) -> None:
    (tmp_path / "tables" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("/etc")
    allowed = [str(tmp_path)]
    for name in ("tables", "tables/deep"):
        container.check_mounts(job(Mount(str(tmp_path / name), "/t"))[1], allowed, True)
    container.check_mounts(job(Mount("", "/output"))[1], (), True)
    container.check_mounts(job(Mount("/etc", "/t"))[1], (), False)
    for place in ("/etc", str(tmp_path / "link"), f"{tmp_path}-more", str(tmp_path / "..")):
        with pytest.raises(FallowError, match="does not let jobs read"):
            container.check_mounts(job(Mount(place, "/t"))[1], allowed, True)


def test_the_image_is_there_once_and_stays(tmp_path: Path) -> None:
    blob, work, scratch = tmp_path / "blob", tmp_path / "work", tmp_path / "scratch"
    blob.write_bytes(b"image")
    make_work_folder(work)
    spec, action = job(Mount("", "/output"), checkpoint=Checkpoint(files=("ckpt/",)))
    container.place(work, scratch, spec, action, lambda _: blob)
    assert container.image_in(scratch).stat().st_ino == blob.stat().st_ino
    assert (work / "mounts" / "0").is_dir()
    assert (work / "ckpt").is_dir()
    inside = container.path_inside(".fallow/progress").lstrip("/")
    (work / inside).write_text("0.5")
    assert (work / ".fallow" / "progress").read_text() == "0.5"
    blob.unlink()
    with pytest.raises(FallowError, match="no longer in the cache"):
        container.place(tmp_path / "w2", tmp_path / "s2", spec, action, lambda _: blob)
    assert container.image_in(scratch).read_bytes() == b"image"


def test_the_program_is_found_by_either_name(tmp_path: Path) -> None:
    assert container.find(str(tmp_path)) is None
    for name in ("singularity", "apptainer"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        assert container.find(str(tmp_path)) == Runtime(str(tmp_path / name))


def test_what_has_no_program_for_images_does_not_offer_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("gcc", "apptainer", "gpu")
    monkeypatch.setenv("PATH", str(tmp_path))
    if container.find() is None:
        assert machine.true_ones(words) == ("gcc", "gpu")
        with pytest.raises(FallowError, match="neither apptainer nor singularity"):
            container.find_or_refuse()
    (tmp_path / "singularity").write_text("#!/bin/sh\n")
    (tmp_path / "singularity").chmod(0o755)
    assert machine.true_ones(words) == words
    assert machine.true_ones(("gcc",)) == ("gcc",)
    assert "apptainer" in machine.capabilities()
