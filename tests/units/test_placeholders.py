"""Placeholders: what is one and what passes through, and quoting as a real shell understands it."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallow.shared.placeholders import fill, parse, quote, show

VALUES = {"re": "100", "grid": "a b", "ν": "3"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("--re {re} --grid {grid}", "--re 100 --grid a b"),
        ("{re}{re}", "100100"),
        ("re{re}_x", "re100_x"),
        ("{ν}", "3"),
        ("${re}", "${re}"),
        ("${VAR:-{re}}", "${VAR:-100}"),
        ("{{re}}", "{re}"),
        ("{{{re}}}", "{{re}}"),
        ("awk '{print $1}' f | awk '{ s += $2 } END {print s}'", None),
        ("find . -exec rm {} ;", None),
        ('json={"a": {re}}', 'json={"a": 100}'),
        ("{1} {re }", None),
        ("}{", None),
        ("", None),
    ],
)
def test_fills_only_placeholders(text: str, filled: str | None) -> None:
    assert fill(parse(text), VALUES.__getitem__) == (text if filled is None else filled)


def test_a_value_is_not_looked_into() -> None:
    assert fill(parse("{a} {b}"), {"a": "{b}", "b": "{{a}}"}.__getitem__) == "{b} {{a}}"


@pytest.mark.parametrize(
    ("line", "in_quotes"),
    [
        ("x {a}", (False,)),
        ("x '{a}' {a}", (True, False)),
        ('x "{a}" {a}', (True, False)),
        ('x "it\'s" {a}', (False,)),
        ("x \\' {a}", (False,)),
        ("x 'a\\' {a}", (False,)),
        ('x "a\\" {a}"', (True,)),
    ],
)
def test_sees_quotes(line: str, in_quotes: tuple[bool, ...]) -> None:
    assert parse(line).in_quotes == in_quotes


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (100, "100"),
        (100.0, "100"),
        (1e-5, "1e-05"),
        (1e16, "1e+16"),
        (-0.5, "-0.5"),
        ("1.50", "1.50"),
        (True, "true"),
    ],
)
def test_shows_numbers_shortly(value: str | float, text: str) -> None:
    assert show(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back(value: float) -> None:
    assert float(show(value)) == value


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
        min_size=1,
        max_size=4,
    )
)
def test_a_real_shell_sees_every_value_as_one_word(values: list[str]) -> None:
    names = {f"v{number}": value for number, value in enumerate(values)}
    line = "printf '%s\\0' " + " ".join(f"{{{name}}}" for name in names)
    filled = fill(parse(line), lambda name: quote(names[name]))
    seen = subprocess.run(["sh", "-c", filled], capture_output=True, check=True, timeout=10).stdout
    assert seen.split(b"\0")[:-1] == [value.encode() for value in values]
