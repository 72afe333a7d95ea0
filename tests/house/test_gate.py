"""The gate itself: that a skipped test fails in CI, and that tests see no screen of their user."""

import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[2]

SKIPS = """
import pytest

def test_skips():
    pytest.skip("part is missing")

@pytest.mark.may_skip("another platform")
def test_may_skip():
    pytest.skip("another platform")
"""
SKIPS_WHOLE = """
import pytest

pytest.importorskip("no_such_module_anywhere")
"""


def run_gate(folder: Path, test: str, ci: str) -> str:
    """Returns the closing lines of pytest over one test file with our own conftest.py."""
    (folder / "tests").mkdir()
    (folder / "tests" / "conftest.py").write_text((TOP / "tests" / "conftest.py").read_text())
    (folder / "tests" / "test_it.py").write_text(test)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = may_skip(reason): x\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.strip().splitlines()[-1]


def test_a_skip_fails_in_ci(tmp_path: Path) -> None:
    assert run_gate(tmp_path, SKIPS, ci="true").startswith("1 failed, 1 skipped")


def test_a_skip_is_a_skip_elsewhere(tmp_path: Path) -> None:
    assert run_gate(tmp_path, SKIPS, ci="").startswith("2 skipped")


def test_a_file_that_skips_itself_fails_in_ci(tmp_path: Path) -> None:
    assert "1 error" in run_gate(tmp_path, SKIPS_WHOLE, ci="true")


def test_no_screen_and_no_folder_of_the_user_is_in_sight() -> None:
    assert "DISPLAY" not in os.environ
    assert "DBUS_SESSION_BUS_ADDRESS" not in os.environ
    assert "fallow-tests-" in os.environ["XDG_DATA_HOME"]
