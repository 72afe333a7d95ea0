"""The import rules of the product, as tables, and the reading of one module's imports by its text.

Not a test: test_imports.py applies it. Nothing is imported here, so a lazy import inside a
function and one under TYPE_CHECKING count like any other.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).parents[2]
ROOTS = ("shared", "coordinator", "tray")

# Decisions: they import only each other, msgspec and the VALUE_ONLY part of the standard library.
PURE = {
    "fallow.shared",
    "fallow.shared.aliases",
    "fallow.shared.batch",
    "fallow.shared.checks",
    "fallow.shared.combinations",
    "fallow.shared.containers",
    "fallow.shared.errors",
    "fallow.shared.ids",
    "fallow.shared.jobnames",
    "fallow.shared.jobspec",
    "fallow.shared.messages",
    "fallow.shared.messages.assignment",
    "fallow.shared.messages.client",
    "fallow.shared.messages.data",
    "fallow.shared.messages.encoding",
    "fallow.shared.messages.replies",
    "fallow.shared.messages.workstation",
    "fallow.shared.moments",
    "fallow.shared.placeholders",
    "fallow.shared.ranges",
    "fallow.shared.runs",
    "fallow.shared.sweep",
    "fallow.shared.terms",
    "fallow.shared.units",
    "fallow.shared.work",
    "fallow.shared.work.build",
    "fallow.shared.work.orders",
    "fallow.shared.work.phases",
    "fallow.shared.work.progress",
    "fallow.shared.work.run",
    "fallow.shared.work.run_rules",
    "fallow.shared.work.checkpoint",
    "fallow.shared.work.eviction",
    "fallow.shared.work.gpus",
    "fallow.shared.work.run_words",
    "fallow.shared.work.settings",
    "fallow.shared.work.workload",
    "fallow.coordinator",
    "fallow.coordinator.alarms",
    "fallow.coordinator.asking",
    "fallow.coordinator.attempt",
    "fallow.coordinator.changing",
    "fallow.coordinator.checkpoints",
    "fallow.coordinator.core",
    "fallow.coordinator.eta",
    "fallow.coordinator.events",
    "fallow.coordinator.exporting",
    "fallow.coordinator.fairshare",
    "fallow.coordinator.fixes",
    "fallow.coordinator.following",
    "fallow.coordinator.hearing",
    "fallow.coordinator.invariants",
    "fallow.coordinator.keeping",
    "fallow.coordinator.job",
    "fallow.coordinator.live_batch",
    "fallow.coordinator.lives",
    "fallow.coordinator.local_queue",
    "fallow.coordinator.lookup",
    "fallow.coordinator.node",
    "fallow.coordinator.placing",
    "fallow.coordinator.plan",
    "fallow.coordinator.queue",
    "fallow.coordinator.records",
    "fallow.coordinator.slurm",
    "fallow.coordinator.slurm.classes",
    "fallow.coordinator.slurm.detect",
    "fallow.coordinator.slurm.directives",
    "fallow.coordinator.slurm.ends",
    "fallow.coordinator.slurm.readme",
    "fallow.coordinator.slurm.script",
    "fallow.coordinator.slurm.site",
    "fallow.coordinator.slurm.words",
    "fallow.coordinator.report",
    "fallow.coordinator.report.charts",
    "fallow.coordinator.report.figures",
    "fallow.coordinator.report.history",
    "fallow.coordinator.report.page",
    "fallow.coordinator.report.style",
    "fallow.coordinator.report.timeline",
    "fallow.coordinator.report.words",
    "fallow.coordinator.soundness",
    "fallow.coordinator.status",
    "fallow.coordinator.telling",
    "fallow.coordinator.why",
    "fallow.coordinator.world",
    "fallow.tray",
    "fallow.tray.admitting",
    "fallow.tray.core",
    "fallow.tray.core_words",
    "fallow.tray.coverage",
    "fallow.tray.diary",
    "fallow.tray.form",
    "fallow.tray.farewell",
    "fallow.tray.hours",
    "fallow.tray.lookout",
    "fallow.tray.notices",
    "fallow.tray.metering",
    "fallow.tray.overview",
    "fallow.tray.presence",
    "fallow.tray.reporting",
    "fallow.tray.rights",
    "fallow.tray.second_sign",
    "fallow.tray.session",
    "fallow.tray.settings",
    "fallow.tray.show",
    "fallow.tray.status",
    "fallow.tray.view",
    "fallow.tray.windows",
    "fallow.tray.wishes",
}
# As above from the day they appear; move the name up in the same commit.
PURE_TO_COME: set[str] = set()
VALUE_ONLY = {
    "__future__",
    "abc",
    "array",
    "base64",
    "bisect",
    "collections",
    "collections.abc",
    "copy",
    "dataclasses",
    "datetime",  # for its values; reading the clock with it is found by CLOCKS
    "decimal",
    "difflib",
    "enum",
    "fractions",
    "functools",
    "graphlib",
    "hashlib",
    "ipaddress",
    "heapq",
    "html",  # for escape()
    "itertools",
    "math",
    "operator",
    "re",
    "shlex",  # for quote()
    "string",
    "textwrap",
    "types",
    "typing",
    "unicodedata",
    "urllib.parse",  # for taking addresses apart
}
CLOCKS = {"now", "today", "utcnow"}

# A library with one home: modules whose name is the key's value or lies below it.
HOMES: dict[str, tuple[str, ...]] = {
    "zmq": ("fallow.shared.transport",),
    "sqlite3": ("fallow.coordinator.store",),
    "PySide6": ("fallow.tray.ui",),
    "pynput": ("fallow.tray.sensors",),
    "Xlib": ("fallow.tray.sensors",),
    "evdev": ("fallow.tray.sensors",),
    "psutil": ("fallow.shared.work", "fallow.tray.sensors"),
    "subprocess": ("fallow.shared.work", "fallow.coordinator.slurm.client"),
    "yaml": ("fallow.shared.yamlnodes",),
}
# Never anywhere: bytes from outside must not become code, and processes have one home.
NOWHERE = {"pickle", "marshal", "shelve", "dill", "multiprocessing", "pkg_resources"}
# Nor these: together they took 10 MB of the agent's memory and as much of the tray's.
NOWHERE |= {"asyncio", "dbus_fast"}
NOWHERE_CALLED = {
    "__import__",
    "importlib.import_module",
    "os.fork",
    "os.forkpty",
    "os.popen",
    "os.posix_spawn",
    "os.posix_spawnp",
    "os.system",
}

# (who, whom): neither the module itself nor what lies below it.
NEVER = (
    ("fallow.shared", "fallow.coordinator"),
    ("fallow.shared", "fallow.tray"),
    ("fallow.coordinator", "fallow.tray"),
    ("fallow.tray", "fallow.coordinator"),
    ("fallow.tray.ui", "fallow.tray.core"),
    ("fallow.tray.ui", "fallow.tray.session"),
    ("fallow.tray.ui", "fallow.tray.agent"),
)

# (who, whom): an import inside a method or for types only, that a rule above would forbid.
SEAMS = {
    ("fallow.shared.batch", "fallow.shared.batchtext"): "Batch.load, loads, to_yaml, check",
    ("fallow.shared.batch", "fallow.coordinator.python"): "Batch.run, submit: the client's half",
    ("fallow.shared.batch", "os"): "the type of a path",
}


def modules() -> dict[str, Path]:
    """Every module of the product by its import name."""
    found = {}
    for root in ROOTS:
        for path in sorted((TOP / root / "fallow").rglob("*.py")):
            parts = path.relative_to(TOP / root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def within(module: str, home: str) -> bool:
    return module == home or module.startswith(home + ".")


def imports(module: str, text: str, known: set[str], package: bool) -> Iterator[tuple[int, str]]:
    """Yields (line, imported module); `from a import b` names a.b where that is a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                up = node.level - 1 if package else node.level
                parents = module.split(".")
                kept = parents[: len(parents) - up]
                source = ".".join([*kept, *([source] if source else [])])
            below = [f"{source}.{alias.name}" for alias in node.names]
            if any(name not in known for name in below):
                yield node.lineno, source
            yield from ((node.lineno, name) for name in below if name in known)


def calls(text: str) -> Iterator[tuple[int, str]]:
    """Yields (line, the name called as it is written)."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield node.lineno, ast.unparse(node.func)


def violations(
    module: str, text: str, known: set[str], pure: set[str], package: bool = False
) -> list[str]:
    """Every rule that this module's text breaks, one sentence each."""
    found = []

    def report(line: int, what: str) -> None:
        found.append(f"{module}:{line} {what}")

    for line, name in imports(module, text, known, package):
        if (module, name) in SEAMS:
            continue
        library = name.split(".")[0]
        if module in pure:
            ours = within(name, "fallow")
            if ours and name not in pure:
                report(line, f"is pure and imports {name}, which is not in the table PURE")
            if not ours and library != "msgspec" and name not in VALUE_ONLY:
                report(line, f"is pure and imports {name}")
        for who, whom in NEVER:
            if within(module, who) and within(name, whom):
                report(line, f"imports {name}: {who} never imports {whom}")
        homes = HOMES.get(library, ())
        if homes and not any(within(module, home) for home in homes):
            report(line, f"imports {library}, whose home is {' or '.join(homes)}")
        if library in NOWHERE:
            report(line, f"imports {library}, which has no place here")
    for line, name in calls(text):
        if name in NOWHERE_CALLED:
            report(line, f"calls {name}()")
        if module in pure and name.rpartition(".")[2] in CLOCKS:
            report(line, f"is pure and reads the clock with {name}()")
    return found
