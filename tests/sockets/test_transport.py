"""Who gets in at the door, and that those who do not, or misbehave, disturb nobody."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest
import zmq

from fallow.shared.addresses import find_local_addresses, make_local_addresses
from fallow.shared.errors import FallowError, Refused, Unreachable
from fallow.shared.transport import ConnectionEvent, Limits, ServerSocket, Wire, new_keys
from sockets.doors import LIMITS, Door
from waiting import wait_until


def test_an_allowed_key_gets_in_and_is_named(door: Door) -> None:
    keys, visitor = door.friend()
    assert door.echoes(visitor, b"hello").user == keys.public


def test_an_unknown_key_is_denied_and_nothing_arrives(door: Door) -> None:
    visitor = door.knock(new_keys())
    assert visitor.first_event(5) is ConnectionEvent.DENIED
    assert not visitor.send(b"let me", b"in")
    assert door.server.receive_all() == []


def test_a_key_added_at_run_time_gets_in_after_a_reconnect(door: Door) -> None:
    keys = new_keys()
    visitor = door.knock(keys)
    assert visitor.first_event(5) is ConnectionEvent.DENIED
    door.allowed.add(keys.public)
    visitor.reconnect()
    assert visitor.first_event(5) is ConnectionEvent.CONNECTED
    assert door.echoes(visitor, b"now").user == keys.public


def test_a_revoked_key_on_a_live_connection_is_still_named_in_each_message(door: Door) -> None:
    keys, visitor = door.friend()
    door.echoes(visitor, b"before")
    door.allowed.remove(keys.public)
    assert visitor.send(b"after", b"")
    message = door.take()
    assert message.user == keys.public
    assert message.user not in door.allowed
    visitor.reconnect()
    assert visitor.first_event(5) is ConnectionEvent.DENIED


def test_another_server_key_is_not_taken_for_the_coordinator(door: Door) -> None:
    keys = new_keys()
    door.allowed.add(keys.public)
    visitor = door.knock(keys, server=new_keys().public)
    assert visitor.first_event(5) is ConnectionEvent.MISUNDERSTOOD


def test_a_client_without_encryption_gets_nothing_in(door: Door) -> None:
    _, friend = door.friend()
    with zmq.Context() as context, context.socket(zmq.DEALER) as plain:
        plain.linger = 0
        plain.connect(door.server.address)
        plain.send_multipart([b"hello", b""])
        assert not plain.poll(300)
        door.echoes(friend, b"still here")
        assert door.server.receive_all() == []


@pytest.mark.parametrize(
    "garbage",
    [
        os.urandom(5000),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00CURVE" + b"\0" * 44 + os.urandom(400),
        b"\0" * 10_000,
    ],
    ids=["random", "http", "broken-curve", "zeros"],
)
def test_garbage_disturbs_nobody(door: Door, garbage: bytes) -> None:
    _, friend = door.friend()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", door.port), 5) as raw:
            raw.sendall(garbage)
    door.echoes(friend, b"still here")
    assert door.server.receive_all() == []


def test_half_open_connections_do_not_keep_others_out(door: Door) -> None:
    idle = [socket.create_connection(("127.0.0.1", door.port), 5) for _ in range(200)]
    try:
        start = time.monotonic()
        _, friend = door.friend()
        door.echoes(friend, b"in")
        assert time.monotonic() - start < 4
    finally:
        for raw in idle:
            raw.close()


def test_a_wrong_number_of_frames_is_dropped_and_said_once(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    keys, visitor = door.friend()
    for frames in ([b"one"], [b"1", b"2", b"3"], [b"x"] * 500):
        assert visitor.send(*frames)
    door.echoes(visitor, b"after")
    lines = [record.getMessage() for record in caplog.records if keys.public in record.getMessage()]
    assert len(lines) == 1
    assert "1 frames" in lines[0]


def test_an_oversize_frame_is_refused_and_others_go_on(door: Door) -> None:
    _, loud = door.friend()
    _, friend = door.friend()
    assert loud.send(b"big", bytes(LIMITS.frame_bytes + 1))
    wait_until(lambda: ConnectionEvent.DISCONNECTED in loud.events(), 5, "the loud one is cut off")
    door.echoes(friend, b"still here")
    assert door.server.receive_all() == []
    wait_until(lambda: ConnectionEvent.CONNECTED in loud.events(), 5, "it may come again")
    door.echoes(loud, b"small")


def test_a_client_that_names_itself_is_not_heard(door: Door) -> None:
    keys = new_keys()
    door.allowed.add(keys.public)
    context = zmq.Context()
    forgers = []
    for name in (b"coordinator", b"coordinator", b"\x01abcd"):
        forger = context.socket(zmq.DEALER)
        forger.linger = 0
        forger.routing_id = name
        forger.curve_serverkey = door.keys.public.encode()
        forger.curve_publickey = keys.public.encode()
        forger.curve_secretkey = keys.secret.encode()
        forger.connect(door.server.address)
        forger.send_multipart([b"I am", b"another"])
        forgers.append(forger)
    _, friend = door.friend()
    for number in range(20):
        door.echoes(friend, b"%d" % number)
    for forger in forgers:
        assert not forger.poll(20)
        forger.close()
    context.term()


def test_two_clients_with_one_key_are_two_peers(door: Door) -> None:
    keys, first = door.friend()
    second = door.knock(keys)
    one, two = door.echoes(first, b"1"), door.echoes(second, b"2")
    assert one.user == two.user == keys.public
    assert one.peer != two.peer


def test_sending_to_a_gone_peer_says_so(door: Door) -> None:
    _, visitor = door.friend()
    message = door.echoes(visitor, b"hello")
    door.visitors.remove(visitor)
    visitor.close()
    wait_until(lambda: not door.server.send(message.peer, b"", b""), 5, "the peer is gone")
    assert not door.server.send(b"\0nobody", b"", b"")


def test_a_client_comes_back_by_itself_after_a_restart_of_the_server() -> None:
    with Door() as first:
        keys = new_keys()
        with Wire() as wire:
            visitor = wire.connect(
                first.server.address, LIMITS, keys=keys, server=first.keys.public
            )
            first.allowed.add(keys.public)
            first.echoes(visitor, b"one")
            port = first.port
            first.server.close()
            wait_until(
                lambda: ConnectionEvent.DISCONNECTED in visitor.events(), 5, "a disconnection"
            )
            with Door(first.keys, port) as second:
                second.allowed.add(keys.public)
                second.echoes(visitor, b"two")
                assert visitor.events()[-1] is ConnectionEvent.CONNECTED
            visitor.close()


def test_a_client_tries_the_next_address(door: Door) -> None:
    keys = new_keys()
    door.allowed.add(keys.public)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        visitor = door.wire.connect(
            [dead, f"tcp://localhost:{door.port}"], LIMITS, keys=keys, server=door.keys.public
        )
        door.visitors.append(visitor)
        wait_until(lambda: ConnectionEvent.CONNECTED in visitor.events(), 15, "the second address")
    door.echoes(visitor, b"hello")


def test_a_busy_port_is_an_error_a_person_understands(door: Door) -> None:
    with pytest.raises(FallowError, match="Cannot listen on"):
        door.wire.serve_tcp(door.server.address, new_keys(), LIMITS)


def test_serving_without_an_allow_list_is_impossible() -> None:
    with Wire() as wire, pytest.raises(RuntimeError, match="allow"):
        wire.serve_tcp("tcp://127.0.0.1:0", new_keys(), LIMITS)


def test_a_door_that_opens_to_strangers_is_not_served() -> None:
    class Everybody:
        def add(self, key: str) -> None: ...

        def __contains__(self, key: object) -> bool:
            return True

    with Wire() as wire:
        wire.allow(Everybody())  # type: ignore[arg-type]
        with pytest.raises(FallowError, match="Refusing to serve"):
            wire.serve_tcp("tcp://127.0.0.1:0", new_keys(), LIMITS)


def test_a_request_is_answered(door: Door) -> None:
    keys = new_keys()
    door.allowed.add(keys.public)
    visitor = door.knock(keys)

    def answer() -> None:
        message = door.take()
        door.server.send(message.peer, b"answer", *message.frames[:1])

    server = threading.Thread(target=answer)
    server.start()
    assert visitor.request(b"question", b"", timeout=5) == [b"answer", b"question"]
    server.join()


def test_a_request_with_a_denied_key_is_refused_at_once(door: Door) -> None:
    with pytest.raises(Refused, match="does not know this account"):
        door.knock(new_keys()).request(b"", b"", timeout=30)


def test_a_request_to_another_server_key_says_so(door: Door) -> None:
    keys = new_keys()
    door.allowed.add(keys.public)
    with pytest.raises(Unreachable, match="not the coordinator"):
        door.knock(keys, server=new_keys().public).request(b"", b"", timeout=30)


def test_a_request_to_nobody_fails_soon() -> None:
    with Wire() as wire, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        visitor = wire.connect(address, LIMITS, keys=new_keys(), server=new_keys().public)
        start = time.monotonic()
        with pytest.raises(Unreachable, match="Nothing listens") as caught:
            visitor.request(b"", b"", timeout=30)
        assert caught.value.exit_code == 3
        assert time.monotonic() - start < 5


def test_a_request_to_a_silent_server_ends_in_time(door: Door) -> None:
    keys = new_keys()
    door.allowed.add(keys.public)
    with pytest.raises(Unreachable, match="did not answer within"):
        door.knock(keys).request(b"", b"", timeout=0.3)


def test_a_socket_refuses_a_second_thread(door: Door) -> None:
    _, visitor = door.friend()
    errors: list[Exception] = []

    def use() -> None:
        try:
            visitor.send(b"", b"")
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(errors) == 1


def test_the_local_socket_needs_no_keys_and_is_private(tmp_path: Path) -> None:
    control, _ = make_local_addresses(tmp_path)
    with Wire() as wire:
        server = wire.serve_local(control, Limits())
        client = wire.connect(find_local_addresses(tmp_path)[0], Limits())
        wait_until(lambda: client.send(b"hello"), 5, "room to send")
        message = wait_until(server.receive_all, 5, "a message")[0]
        assert (message.user, message.frames) == (None, [b"hello"])
        client.close()
        server.close()
    assert (tmp_path / "local").stat().st_mode & 0o777 == 0o700


def test_a_long_path_gets_a_short_private_place(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    control, data = make_local_addresses(deep)
    assert (control, data) == find_local_addresses(deep) == make_local_addresses(deep)
    place = Path(control.removeprefix("ipc://")).parent
    assert place.stat().st_mode & 0o777 == 0o700
    with Wire() as wire:
        server = wire.serve_local(control, Limits())
        client = wire.connect(control, Limits())
        wait_until(lambda: client.send(b"hello"), 5, "room to send")
        assert wait_until(server.receive_all, 5, "a message")[0].frames == [b"hello"]
        client.close()
        server.close()
    for left in place.iterdir():
        left.unlink()
    place.rmdir()
    place.symlink_to(tmp_path)
    with pytest.raises(FallowError, match="not a folder of this coordinator"):
        make_local_addresses(deep)
    with pytest.raises(FallowError, match="not a folder of this coordinator"):
        find_local_addresses(deep)
    place.unlink()


def test_a_folder_without_a_coordinator_is_named(tmp_path: Path) -> None:
    with pytest.raises(FallowError, match="no coordinator in") as refused:
        find_local_addresses(tmp_path)
    assert "coordinator join TOKEN" in refused.value.hint


def test_a_message_without_a_key_is_never_taken_for_the_local_users() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as plain:
        port = plain.bind_to_random_port("tcp://127.0.0.1")
        server = ServerSocket(plain, f"tcp://127.0.0.1:{port}", Limits())
        with context.socket(zmq.DEALER) as client:
            client.linger = 0
            client.connect(server.address)
            client.send(b"I have no key")
            assert plain.poll(5000)
            assert server.receive_all() == []
