"""Which names are allowed, what a reference means, and which paths stay below their folder."""

import pytest

from fallow.shared.errors import UsageError
from fallow.shared.ids import (
    AttemptId,
    Ref,
    alias_problem,
    name_problem,
    parse_attempt,
    parse_ref,
    relative_path_problem,
)

GOOD = ["a", "re100_g32", "Größe 3", "a.b", "x" * 100, "日" * 76, "com10", "a'b\"c$d", "(1,2)"]
BAD = {
    "": "is empty",
    "x" * 101: "101 characters",
    "日" * 80: "240 bytes",
    "a/b": "contains '/'",
    "a\\b": "contains",
    "a:b": "contains ':'",
    ".a": "starts with '.'",
    "-a": "starts with '-'",
    " a": "starts with ' '",
    "a.": "ends with '.'",
    "a ": "ends with ' '",
    "a\nb": "unprintable",
    "a\x00": "unprintable",
    "a\u202eb": "unprintable",
    "\ud800": "unprintable",
    "con": "reserved",
    "NUL.txt": "reserved",
    "lpt1": "reserved",
}


@pytest.mark.parametrize("name", GOOD)
def test_good_names(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize("name", BAD)
def test_bad_names(name: str) -> None:
    assert BAD[name] in (name_problem(name) or "")


def test_references() -> None:
    assert parse_ref("b") == Ref("b")
    assert parse_ref("n:b/j") == Ref("b", "n", "j")
    assert parse_ref("b/j") == Ref("b", None, "j")
    assert str(parse_ref("n:b/j")) == "n:b/j"
    for text in ("", ":b", "b/", "n:", "a:b:c", "a/b/c", "../b", "n:/j"):
        with pytest.raises(UsageError):
            parse_ref(text)


def test_attempts_have_a_text_form() -> None:
    attempt = AttemptId("abcd1234", 12, 3)
    assert parse_attempt(str(attempt)) == attempt
    for text in ("", "a-1", "a-1-2-3", "../a-1-2", "A-1-2", "a--1-2", "a-1-2\n", "a-1-²"):
        with pytest.raises(ValueError):
            parse_attempt(text)


@pytest.mark.parametrize("path", ["a", "a/b.c", ".hidden", "a b/c:d", "NUL", "..a", "ü/日"])
def test_outputs_may_have_odd_names(path: str) -> None:
    assert relative_path_problem(path) is None


@pytest.mark.parametrize(
    "path", ["", "/a", "..", "a/../b", "a//b", "a/", "./a", "a\x00b", "x" * 256, "a/" * 2001 + "a"]
)
def test_no_output_leaves_its_folder(path: str) -> None:
    assert relative_path_problem(path) is not None


@pytest.mark.parametrize("path", ["a:b", "a\\b", "con", "a/nul.txt", "a.", "a /b", "a\x1f", "../x"])
def test_an_alias_is_good_on_any_system(path: str) -> None:
    assert alias_problem(path) is not None
