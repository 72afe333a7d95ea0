"""A real agent that gives its job back: the session closes, or the computer shuts down."""

import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop.login1 import Login1
from fallow.tray.local import Done, Leave, LocalClient
from main_job.conftest import Coordinator
from main_job.workstation import Workstation
from waiting import wait_until

BATCH = """
meta: {namespace: ana, batch_name: b}
command: {jobs: [{name: j, run: "sleep 600"}]}
resources: {cpus: 1, memory: 64MB}
"""


def the_job(coordinator: Coordinator) -> tuple[str, int, int, int]:
    """The one job's state, and its evictions, failures and crashes."""
    (batch,) = coordinator.verbs.json("status", "b")["batches"]
    (job,) = batch["jobs"]
    return job["state"], job["evictions"], job["failures"], job["crashes"]


def running(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    coordinator.verbs.ok("submit", batch_file(BATCH))
    workstation.wait_for_run("running")


def gave_back(coordinator: Coordinator, workstation: Workstation) -> None:
    assert workstation.process is not None
    assert workstation.process.wait(60) == 0
    workstation.process = None
    wait_until(
        lambda: the_job(coordinator) == ("queued", 1, 0, 0), 30, "the job to be somebody else's"
    )


def test_the_session_closes(
    coordinator: Coordinator, workstation: Workstation, batch_file: Callable[..., Path]
) -> None:
    running(coordinator, workstation, batch_file)
    with LocalClient(workstation.data_dir) as client:
        assert isinstance(client.ask(Leave()), Done)
    gave_back(coordinator, workstation)
    # The next one starts it anew.
    workstation.start()
    workstation.wait_for_run("running")
    assert the_job(coordinator)[1:] == (1, 0, 0)


def test_the_computer_shuts_down(
    coordinator: Coordinator,
    workstation: Workstation,
    batch_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory(prefix="fallow-bus-") as folder:
        login1 = Login1(Path(folder))
        try:
            workstation.stop()
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", login1.address)
            workstation.start()
            running(coordinator, workstation, batch_file)
            login1.tell(shutting_down=True)
            assert workstation.process is not None
            workstation.process.send_signal(signal.SIGTERM)
            gave_back(coordinator, workstation)
        finally:
            login1.end(login1.service)
            login1.end(login1.bus)
