"""The agent's local socket: who may speak, what is said, and what a silent reader costs."""

import os
import socket
import stat
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from fallow.shared.clock import SystemClock
from fallow.shared.errors import FallowError, Unreachable
from fallow.shared.loop import Loop
from fallow.tray.local import (
    Activity,
    AskStatus,
    Done,
    LocalClient,
    LocalReply,
    LocalRequest,
    PauseFor,
    StatusIs,
    Subscribe,
)
from fallow.tray.local_server import LocalServer, Visitor
from fallow.tray.presence import Reading
from fallow.tray.status import AgentStatus
from waiting import wait_until

STATUS = AgentStatus("idle", "online", "away")


class Served:
    """A server in a loop in a thread, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, LocalRequest]] = []
        self.gone: list[str] = []
        self.loop: Loop[AgentStatus] = Loop(
            SystemClock(),
            on_event=self.publish,
            on_turn=lambda: self.server.flush(),
            deadline=lambda: 0.0 if self.server.behind else None,
        )
        self.server = LocalServer(
            folder, on_request=self.answer, on_gone=lambda visitor: self.gone.append(visitor.name)
        )
        self.server.watch(self.loop)
        self.thread = threading.Thread(target=self.loop.run)
        self.thread.start()

    def publish(self, status: AgentStatus) -> None:
        self.server.publish(status)

    def answer(self, visitor: Visitor, request: LocalRequest) -> LocalReply | None:
        self.asked.append((visitor.name, request))
        match request:
            case AskStatus() | Subscribe():
                return StatusIs(STATUS)
            case PauseFor(None):
                raise FallowError("no", "not now", "later")
            case Activity():
                return None
            case _:
                return Done("done")

    def close(self) -> None:
        self.loop.stop()
        self.thread.join(10)
        self.server.close()
        self.loop.close()


@pytest.fixture
def served(tmp_path: Path) -> Generator[Served]:
    made = Served(tmp_path)
    yield made
    made.close()


def test_questions_and_answers(served: Served) -> None:
    with LocalClient(served.folder) as client:
        assert client.status() == STATUS
        assert client.ask(PauseFor(60.0)) == Done("done")
        reading = Reading("keys", "input", True, "", 12.5)
        client.send(Activity((reading,), True))
        assert client.status() == STATUS
        with pytest.raises(FallowError) as caught:
            client.ask(PauseFor(None))
        assert (caught.value.title, caught.value.detail, caught.value.hint) == (
            "no",
            "not now",
            "later",
        )
        assert client.status() == STATUS
    assert (served.asked[0][0], Activity((reading,), True)) in served.asked
    wait_until(lambda: served.gone == [served.asked[0][0]], 5, "the visitor to be seen leaving")


def test_only_the_newest_for_who_does_not_read(served: Served) -> None:
    with LocalClient(served.folder) as client:
        client.send(Subscribe())
        assert client.receive(5) == StatusIs(STATUS)
        long = "x" * 20_000
        for number in range(200):
            served.loop.post(AgentStatus("running", "online", "away", host=f"{number} {long}"))
        with LocalClient(served.folder) as other:
            other.status()
            served.loop.post(AgentStatus("paused", "online", "present"))
            other.status()
        newest = StatusIs(AgentStatus("paused", "online", "present"))
        older = 0
        while (said := client.receive(5)) != newest:
            assert said is not None, "the newest never came"
            older += 1
        assert older < 200


def test_only_this_user_can_come_in(served: Served) -> None:
    assert stat.S_IMODE(served.server.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(served.server.path.parent.stat().st_mode) == 0o700
    assert served.server.path.stat().st_uid == os.geteuid()


@pytest.mark.parametrize("noise", [b"\0\0\0\5hello", b"\xff\xff\xff\xff", b"\0\0\0\2{}"])
def test_noise_disturbs_nobody_else(served: Served, noise: bytes) -> None:
    with LocalClient(served.folder) as client:
        stranger = socket.socket(socket.AF_UNIX)
        stranger.connect(str(served.server.path))
        stranger.settimeout(5)
        stranger.sendall(noise)
        said = b""
        while block := stranger.recv(65536):
            said += block
        assert b"not understood" in said
        stranger.close()
        assert client.status() == STATUS


def test_half_a_message_waits_for_its_other_half(served: Served) -> None:
    stranger = socket.socket(socket.AF_UNIX)
    stranger.connect(str(served.server.path))
    stranger.settimeout(5)
    body = b'{"type":"status"}'
    message = len(body).to_bytes(4, "big") + body
    for byte in message[:-1]:
        stranger.sendall(bytes([byte]))
    with LocalClient(served.folder) as client:
        assert client.status() == STATUS
    stranger.sendall(message[-1:])
    assert b"status_is" in stranger.recv(65536)
    stranger.close()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        LocalClient(tmp_path)
    assert "tray agent" in caught.value.hint


def test_the_agent_ends(served: Served) -> None:
    client = LocalClient(served.folder)
    assert client.status() == STATUS
    served.loop.stop()
    served.thread.join(10)
    served.server.close()
    with pytest.raises(Unreachable):
        client.status(5)
    client.close()
    served.server = LocalServer(
        served.folder, on_request=served.answer, on_gone=lambda visitor: None
    )
