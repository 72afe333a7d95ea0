"""What holds for every test: no screen, no user folders, no skipping in CI.

Not fixtures of one kind of test: those are in the conftest.py of its folder.
"""

import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

# Tests that start many processes, or a screen, stay together by file, so that a fixture of a file
# is made once; and they come first, so that no worker begins the longest one at the very end.
HEAVY = ("main_job", "slurm", "model", "desktop", "processes", "sockets", "house")

# A developer's own session must never be seen, moved or stopped by a test.
OWN_SESSION = (
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_SESSION_ID",
    "XDG_CURRENT_DESKTOP",
)
OWN_FOLDERS = (
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
)
scratch_key = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    scratch = Path(tempfile.mkdtemp(prefix="fallow-tests-"))
    config.stash[scratch_key] = scratch
    for name in OWN_SESSION:
        os.environ.pop(name, None)
    for name in [name for name in os.environ if name.startswith("FALLOW_")]:
        del os.environ[name]
    # Where this computer's own agent would be.
    os.environ["FALLOW_RUN"] = str(scratch)
    (scratch / "lock").mkdir()
    for name in OWN_FOLDERS:
        folder = scratch / name.removeprefix("XDG_").lower()
        folder.mkdir(mode=0o700)
        os.environ[name] = str(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    scratch = config.stash.get(scratch_key, None)
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    """Draws widgets of the test process off screen; real trays are processes of their own."""
    return ["fallow-tests", "-platform", "offscreen"]


def _folder(item: pytest.Item, config: pytest.Config) -> str:
    parts = item.path.relative_to(config.rootpath / "tests").parts
    return parts[0] if len(parts) > 1 else ""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    rank = {folder: place for place, folder in enumerate(HEAVY)}
    for item in items:
        if _folder(item, config) in rank and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: rank.get(_folder(item, config), len(rank)))


def _no_skips() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    excused = item.get_closest_marker("may_skip") is not None
    if report.skipped and not hasattr(report, "wasxfail") and not excused and _no_skips():
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.outcome == "skipped" and _no_skips():
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report
