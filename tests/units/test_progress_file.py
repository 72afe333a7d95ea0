"""FALLOW_PROGRESS: whatever a job writes there, or makes of the file, nobody comes to harm."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.shared.runs import Progress
from fallow.shared.work import files, progress


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.43", Progress(0.43)),
        ("0.43\n", Progress(0.43)),
        ("  0.43   step 430 of 1000  \n", Progress(0.43, "step 430 of 1000")),
        ("1", Progress(1.0)),
        ("0", Progress(0.0)),
        (".5\ttab", Progress(0.5, "tab")),
        ("4.3e-1 words", Progress(0.43, "words")),
        # Appended line by line, the last of them half written.
        ("0.1 one\n0.2 two\n0.3", Progress(0.3)),
        ("0.1 one\n0.2 two\nst", Progress(0.2, "two")),
        ("0.1 one\n\n", Progress(0.1, "one")),
        ("0.5 " + "x" * 1000, Progress(0.5, "x" * 200)),
        ("0.5 a\x1b[31mb\x00c", Progress(0.5, "a [31mb c")),
        ("", None),
        ("\n", None),
        ("43 %", None),
        ("1.01", None),
        ("-0.1", None),
        ("nan", None),
        ("inf", None),
        ("0,43", None),
        ("done", None),
        ("\ufffd\ufffd", None),
    ],
)
def test_what_a_job_says(text: str, said: Progress | None) -> None:
    assert progress.parse(text) == said


@given(st.text())
def test_any_text_is_a_share_or_nothing(text: str) -> None:
    said = progress.parse(text)
    assert said is None or (0.0 <= said.share <= 1.0 and said.text.isprintable())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / files.PROGRESS
    path.parent.mkdir(parents=True)
    return path


def test_the_end_of_a_long_file(tmp_path: Path, place: Path) -> None:
    with place.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, os.SEEK_END)
        file.write(b"\n0.75 nearly\n")
    text = files.read_progress(tmp_path)
    assert text is not None
    assert len(text) <= 4096
    assert progress.parse(text) == Progress(0.75, "nearly")


def test_bytes_that_are_no_text(tmp_path: Path, place: Path) -> None:
    place.write_bytes(b"\xff\xfe0.5\n")
    text = files.read_progress(tmp_path)
    assert text is not None
    assert progress.parse(text) is None


@pytest.mark.parametrize("kind", ["nothing", "folder", "link", "pipe", "pipe that is open"])
def test_what_is_no_file(tmp_path: Path, place: Path, kind: str) -> None:
    descriptor = None
    if kind == "folder":
        place.mkdir()
    elif kind == "link":
        (tmp_path / "secret").write_text("0.5")
        place.symlink_to(tmp_path / "secret")
    elif kind.startswith("pipe"):
        os.mkfifo(place)
        if kind == "pipe that is open":
            descriptor = os.open(place, os.O_RDWR)
    try:
        assert files.read_progress(tmp_path) is None
    finally:
        if descriptor is not None:
            os.close(descriptor)
