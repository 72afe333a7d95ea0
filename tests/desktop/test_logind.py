"""The logind sensor on a real message bus, with a service that speaks logind's interface."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.login1 import Login1
from fallow.shared.moments import Moment
from fallow.tray.coverage import Desk
from fallow.tray.presence import Reading
from fallow.tray.sensors.logind import ASK_EVERY, Logind
from fallow.tray.sensors.shutdown import shutting_down


@pytest.fixture
def login1() -> Iterator[Login1]:
    # Not tmp_path: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="fallow-bus-") as folder:
        login1 = Login1(Path(folder))
        yield login1
        login1.end(login1.service)
        login1.end(login1.bus)


@pytest.fixture
def logind(login1: Login1) -> Iterator[Logind]:
    logind = Logind(login1.address)
    yield logind
    logind.close()


ANA = {"id": "2", "uid": 1000, "user": "ana", "seat": "seat0"}


def at(boot: float) -> Moment:
    return Moment(boot, 1e9 + boot)


def test_nobody_is_logged_in(logind: Logind) -> None:
    assert logind.read(at(100)) == Reading("logind", "session", True, "", None, vacant=True)


def test_whether_the_computer_shuts_down(login1: Login1) -> None:
    assert not shutting_down(login1.address)
    login1.tell(shutting_down=True)
    assert shutting_down(login1.address)
    login1.tell(shutting_down=True, silent=True)
    assert not shutting_down(login1.address)
    assert not shutting_down("unix:path=/nowhere")


def test_somebody_at_the_seat(login1: Login1, logind: Logind) -> None:
    login1.tell(ANA)
    reading = logind.read(at(100))
    desk = Desk("2", "ana", 1000, "seat0")
    assert reading == Reading(
        "logind", "session", True, "ana is logged in at seat0", None, desks=(desk,)
    )


@pytest.mark.parametrize(
    ("session", "vacant"),
    [
        ({**ANA, "seat": "", "remote": True, "type": "tty"}, True),  # over ssh
        ({**ANA, "user": "gdm", "class": "greeter"}, True),  # the login screen
        ({**ANA, "state": "closing"}, True),  # processes left behind by a logout
        ({**ANA, "seat": "", "class": "manager"}, True),  # systemd --user
        ({**ANA, "state": "online"}, False),  # in the background, behind another session
        ({**ANA, "locked": True}, False),  # a locked screen has an owner
        ({**ANA, "type": "tty"}, False),  # a text console
        ({**ANA, "class": "user-early"}, False),
    ],
)
def test_who_counts(login1: Login1, logind: Logind, session: dict[str, Any], vacant: bool) -> None:
    login1.tell(session)
    reading = logind.read(at(100))
    assert reading.healthy
    assert reading.vacant is vacant


def test_a_logout_is_the_last_activity(login1: Login1, logind: Logind) -> None:
    login1.tell(ANA)
    logind.read(at(100))
    login1.tell()
    assert not logind.read(at(101)).vacant, "it asks now and then, not at every read"
    reading = logind.read(at(100 + ASK_EVERY))
    assert reading.vacant
    assert reading.last_activity == 100


def test_no_bus_is_no_evidence(tmp_path: Path) -> None:
    logind = Logind(f"unix:path={tmp_path}/nothing")
    reading = logind.read(at(100))
    assert not reading.healthy
    assert not reading.vacant
    assert reading.why == "this computer has no system bus"
    logind.close()


def test_no_logind_on_the_bus(login1: Login1, logind: Logind) -> None:
    login1.end(login1.service)
    reading = logind.read(at(100))
    assert not reading.healthy
    assert reading.why.startswith("logind does not answer: ")
    login1.start_service()
    assert not logind.read(at(101)).healthy, "it asks again after a while"
    assert logind.read(at(110)).vacant


def test_a_silent_logind_blocks_for_a_moment_only(login1: Login1, logind: Logind) -> None:
    logind.read(at(100))
    login1.tell(silent=True)
    began = time.monotonic()
    reading = logind.read(at(110))
    assert time.monotonic() - began < 2
    assert not reading.healthy
    assert not reading.vacant
    assert reading.why == "the system bus does not answer"
    began = time.monotonic()
    logind.read(at(111))
    assert time.monotonic() - began < 0.2, "it must not block at every read"
    login1.tell()
    assert logind.read(at(200)).vacant


def test_a_bus_that_comes_back(login1: Login1, logind: Logind) -> None:
    assert logind.read(at(100)).vacant
    login1.end(login1.service)
    login1.end(login1.bus)
    assert not logind.read(at(110)).healthy
    login1.start_bus()
    login1.start_service()
    assert logind.read(at(200)).vacant
