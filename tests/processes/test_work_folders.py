"""Inputs go in and leave the cache unharmed; what a job leaves comes out, or a note says why."""

import os
import socket
from pathlib import Path

import pytest

from fallow.shared.blobs import BlobStore
from fallow.shared.errors import FallowError
from fallow.shared.messages import Argv, Input, Script, Shell
from fallow.shared.runs import Manifest
from fallow.shared.work import staging
from fallow.shared.work.outputs import NOTES, collect
from fallow.shared.work.trees import copy_tree, on_this_disk, remove_tree


@pytest.fixture
def cache(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "cache")


@pytest.fixture
def spool(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "spool")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "work"
    staging.make_work_folder(folder)
    return folder


def given(cache: BlobStore, path: str, content: str, executable: bool = False) -> Input:
    data = content.encode()
    return Input(path, cache.put_bytes(data), len(data), executable)


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# --- in -------------------------------------------------------------------------------------------


def test_the_work_folder(work: Path) -> None:
    assert listing(work) == ["distribute_save", "initial_files", "input"]
    staging.make_work_folder(work)


def test_inputs_are_the_jobs_own(work: Path, cache: BlobStore) -> None:
    shared = [given(cache, "mesh.h5", "mesh"), given(cache, "src/deep/tool.sh", "#!", True)]
    staging.place_shared(work, shared, cache.path)
    mesh, tool = work / "input/mesh.h5", work / "input/src/deep/tool.sh"
    assert mesh.read_text() == (work / "initial_files/mesh.h5").read_text() == "mesh"
    assert not os.access(mesh, os.X_OK)
    assert os.access(tool, os.X_OK)
    mesh.write_text("spoiled")
    assert cache.path(shared[0].hash).read_text() == "mesh"
    assert cache.path(shared[0].hash).stat().st_nlink == 1


def test_a_jobs_input_takes_the_place_of_the_batchs(work: Path, cache: BlobStore) -> None:
    staging.place_shared(work, [given(cache, "case", "all"), given(cache, "f/x", "x")], cache.path)
    staging.place_inputs(work, [given(cache, "case", "one"), given(cache, "f/y", "y")], cache.path)
    assert (work / "input/case").read_text() == "one"
    assert (work / "initial_files/case").read_text() == "all"
    assert listing(work / "input/f") == ["x", "y"]


def test_what_a_build_left_there_gives_way(work: Path, cache: BlobStore, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("safe")
    (work / "input/a").symlink_to(victim)
    (work / "input/b").mkdir()
    (work / "input/b/c").write_text("old")
    staging.place_inputs(work, [given(cache, "a", "A"), given(cache, "b", "B")], cache.path)
    assert victim.read_text() == "safe"
    assert (work / "input/a").read_text() == "A"
    assert (work / "input/b").read_text() == "B"


@pytest.mark.parametrize("path", ["../out", "/etc/out", "a/../../out", "", "a//b", "n\0ul"])
def test_a_name_that_leaves_is_refused(work: Path, cache: BlobStore, path: str) -> None:
    before = listing(work)
    with pytest.raises(FallowError, match="refused"):
        staging.place_inputs(work, [given(cache, path, "x")], cache.path)
    assert listing(work) == before


def test_a_link_made_by_a_build_is_not_followed(
    work: Path, cache: BlobStore, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (work / "input/there").symlink_to(tmp_path / "outside")
    with pytest.raises(FallowError, match="symbolic link"):
        staging.place_inputs(work, [given(cache, "there/x", "x")], cache.path)
    assert listing(tmp_path / "outside") == []


def test_a_script_is_placed_to_be_run(work: Path, cache: BlobStore) -> None:
    hash = cache.put_bytes(b"print(1)")
    script = Script("run.py", hash, 8, ("4",))
    staging.place_script(work, script, cache.path)
    assert os.access(work / "run.py", os.X_OK)
    assert staging.words_of(script) == ("python3", "./run.py", "4")
    assert staging.words_of(Shell("a && b")) == ("/bin/sh", "-c", "a && b")
    assert staging.words_of(Argv(("a", "b c"))) == ("a", "b c")


def test_a_command_finds_its_inputs_at_the_top_too(work: Path, cache: BlobStore) -> None:
    inputs = [given(cache, "src/Makefile", "all:"), given(cache, "run", "r"), given(cache, "a", "")]
    staging.place_inputs(work, inputs, cache.path)
    (work / "run").write_text("from the build")
    for _ in range(2):
        staging.link_at_top(work, inputs)
    assert (work / "src/Makefile").read_text() == "all:"
    assert (work / "run").read_text() == "from the build"
    assert (work / "src").readlink() == Path("input/src")


def test_a_blob_that_is_gone_is_said(work: Path, cache: BlobStore) -> None:
    lost = given(cache, "mesh", "mesh")
    cache.delete(lost.hash)
    with pytest.raises(FallowError, match="no longer in the cache"):
        staging.place_inputs(work, [lost], cache.path)


def test_a_full_disk_is_said() -> None:
    full = Path("/dev/full")
    with (
        pytest.raises(FallowError, match="disk of this workstation is full") as caught,
        on_this_disk("placing inputs", full),
        full.open("wb", buffering=0) as file,
    ):
        file.write(b"x")
    assert "/dev/full" in caught.value.detail


def test_a_cache_that_may_not_be_read_is_said(work: Path) -> None:
    lost = Input("mesh", "0" * 64, 1)
    with pytest.raises(FallowError, match="could not finish placing inputs") as caught:
        staging.place_inputs(work, [lost], lambda hash: Path("/dev/null/below"))
    assert "/dev/null/below" in caught.value.detail


# --- copies and removal ---------------------------------------------------------------------------


def test_a_tree_is_copied_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "built"
    (source / "bin").mkdir(parents=True)
    (source / "bin/tool").write_text("#!/bin/sh\n")
    (source / "bin/tool").chmod(0o755)
    os.utime(source / "bin/tool", ns=(10**18, 10**18 + 123_456_789))
    os.link(source / "bin/tool", source / "second name")
    (source / "link").symlink_to("bin/tool")
    (source / "dangling").symlink_to("/nowhere/at/all")
    (source / "folder link").symlink_to("bin")
    (source / "read only").mkdir()
    (source / "read only/file").write_bytes(b"\0" * 100_000)
    (source / "read only").chmod(0o555)
    os.mkfifo(source / "pipe")
    copy_tree(source, tmp_path / "copy")
    copy = tmp_path / "copy"
    assert listing(copy) == [name for name in listing(source) if name != "pipe"]
    for name in ("bin/tool", "bin", "read only/file"):
        assert (copy / name).lstat().st_mode == (source / name).lstat().st_mode
        assert (copy / name).lstat().st_mtime_ns == (source / name).lstat().st_mtime_ns
    assert (copy / "dangling").readlink() == Path("/nowhere/at/all")
    assert (copy / "folder link").readlink() == Path("bin")
    assert (copy / "bin/tool").samefile(copy / "second name")
    assert not (copy / "bin/tool").samefile(source / "bin/tool")
    assert (copy / "read only/file").read_bytes() == b"\0" * 100_000


def test_removal_of_the_odd(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("safe")
    top = tmp_path / "top"
    (top / "closed/inner").mkdir(parents=True)
    (top / "closed/inner/file").write_text("x")
    (top / "closed/inner/file").chmod(0)
    (top / "closed/inner").chmod(0)
    (top / "closed").chmod(0o444)
    (top / "to the outside").symlink_to(outside)
    os.mkfifo(top / "pipe")
    folder = os.open(top, os.O_RDONLY)
    for depth in range(1500):
        os.mkdir("deep deep deep", dir_fd=folder)
        below = os.open("deep deep deep", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
        if depth == 1400:
            os.fchmod(folder, 0o500)
            os.fchmod(folder, 0o700)
    os.close(folder)
    remove_tree(top)
    assert not top.exists()
    assert (outside / "precious").read_text() == "safe"
    remove_tree(top)
    (tmp_path / "link").symlink_to(outside)
    remove_tree(tmp_path / "link")
    assert (outside / "precious").exists()


# --- out ------------------------------------------------------------------------------------------


def kept(spool: BlobStore, manifest: Manifest) -> dict[str, str]:
    return {file.path: spool.path(file.hash).read_text() for file in manifest.files}


def test_results_come_out(work: Path, spool: BlobStore) -> None:
    out = work / "distribute_save"
    (out / "a/b").mkdir(parents=True)
    (out / "a/b/field.vtk").write_text("field")
    (out / "tool").write_text("#!/bin/sh")
    (out / "tool").chmod(0o755)
    (out / "empty/er").mkdir(parents=True)
    (out / "nothing").touch()
    words = work.parent / "out"
    words.write_text("said")
    places = {"stdout.txt": words, "stderr.txt": work.parent / "missing"}
    manifest = collect(work, places, spool)
    remove_tree(work)
    assert kept(spool, manifest) == {
        "a/b/field.vtk": "field",
        "nothing": "",
        "stdout.txt": "said",
        "tool": "#!/bin/sh",
    }
    assert manifest.folders == ("empty/er",)
    assert manifest.notes == ()
    assert [file.path for file in manifest.files if file.executable] == ["tool"]
    assert [file.size for file in manifest.files] == [5, 0, 4, 9]


def test_names_of_ours_are_kept_aside(work: Path, spool: BlobStore) -> None:
    out = work / "distribute_save"
    (out / "stdout.txt").write_text("the job's")
    (out / "stdout.txt.from_job").write_text("the job's too")
    (out / "stderr.txt").mkdir()
    (out / "stderr.txt/x").write_text("x")
    (out / "attempt.json").write_text("{}")
    (out / "below").mkdir()
    (out / "below/stdout.txt").write_text("below")
    (work.parent / "out").write_text("ours")
    manifest = collect(work, {"stdout.txt": work.parent / "out"}, spool)
    assert kept(spool, manifest) == {
        "attempt.json.from_job": "{}",
        "below/stdout.txt": "below",
        "stderr.txt.from_job/x": "x",
        "stdout.txt": "ours",
        "stdout.txt.from_job": "the job's too",
        "stdout.txt.from_job.from_job": "the job's",
    }
    assert manifest.notes == ()


def test_what_cannot_be_kept_is_said(work: Path, spool: BlobStore, tmp_path: Path) -> None:
    out = work / "distribute_save"
    (tmp_path / "secret").write_text("secret")
    (out / "out").symlink_to(tmp_path / "secret")
    (out / "up").symlink_to("../../../secret")
    (out / "passwd").symlink_to("/etc/passwd")
    (out / "dangling").symlink_to("nowhere")
    (out / "loop").symlink_to("loop")
    (out / "folder").symlink_to(".")
    os.mkfifo(out / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(out / "socket"))
    (out / "good").symlink_to("../input/mesh")
    (out / "seen from inside").symlink_to("/fallow/work/input/mesh")
    (work / "input/mesh").write_text("mesh")
    manifest = collect(work, {}, spool)
    assert kept(spool, manifest) == {"good": "mesh", "seen from inside": "mesh"}
    assert len(manifest.notes) == 8
    assert {note.split("'")[1] for note in manifest.notes} == {
        "out", "up", "passwd", "dangling", "loop", "folder", "pipe", "socket"
    }  # fmt: skip


def test_a_file_that_has_another_name_elsewhere_stays_writable(
    work: Path, spool: BlobStore, tmp_path: Path
) -> None:
    (tmp_path / "thesis").write_text("thesis")
    os.link(tmp_path / "thesis", work / "distribute_save/thesis")
    mode = (tmp_path / "thesis").stat().st_mode
    assert kept(spool, collect(work, {}, spool)) == {"thesis": "thesis"}
    assert (tmp_path / "thesis").stat().st_mode == mode


def test_closed_and_odd_names(work: Path, spool: BlobStore) -> None:
    out = work / "distribute_save"
    (out / "shut").mkdir()
    (out / "shut/file").write_text("x")
    (out / "shut/file").chmod(0)
    (out / "shut").chmod(0)
    (out / "new\nline").write_text("n")
    (out / os.fsdecode(b"caf\xe9")).write_text("latin")
    manifest = collect(work, {}, spool)
    assert kept(spool, manifest) == {"shut/file": "x", "new\nline": "n", "caf\\xe9": "latin"}
    assert len(manifest.notes) == 1


def test_very_many_notes_are_cut(work: Path, spool: BlobStore) -> None:
    for number in range(NOTES + 7):
        (work / f"distribute_save/{number}").symlink_to("nowhere")
    notes = collect(work, {}, spool).notes
    assert len(notes) == NOTES + 1
    assert notes[-1] == "and 7 more were left out"


def test_too_deep_is_said_and_costs_nothing_else(work: Path, spool: BlobStore) -> None:
    folder = os.open(work / "distribute_save", os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=folder)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    (work / "distribute_save/good").write_text("good")
    manifest = collect(work, {}, spool)
    assert kept(spool, manifest) == {"good": "good"}
    assert len(manifest.notes) == 1
    assert "too long" in manifest.notes[0]


def test_a_folder_that_was_taken_away_is_said(work: Path, spool: BlobStore) -> None:
    (work / "distribute_save").rmdir()
    (work / "distribute_save").symlink_to("/etc")
    manifest = collect(work, {}, spool)
    assert manifest.files == ()
    assert "no folder any more" in manifest.notes[0]
