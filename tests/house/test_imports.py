"""The never-arrows, the pure modules and the one-home rule, over the product as it is.

Not the rules: those are tables in import_rules.py. The second half shows that they find a breach.
"""

import ast

import pytest

from house.import_rules import PURE, PURE_TO_COME, SEAMS, TOP, imports, modules, violations

EVERY = modules()
KNOWN = set(EVERY)
ALL_PURE = PURE | PURE_TO_COME
# For the examples below, which must not depend on what is written so far.
SHELLS = {"fallow.shared.transport", "fallow.tray.agent", "fallow.tray.cli", "fallow.tray.view"}


@pytest.mark.parametrize("module", sorted(EVERY))
def test_module_keeps_the_rules(module: str) -> None:
    path = EVERY[module]
    package = path.name == "__init__.py"
    found = violations(module, path.read_text(), KNOWN | ALL_PURE, ALL_PURE, package)
    assert not found, "\n".join(found)


def test_every_pure_module_exists() -> None:
    assert not PURE - KNOWN, "renamed or gone: say so in import_rules.py"


@pytest.mark.parametrize(("who", "whom"), sorted(SEAMS))
def test_every_seam_is_used_and_stays_out_of_the_way(who: str, whom: str) -> None:
    text = EVERY[who].read_text()
    assert whom in {name for _, name in imports(who, text, KNOWN, package=False)}
    # Nothing at the top of the module but what only a type checker reads.
    top = ast.Module([each for each in ast.parse(text).body if _imports(each)], [])
    assert whom not in {name for _, name in imports(who, ast.unparse(top), KNOWN, False)}


def _imports(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import | ast.ImportFrom)


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(TOP))
        for path in EVERY.values()
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert not silent


BREACHES = {
    "a shell in a pure module": ("fallow.shared.batch", "from fallow.shared import transport"),
    "a relative import of a shell": ("fallow.shared.batch", "from .transport import Poller"),
    "a relative import from above": ("fallow.shared.work.run", "from ..transport import Poller"),
    "a clock in a pure module": ("fallow.tray.presence", "import time"),
    "a clock by datetime": (
        "fallow.tray.presence",
        "import datetime\nx = datetime.datetime.now()",
    ),
    "inside a function": ("fallow.tray.core", "def f():\n    import os"),
    "for types only": (
        "fallow.coordinator.plan",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pathlib",
    ),
    "a submodule": ("fallow.coordinator.job", "import os.path"),
    "in a try": (
        "fallow.coordinator.job",
        "try:\n    import random\nexcept ImportError:\n    pass",
    ),
    "shared looks at a side": ("fallow.shared.loop", "import fallow.tray.cli"),
    "side looks at side": ("fallow.coordinator.server", "from fallow.tray import view"),
    "the other way": ("fallow.tray.agent", "from fallow.coordinator.store import Store"),
    "the window decides": ("fallow.tray.ui.window", "from fallow.tray.core import step"),
    "a second home for zmq": ("fallow.coordinator.server", "import zmq.auth"),
    "a second home for sqlite3": ("fallow.coordinator.results", "from sqlite3 import connect"),
    "Qt outside of ui": ("fallow.tray.view", "from PySide6.QtWidgets import QMenu"),
    "Qt in a sensor": ("fallow.tray.sensors.power", "from PySide6 import QtDBus"),
    "psutil in the agent": ("fallow.tray.agent", "import psutil"),
    "subprocess in the tray": ("fallow.tray.cli", "import subprocess"),
    "pynput in the agent": ("fallow.tray.agent", "from pynput import keyboard"),
    "a name that only begins alike": ("fallow.tray.uikit", "import PySide6"),
    "pickle": ("fallow.shared.transport", "import pickle"),
    "import by name": ("fallow.tray.cli", "import importlib\nimportlib.import_module('zmq')"),
    "a shell command by os": ("fallow.tray.cli", "import os\nos.system('true')"),
}
ALLOWED = {
    "values": ("fallow.tray.presence", "import math\nfrom collections.abc import Mapping"),
    "pure from pure": ("fallow.coordinator.core", "from fallow.coordinator import job, plan"),
    "msgspec": ("fallow.shared.messages", "import msgspec\nfrom msgspec import Struct"),
    "zmq at home": ("fallow.shared.transport", "import zmq\nimport zmq.auth.thread"),
    "both sides know shared": ("fallow.tray.agent", "from fallow.shared import transport"),
    "the name of the system": ("fallow.tray.cli", "import platform\nplatform.system()"),
    "subprocess in work": ("fallow.shared.work.processes", "import subprocess"),
}


@pytest.mark.parametrize("case", sorted(BREACHES))
def test_a_breach_is_found(case: str) -> None:
    module, text = BREACHES[case]
    assert len(violations(module, text, ALL_PURE | SHELLS, ALL_PURE)) >= 1


@pytest.mark.parametrize("case", sorted(ALLOWED))
def test_what_is_allowed_passes(case: str) -> None:
    module, text = ALLOWED[case]
    assert violations(module, text, ALL_PURE | SHELLS, ALL_PURE) == []
