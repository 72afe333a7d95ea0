"""Names from outside stay below their folder, whatever lies on the disk."""

import os
from pathlib import Path

import pytest

from fallow.shared.errors import FallowError
from fallow.shared.paths import open_beneath, resolve_beneath, safe_name, safe_relative

LEAVING = ["", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "x\0y", "a/" + "b" * 256]


@pytest.mark.parametrize(
    ("path", "short"),
    [("a", "a"), ("a/b.txt", "a/b.txt"), ("./a//b/", "a/b"), ("naïve file", "naïve file")],
)
def test_paths_are_shortened(path: str, short: str) -> None:
    assert safe_relative(path) == short


@pytest.mark.parametrize(
    "path", [*LEAVING, ".", "./", "a\\b", "C:x", "CON", "a/nul.txt", "a/COM1", "a.", "a ", "a\nb"]
)
def test_unsafe_paths_are_refused(path: str) -> None:
    with pytest.raises(FallowError, match="The path"):
        safe_relative(path)


@pytest.mark.parametrize("name", ["a/b", "", "..", "-x", "x:y", "nul", "a\tb"])
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(FallowError, match="The name"):
        safe_name(name)


@pytest.mark.parametrize("path", LEAVING)
def test_nothing_outside_is_resolved_or_opened(tmp_path: Path, path: str) -> None:
    with pytest.raises(FallowError):
        resolve_beneath(tmp_path, path)
    with pytest.raises(FallowError):
        open_beneath(tmp_path, path, os.O_WRONLY | os.O_CREAT, make_parents=True)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", ["link", "link/x", "folder/link", "folder/link/x", "dangling"])
def test_no_symbolic_link_is_followed(tmp_path: Path, path: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "folder").mkdir(parents=True)
    outside.mkdir()
    (root / "link").symlink_to(outside)
    (root / "folder" / "link").symlink_to(outside)
    (root / "dangling").symlink_to(outside / "x")
    with pytest.raises(FallowError, match="symbolic link"):
        resolve_beneath(root, path)
    with pytest.raises(FallowError, match="symbolic link"):
        open_beneath(root, path, os.O_WRONLY | os.O_CREAT, make_parents=True)
    assert os.listdir(outside) == []


def test_a_file_is_written_and_read_below(tmp_path: Path) -> None:
    with open(
        open_beneath(tmp_path, "a/b/c", os.O_WRONLY | os.O_CREAT, make_parents=True), "wb"
    ) as file:
        file.write(b"text")
    with open(open_beneath(tmp_path, "a/b/c"), "rb") as file:
        assert file.read() == b"text"
    assert resolve_beneath(tmp_path, "a/b/c").read_bytes() == b"text"
    assert resolve_beneath(tmp_path, "a/new") == tmp_path / "a" / "new"
    with pytest.raises(FileNotFoundError):
        open_beneath(tmp_path, "not/here")
    with pytest.raises(NotADirectoryError):
        open_beneath(tmp_path, "a/b/c/d")
