"""Reading the submitter's files: real ones, with what can be wrong with them."""

import hashlib
import os
from pathlib import Path

import pytest

from fallow.shared.batch import Batch, Command, CommandInitialize, CommandJob, File, Meta
from fallow.shared.errors import BatchError
from fallow.shared.inputs import Gathered, gather
from fallow.shared.messages import Content
from fallow.shared.sweep import Expansion


def gathered(folder: Path, *files: str) -> Gathered:
    initialize = CommandInitialize(
        required_files=tuple(File(path, f"f{number}") for number, path in enumerate(files))
    )
    batch = Batch(
        meta=Meta(namespace="n", batch_name="b"),
        command=Command(initialize=initialize, run="x", jobs=(CommandJob(name="a"),)),
    )
    return gather(batch, Expansion(batch), folder)


def content(data: bytes, below: str = "", executable: bool = False) -> Content:
    return Content(below, hashlib.sha256(data).hexdigest(), len(data), executable)


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "src/lib/deep").mkdir(parents=True)
    (tmp_path / "src/empty").mkdir()
    (tmp_path / "mesh.h5").write_bytes(b"mesh" * 1_000_000)
    (tmp_path / "src/run me").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "src/run me").chmod(0o755)
    (tmp_path / "src/lib/deep/é.f90").write_bytes(b"")
    found = gathered(tmp_path, "mesh.h5", "src/", str(tmp_path / "src/lib"))
    assert found.contents == {
        "mesh.h5": (content(b"mesh" * 1_000_000),),
        "src/": (content(b"", "lib/deep/é.f90"), content(b"#!/bin/sh\n", "run me", True)),
        str(tmp_path / "src/lib"): (content(b"", "deep/é.f90"),),
    }
    assert {hash: path.name for hash, path in found.files.items()} == {
        content(b"mesh" * 1_000_000).hash: "mesh.h5",
        content(b"#!/bin/sh\n").hash: "run me",
        content(b"").hash: "é.f90",
    }
    assert sorted(found.sizes.values()) == [0, 10, 4_000_000]


def test_progress_counts_every_byte_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").symlink_to("a")
    steps: list[int] = []
    batch = Batch(
        meta=Meta(namespace="n", batch_name="b"),
        command=Command(
            run="x", required_files=(File("a"), File("b")), jobs=(CommandJob(name="j"),)
        ),
    )
    gather(batch, Expansion(batch), tmp_path, steps.append)
    assert sum(steps) == 3_000_000
    assert len(steps) > 1


def test_links_inside_are_followed(tmp_path: Path) -> None:
    (tmp_path / "src/real").mkdir(parents=True)
    (tmp_path / "src/real/a").write_bytes(b"a")
    (tmp_path / "src/file").symlink_to("real/a")
    (tmp_path / "src/folder").symlink_to("real")
    (tmp_path / "link").symlink_to("src")
    wanted = (content(b"a", "file"), content(b"a", "folder/a"), content(b"a", "real/a"))
    assert gathered(tmp_path, "src", "link").contents == {"src": wanted, "link": wanted}


def test_a_folder_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mesh.h5").write_bytes(b"m")
    assert gathered(tmp_path / "elsewhere", "~/mesh.h5").contents == {"~/mesh.h5": (content(b"m"),)}


def refused(folder: Path, path: str) -> BatchError:
    with pytest.raises(BatchError) as caught:
        gathered(folder, path)
    assert caught.value.path == ("command", "initialize", "required_files", 0)
    return caught.value


def test_what_is_not_there(tmp_path: Path) -> None:
    error = refused(tmp_path, "mesh.h5")
    assert error.title == f"{tmp_path}/mesh.h5 does not exist"
    (tmp_path / "file").write_bytes(b"")
    assert "not a directory" in refused(tmp_path, "file/mesh.h5").title
    (tmp_path / "broken").symlink_to("nowhere")
    assert "does not exist" in refused(tmp_path, "broken").title
    (tmp_path / "long").mkdir()
    assert "cannot be read" in refused(tmp_path, "x" * 5000).title


def test_links_that_lead_out_or_in_circles(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    for name, target, complaint in (
        ("out", "../secret", "is a link to"),
        ("up", "..", "is a link to"),
        ("broken", "nowhere", "does not exist"),
        ("self", "link", "leads to itself"),
        ("here", ".", "leads into itself"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "link").symlink_to(target)
        assert complaint in refused(tmp_path, name).title
    (tmp_path / "deep/a/b").mkdir(parents=True)
    (tmp_path / "deep/a/b/c").symlink_to("../../a")
    assert "leads into itself" in refused(tmp_path, "deep").title


def test_what_is_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "src").mkdir()
    os.mkfifo(tmp_path / "src/pipe")
    for path in ("pipe", "src", "/dev/null"):
        assert "is neither a file nor a folder" in refused(tmp_path, path).title


def test_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/src/\xff")).write_bytes(b"")
    assert "not UTF-8" in refused(tmp_path, "src").title


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"x" * 3_000_000)

    def grow(_: int) -> None:
        with file.open("ab") as opened:
            opened.write(b"y")

    batch = Batch(
        meta=Meta(namespace="n", batch_name="b"),
        command=Command(run="x", required_files=(File("log"),), jobs=(CommandJob(name="j"),)),
    )
    with pytest.raises(BatchError, match="changed while it was read"):
        gather(batch, Expansion(batch), tmp_path, grow)
