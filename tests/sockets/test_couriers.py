"""Messages to web servers that are no web servers, or never come to an end: nobody is held up."""

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator

from fallow.coordinator.couriers import Couriers, Delivered, Errand, Failed, Outcome
from fallow.coordinator.telling import Message

Talk = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(talk: Talk) -> Iterator[str]:
    """The address of a server that does this with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=_talk, args=(talk, connection), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        # Wakes the thread that accepts.
        listener.shutdown(socket.SHUT_RDWR)


def _talk(talk: Talk, connection: socket.socket) -> None:
    with contextlib.suppress(OSError), connection:
        connection.recv(65536)
        talk(connection)


def says(answer: bytes) -> Talk:
    return lambda connection: connection.sendall(answer)


def drips(connection: socket.socket) -> None:
    pause = threading.Event()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        pause.wait(0.05)


def what_came(address: str, patience: float = 20.0) -> Outcome:
    came: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    couriers = Couriers(None, came.put, patience)
    couriers.send(an_errand(1, address))
    try:
        return came.get(timeout=30)
    finally:
        couriers.stop()


def an_errand(number: int, address: str) -> Errand:
    return Errand(number, Message("ana:b", "ana", address, "t", "x", {"text": "x"}))


def test_a_web_server() -> None:
    with server(says(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")) as address:
        assert what_came(address) == Delivered(1)


def test_what_is_no_web_server_is_tried_again() -> None:
    for answer in (b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00" * 4000, b"", b"HTTP/1.1 abc\r\n\r\n"):
        with server(says(answer)) as address:
            outcome = what_came(address)
        assert isinstance(outcome, Failed)
        assert not outcome.final, answer
        assert outcome.why


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with server(endless) as address:
        assert what_came(address) == Delivered(1)


def test_who_answers_a_letter_at_a_time_holds_up_nobody_else() -> None:
    came: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    couriers = Couriers(None, came.put, patience=0.5)
    good = says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with server(drips) as slow, server(good) as quick:
        couriers.send(an_errand(1, slow))
        couriers.send(an_errand(2, quick))
        assert came.get(timeout=30) == Failed(1, "the answer takes too long")
        assert came.get(timeout=30) == Delivered(2)
    couriers.stop()


def test_nobody_listens() -> None:
    with server(drips) as address:
        pass
    outcome = what_came(address)
    assert isinstance(outcome, Failed)
    assert not outcome.final
