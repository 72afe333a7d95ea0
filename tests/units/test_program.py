"""How both commands end, whatever happens inside a verb."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

SCRIPT = """
import sys
import click
from fallow.shared import program
from fallow.shared.errors import FallowError, Unreachable

@click.command()
@click.argument("what")
def entry(what):
    if what == "bug":
        raise RuntimeError("ours")
    if what == "gone":
        raise Unreachable("Nobody answers", hint="start it")
    if what == "letters":
        print("naïve \\u2603")
    if what == "three":
        return 3

sys.exit(program.run(entry, "fallow", sys.argv[1:]))
"""


def call(words: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONIOENCODING": "ascii"}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )


@pytest.mark.parametrize(
    ("word", "code", "said"),
    [("three", 3, ""), ("gone", 3, "error: Nobody answers\nhint: start it\n"), ("letters", 0, "")],
)
def test_how_a_verb_ends(word: str, code: int, said: str, tmp_path: Path) -> None:
    done = call([word], tmp_path)
    assert (done.returncode, done.stderr) == (code, said)


def test_wrong_usage(tmp_path: Path) -> None:
    assert call([], tmp_path).returncode == 2


def test_a_bug_says_so_and_keeps_what_its_authors_need(tmp_path: Path) -> None:
    done = call(["bug"], tmp_path)
    assert done.returncode == 1
    assert "this is a bug in Fallow (RuntimeError: ours)" in done.stderr
    assert "Traceback" not in done.stderr
    (kept,) = tmp_path.iterdir()
    assert str(kept) in done.stderr
    assert "Traceback" in kept.read_text()
