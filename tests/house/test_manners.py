"""How tests behave: they wait for conditions, patch nothing and end only what is theirs.

Not the import rules of the product: those are in test_imports.py.
"""

import ast
from collections import Counter
from pathlib import Path

import pytest

from house.import_rules import TOP

TESTS = TOP / "tests"
BY_NAME = {"p" + "kill", "kill" + "all"}  # in pieces, so that this file does not find itself


def breaches(text: str, may_sleep: bool = False) -> list[str]:
    """Every rule that this test's text breaks, with its line."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{name}" for name in names]
            if any(name.startswith(("unittest.mock", "mock", "pytest_mock")) for name in names):
                found.append(f"{node.lineno}: a mock: a seam is missing in the product")
            if not may_sleep and "time.sleep" in names:
                found.append(f"{node.lineno}: sleeps: wait for a condition with wait_until")
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called == "time.sleep" and not may_sleep:
                found.append(f"{node.lineno}: sleeps: wait for a condition with wait_until")
        elif isinstance(node, ast.Constant) and node.value in BY_NAME:
            found.append(f"{node.lineno}: ends processes by name: they may be somebody else's")
    return found


def files() -> list[Path]:
    return sorted(path for path in TESTS.rglob("*.py") if "data" not in path.parts)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(TESTS)))
def test_file_keeps_the_manners(path: Path) -> None:
    # A loop that asks again and again has its own home, beside the tests.
    asserts = path.name.startswith("test_") or path.name == "conftest.py"
    assert breaches(path.read_text(), may_sleep=not asserts) == []


def test_names_of_test_files_are_unique() -> None:
    names = Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_folders_of_tests_are_no_packages() -> None:
    assert [path for path in files() if path.name == "__init__.py"] == []


@pytest.mark.parametrize(
    "text",
    [
        "from unittest import mock",
        "from unittest.mock import patch",
        "import time\ntime.sleep(1)",
        "from time import sleep",
        "subprocess.run(['" + "p" + "kill', 'tray'])",
    ],
)
def test_a_breach_is_found(text: str) -> None:
    assert len(breaches(text)) == 1


def test_reading_a_clock_is_no_breach() -> None:
    assert breaches("import time\nstarted = time.monotonic()") == []
