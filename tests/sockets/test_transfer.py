"""Blobs over real encrypted sockets: whole, resumed, many, and none for strangers."""

import hashlib
import os
import queue
import time
from collections.abc import Generator
from pathlib import Path
from typing import Self

import pytest

from fallow.shared.addresses import make_local_addresses
from fallow.shared.blobs import BlobStore
from fallow.shared.errors import FallowError, Refused, Unreachable
from fallow.shared.messages import CHUNK, Offer, Role, encode
from fallow.shared.transfer import (
    DATA_LIMITS,
    ClientEvent,
    Connected,
    DataClient,
    DataServer,
    Delivered,
    Denied,
    Item,
    NotMoved,
    Progressed,
    Stored,
    move_all,
)
from fallow.shared.transport import AllowList, ConnectionEvent, KeyPair, Wire, new_keys
from waiting import wait_until


class Coordinator:
    """The data half of a coordinator, which can be stopped and started again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.keys = new_keys()
        self.roles: dict[str | None, Role] = {None: "admin"}
        self.allowed = AllowList()
        self.store = BlobStore(root / "blobs", durable=False)
        self.stored: list[str] = []
        self.broken: set[str] = set()
        self.address = "tcp://127.0.0.1:0"
        self.local = make_local_addresses(root)[1]
        self.running = False

    def start(self) -> Self:
        self.wire = Wire()
        self.wire.allow(self.allowed)
        tcp = self.wire.serve_tcp(self.address, self.keys, DATA_LIMITS)
        self.address = tcp.address
        self.server = DataServer(
            [tcp, self.wire.serve_local(self.local, DATA_LIMITS)],
            self.store,
            role_of=self.roles.get,
            on_stored=self.on_stored,
        )
        self.server.start()
        self.running = True
        return self

    def on_stored(self, hash: str) -> None:
        if hash in self.broken:
            raise RuntimeError("a fault of the test's own making")
        self.stored.append(hash)

    def stop(self) -> None:
        if self.running:
            self.running = False
            self.server.stop()
            self.wire.close()

    def friend(self, role: Role = "submitter") -> KeyPair:
        keys = new_keys()
        self.roles[keys.public] = role
        self.allowed.add(keys.public)
        return keys


class Desk:
    """A client with its own store, and what it was told."""

    def __init__(self, coordinator: Coordinator, root: Path, keys: KeyPair | None = None) -> None:
        self.keys = keys or coordinator.friend("workstation")
        self.wire = Wire()
        self.store = BlobStore(root, durable=False)
        self.told: queue.SimpleQueue[ClientEvent] = queue.SimpleQueue()
        self.client = DataClient(
            self.wire,
            coordinator.address,
            self.store,
            on_event=self.told.put,
            keys=self.keys,
            server=coordinator.keys.public,
        )
        self.client.start()

    def wait_for(self, *events: ClientEvent, timeout: float = 20) -> None:
        left = set(events)
        while left:
            left.discard(self.told.get(timeout=timeout))

    def close(self) -> None:
        self.client.stop()
        self.wire.close()


@pytest.fixture
def coordinator(tmp_path: Path) -> Generator[Coordinator]:
    coordinator = Coordinator(tmp_path / "c")
    coordinator.root.mkdir(exist_ok=True)
    yield coordinator.start()
    coordinator.stop()


@pytest.fixture
def desk(coordinator: Coordinator, tmp_path: Path) -> Generator[Desk]:
    desk = Desk(coordinator, tmp_path / "desk")
    yield desk
    desk.close()


def random_file(folder: Path, size: int, name: str = "file") -> Item:
    data = os.urandom(size)
    path = folder / name
    path.write_bytes(data)
    return Item(hashlib.sha256(data).hexdigest(), size, path)


def path_of(item: Item) -> Path:
    assert item.path is not None
    return item.path


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 1 << 20, (64 << 20) + 7])
def test_a_file_goes_up_and_comes_down_whole(
    coordinator: Coordinator, desk: Desk, tmp_path: Path, size: int
) -> None:
    item = random_file(tmp_path, size)
    desk.client.upload(item.hash, size, item.path)
    desk.wait_for(Delivered(item.hash))
    assert coordinator.store.path(item.hash).read_bytes() == path_of(item).read_bytes()
    assert coordinator.stored == [item.hash]
    desk.client.download(item.hash, size)
    desk.wait_for(Stored(item.hash))
    assert desk.store.path(item.hash).read_bytes() == path_of(item).read_bytes()


def test_a_thousand_small_files_go_up_and_come_down(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    items = [random_file(folder, 10 + number, str(number)) for number in range(1000)]
    store = BlobStore(tmp_path / "store", durable=False)
    progress: list[int] = []
    total = sum(item.size for item in items)
    with Wire() as wire:
        keys, server = coordinator.friend(), coordinator.keys.public
        for up, down in ((items, []), ([], items)):
            progress.clear()
            move_all(
                wire,
                coordinator.address,
                store,
                on_progress=progress.append,
                keys=keys,
                server=server,
                uploads=up,
                downloads=down,
            )
            assert progress == sorted(progress)
            assert progress[-1] == total
    hashes = {item.hash for item in items}
    assert set(coordinator.stored) == hashes
    assert hashes <= store.hashes()
    for item in items:
        assert store.path(item.hash).stat().st_size == item.size


def test_the_local_socket_needs_no_key(coordinator: Coordinator, tmp_path: Path) -> None:
    item = random_file(tmp_path, 1 << 20)
    store = BlobStore(tmp_path / "store", durable=False)
    with Wire() as wire:
        move_all(wire, coordinator.local, store, uploads=[item])
        move_all(wire, coordinator.local, store, downloads=[item])
    assert store.has(item.hash)


def test_an_upload_goes_on_after_a_restart_of_the_server(
    coordinator: Coordinator, desk: Desk, tmp_path: Path
) -> None:
    item = random_file(tmp_path, 40 << 20)
    desk.client.upload(item.hash, item.size, item.path)
    while True:
        event = desk.told.get(timeout=10)
        if isinstance(event, Progressed) and event.done > 10 << 20:
            break
    coordinator.stop()
    part = coordinator.store.root / "tmp" / item.hash
    kept = part.stat().st_size
    assert 0 < kept < item.size
    while not desk.told.empty():
        desk.told.get()
    coordinator.start()
    low = item.size
    while True:
        event = desk.told.get(timeout=20)
        if isinstance(event, Progressed):
            low = min(low, event.done)
        if event == Delivered(item.hash):
            break
    assert low > kept
    assert coordinator.store.path(item.hash).read_bytes() == path_of(item).read_bytes()


def test_a_download_goes_on_after_a_restart_of_the_server(
    coordinator: Coordinator, desk: Desk, tmp_path: Path
) -> None:
    item = random_file(tmp_path, 40 << 20)
    coordinator.store.put_file(path_of(item))
    desk.client.download(item.hash, item.size)
    while True:
        event = desk.told.get(timeout=10)
        if isinstance(event, Progressed) and event.done > 10 << 20:
            break
    coordinator.stop()
    coordinator.start()
    steps = []
    while True:
        event = desk.told.get(timeout=20)
        if isinstance(event, Progressed):
            steps.append(event.done)
        if event == Stored(item.hash):
            break
    assert steps == sorted(set(steps))
    assert steps[0] > 10 << 20
    assert desk.store.path(item.hash).read_bytes() == path_of(item).read_bytes()


def test_a_paused_client_moves_no_bytes_and_goes_on_later(
    coordinator: Coordinator, desk: Desk, tmp_path: Path
) -> None:
    item = random_file(tmp_path, 1 << 20)
    desk.wait_for(Connected())
    desk.client.pause()
    desk.client.upload(item.hash, item.size, item.path)
    coordinator.store.put_bytes(b"wanted")
    wanted = hashlib.sha256(b"wanted").hexdigest()
    desk.client.download(wanted, 6)
    with pytest.raises(queue.Empty):
        desk.told.get(timeout=0.3)
    assert not coordinator.store.has(item.hash)
    desk.client.resume()
    desk.wait_for(Delivered(item.hash), Stored(wanted))


def test_a_bound_on_the_bandwidth_holds_both_ways_and_may_be_lifted(
    coordinator: Coordinator, desk: Desk, tmp_path: Path
) -> None:
    rate, size = 400_000, 600_000
    up, down = random_file(tmp_path, size, "up"), random_file(tmp_path, size, "down")
    coordinator.store.put_file(path_of(down))
    # After a rest half a second's worth may go at once, and the last piece need not be waited for.
    shortest = size / rate - 0.75 - 0.05
    desk.client.limit(rate)
    began = time.monotonic()
    desk.client.upload(up.hash, size, up.path)
    desk.wait_for(Delivered(up.hash), timeout=60)
    assert time.monotonic() - began > shortest
    began = time.monotonic()
    desk.client.download(down.hash, size)
    desk.wait_for(Stored(down.hash), timeout=60)
    assert time.monotonic() - began > shortest
    # At this rate it would take an hour.
    huge = random_file(tmp_path, 40_000_000, "huge")
    desk.client.limit(10_000)
    desk.client.upload(huge.hash, huge.size, huge.path)
    wait_until(lambda: not desk.told.empty(), 20, "the first bytes to go")
    desk.client.limit(None)
    desk.wait_for(Delivered(huge.hash), timeout=60)


def test_what_is_cancelled_is_not_moved(
    coordinator: Coordinator, desk: Desk, tmp_path: Path
) -> None:
    unwanted = random_file(tmp_path, 1 << 20, "unwanted")
    wanted = random_file(tmp_path, 1 << 20, "wanted")
    desk.wait_for(Connected())
    desk.client.pause()
    desk.client.upload(unwanted.hash, unwanted.size, unwanted.path)
    desk.client.upload(wanted.hash, wanted.size, wanted.path)
    desk.client.cancel(unwanted.hash)
    desk.client.resume()
    desk.wait_for(Delivered(wanted.hash))
    assert coordinator.stored == [wanted.hash]


def test_what_is_nowhere_is_said_to_be_gone(desk: Desk) -> None:
    hash = hashlib.sha256(b"nowhere").hexdigest()
    desk.client.download(hash, 7)
    desk.wait_for(NotMoved(hash, "it is not here"))


def test_a_file_that_is_not_what_its_hash_says_is_refused(
    coordinator: Coordinator, desk: Desk, tmp_path: Path
) -> None:
    item = random_file(tmp_path, 3 << 20)
    with path_of(item).open("r+b") as file:
        file.seek(2 << 20)
        file.write(b"changed meanwhile")
    desk.client.upload(item.hash, item.size, item.path)
    desk.wait_for(NotMoved(item.hash, "what arrived is not what its hash says"))
    assert not coordinator.store.has(item.hash)
    assert coordinator.stored == []


def test_a_file_that_became_shorter_is_refused(
    coordinator: Coordinator, desk: Desk, tmp_path: Path
) -> None:
    item = random_file(tmp_path, 3 << 20)
    os.truncate(path_of(item), 1 << 20)
    desk.client.upload(item.hash, item.size, item.path)
    desk.wait_for(NotMoved(item.hash, "the file became shorter while it was sent"))


def test_a_damaged_blob_of_the_server_is_not_taken(
    coordinator: Coordinator, desk: Desk, tmp_path: Path
) -> None:
    item = random_file(tmp_path, 3 << 20)
    coordinator.store.put_file(path_of(item))
    place = coordinator.store.path(item.hash)
    place.chmod(0o600)
    place.write_bytes(bytes(item.size))
    desk.client.download(item.hash, item.size)
    desk.wait_for(NotMoved(item.hash, "what arrived is not what its hash says"))
    assert not desk.store.has(item.hash)


def test_an_unknown_key_is_denied_and_gets_in_once_it_is_added(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    keys = new_keys()
    desk = Desk(coordinator, tmp_path / "new", keys)
    desk.wait_for(Denied())
    coordinator.roles[keys.public] = "workstation"
    coordinator.allowed.add(keys.public)
    item = random_file(tmp_path, 100)
    desk.client.upload(item.hash, item.size, item.path)
    desk.wait_for(Delivered(item.hash))
    desk.close()


def test_a_key_revoked_on_a_live_connection_moves_nothing_more(
    coordinator: Coordinator, desk: Desk, tmp_path: Path
) -> None:
    first, second = random_file(tmp_path, 100, "first"), random_file(tmp_path, 100, "second")
    desk.client.upload(first.hash, first.size, first.path)
    desk.wait_for(Delivered(first.hash))
    del coordinator.roles[desk.keys.public]
    coordinator.allowed.remove(desk.keys.public)
    desk.client.upload(second.hash, second.size, second.path)
    desk.client.download(first.hash, first.size)
    desk.wait_for(NotMoved(second.hash, "refused"), NotMoved(first.hash, "refused"))
    assert not coordinator.store.has(second.hash)


def test_a_newcomers_key_moves_nothing(coordinator: Coordinator, tmp_path: Path) -> None:
    item = random_file(tmp_path, 100)
    store = BlobStore(tmp_path / "store")
    with Wire() as wire, pytest.raises(FallowError, match="could not be moved"):
        move_all(
            wire,
            coordinator.address,
            store,
            uploads=[item],
            keys=coordinator.friend("newcomer"),
            server=coordinator.keys.public,
        )
    assert not coordinator.store.has(item.hash)


def test_garbage_from_a_known_key_disturbs_nobody(
    coordinator: Coordinator, desk: Desk, tmp_path: Path
) -> None:
    keys = coordinator.friend()
    garbage = [
        b"",
        b"garbage",
        os.urandom(1000),
        encode(Offer("x", 1)),
        encode(Offer("a" * 64, -1)),
    ]
    with Wire() as wire:
        loud = wire.connect(
            coordinator.address, DATA_LIMITS, keys=keys, server=coordinator.keys.public
        )
        assert loud.first_event(5) is ConnectionEvent.CONNECTED
        for header in garbage * 5:
            assert loud.send(header, b"payload")
        item = random_file(tmp_path, 1 << 20)
        desk.client.upload(item.hash, item.size, item.path)
        desk.wait_for(Delivered(item.hash))
        assert loud.receive_all() == []
        loud.close()


def test_a_disk_that_refuses_is_reported_and_the_next_file_goes_on(
    coordinator: Coordinator, desk: Desk, tmp_path: Path
) -> None:
    first, second = random_file(tmp_path, 1 << 20, "first"), random_file(tmp_path, 99, "second")
    scratch = coordinator.store.root / "tmp"
    scratch.rmdir()
    desk.client.upload(first.hash, first.size, first.path)
    why = "it could not be written: No such file or directory"
    desk.wait_for(NotMoved(first.hash, why))
    scratch.mkdir()
    desk.client.upload(second.hash, second.size, second.path)
    desk.wait_for(Delivered(second.hash))


def test_a_file_bigger_than_the_disk_is_refused_before_a_byte_is_sent(desk: Desk) -> None:
    hash = hashlib.sha256(b"huge").hexdigest()
    desk.client.upload(hash, 1 << 60, Path("/dev/zero"))
    desk.wait_for(NotMoved(hash, "it could not be written: No space left on device"))


def test_a_fault_with_one_peer_does_not_end_the_service(
    coordinator: Coordinator, desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = random_file(tmp_path, 100, "first"), random_file(tmp_path, 100, "second")
    coordinator.broken.add(first.hash)
    desk.client.upload(first.hash, first.size, first.path)
    wait_until(lambda: "gave up a data connection" in caplog.text, 5, "the fault in the log")
    coordinator.broken.clear()
    desk.client.upload(second.hash, second.size, second.path)
    desk.wait_for(Delivered(second.hash), Delivered(first.hash))


def test_two_desks_may_deliver_the_same_file(coordinator: Coordinator, tmp_path: Path) -> None:
    item = random_file(tmp_path, 20 << 20)
    desks = [Desk(coordinator, tmp_path / str(number)) for number in range(3)]
    for desk in desks:
        desk.client.upload(item.hash, item.size, item.path)
    for desk in desks:
        desk.wait_for(Delivered(item.hash), timeout=30)
        desk.close()
    assert coordinator.store.path(item.hash).read_bytes() == path_of(item).read_bytes()


def test_a_command_says_who_turned_it_away(coordinator: Coordinator, tmp_path: Path) -> None:
    item = random_file(tmp_path, 100)
    store = BlobStore(tmp_path / "store")
    with Wire() as wire:
        with pytest.raises(Refused, match="does not know this account"):
            move_all(
                wire,
                coordinator.address,
                store,
                uploads=[item],
                keys=new_keys(),
                server=coordinator.keys.public,
            )
        coordinator.stop()
        with pytest.raises(Unreachable, match="cannot be reached"):
            move_all(
                wire,
                coordinator.address,
                store,
                uploads=[item],
                keys=new_keys(),
                server=coordinator.keys.public,
                patience=0.5,
            )
