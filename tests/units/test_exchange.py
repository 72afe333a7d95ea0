"""Two sides that move blobs, without sockets: credit, loss, taking over, and liars."""

import hashlib
import os
import random
from collections import deque
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fallow.shared.blobs import BlobStore, CorruptBlob
from fallow.shared.exchange import (
    WINDOW,
    Delivered,
    Exchange,
    NotMoved,
    Progressed,
    Stored,
    TransferEvent,
)
from fallow.shared.messages import CHUNK, Chunk, Fetch, Gone, Have, Offer, decode_data, encode

SIZES = [0, 1, 999, CHUNK, CHUNK + 1, 3 * CHUNK, 7 * CHUNK - 1, 20 * CHUNK + 7]


class Side:
    """An exchange with a store, whose messages really are encoded."""

    def __init__(self, root: Path, owner: str = "", store: BlobStore | None = None) -> None:
        self.store = store or BlobStore(root, durable=False)
        self.exchange = Exchange(self.store, owner, self.store.path)
        self.told: list[TransferEvent] = []

    def hear(self, header: bytes, payload: bytes, now: float = 0.0) -> None:
        self.exchange.on_message(decode_data(header), payload, now)

    def speak(self, now: float = 0.0, most: int = 8) -> list[tuple[bytes, bytes]]:
        """Finish what is complete, and everything to send after that."""
        complete, self.exchange.receiver.complete = self.exchange.receiver.complete, []
        for partial in complete:
            try:
                partial.finish()
                self.exchange.receiver.finished(partial.hash, None)
            except CorruptBlob:
                self.exchange.receiver.finished(partial.hash, "corrupt", corrupt=True)
        self.told += self.exchange.events()
        return [
            (encode(message), payload) for message, payload in self.exchange.messages(now, most)
        ]

    def heard(self, kind: type) -> list[TransferEvent]:
        return [event for event in self.told if isinstance(event, kind)]


def put(side: Side, size: int, seed: int = 1) -> tuple[str, bytes]:
    data = random.Random(seed).randbytes(size)
    return side.store.put_bytes(data), data


def run(one: Side, two: Side, now: float = 0.0) -> None:
    """Carry everything both ways until nobody has anything to say."""
    while True:
        from_one, from_two = one.speak(now), two.speak(now)
        for words in from_one:
            two.hear(*words, now)
        for words in from_two:
            one.hear(*words, now)
        complete = one.exchange.receiver.complete + two.exchange.receiver.complete
        if not from_one and not from_two and not complete:
            return


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Side, Side]:
    return Side(tmp_path / "one"), Side(tmp_path / "two")


@pytest.mark.parametrize("size", [0, 1, CHUNK, 3 * CHUNK + 5, 40 * CHUNK])
def test_an_offer_is_fetched_and_acknowledged(pair: tuple[Side, Side], size: int) -> None:
    one, two = pair
    hash, data = put(one, size)
    one.exchange.sender.offer(hash, size)
    run(one, two)
    assert two.store.path(hash).read_bytes() == data
    assert one.told[-1] == Delivered(hash)
    assert two.told[-1] == Stored(hash)
    assert not one.exchange.busy
    assert not two.exchange.busy


def test_what_is_already_there_is_not_sent_again(pair: tuple[Side, Side]) -> None:
    one, two = pair
    hash, _ = put(one, 1000)
    put(two, 1000)
    one.exchange.sender.offer(hash, 1000)
    two.exchange.receiver.want(hash, 1000, 0)
    run(one, two)
    assert one.told == [Delivered(hash)]
    assert not two.heard(Progressed)


def test_no_more_is_under_way_than_was_granted(pair: tuple[Side, Side]) -> None:
    one, two = pair
    for seed in range(20):
        hash, data = put(one, 3 * CHUNK + seed * 7000, seed)
        two.exchange.receiver.want(hash, len(data), 0)
    under_way: deque[tuple[bytes, bytes]] = deque()
    asked = arrived = most = 0
    for _ in range(10_000):
        for words in two.speak():
            message = decode_data(words[0])
            assert isinstance(message, Fetch)
            asked += message.length
            one.hear(*words)
        under_way.extend(one.speak(most=3))
        most = max(most, asked - arrived)
        if not under_way:
            break
        words = under_way.popleft()
        arrived += len(words[1])
        two.hear(*words)
    assert len(two.heard(Stored)) == 20
    assert WINDOW - CHUNK <= most <= WINDOW


def test_hundreds_of_small_blobs_are_under_way_together(pair: tuple[Side, Side]) -> None:
    one, two = pair
    for seed in range(300):
        hash, data = put(one, 100 + seed, seed)
        one.exchange.sender.offer(hash, len(data))
    offers = one.speak(most=1000)
    assert len(offers) == 256
    for words in offers:
        two.hear(*words)
    assert len(two.speak()) == 256
    one.exchange.restart()
    run(one, two)
    assert len(one.heard(Delivered)) == 300


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=5),
    fate=st.lists(st.integers(0, 9), min_size=10, max_size=60),
)
def test_whatever_is_lost_all_arrives_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], fate: list[int]
) -> None:
    root = tmp_path_factory.mktemp("lossy")
    one, two = Side(root / "one", "a"), Side(root / "two", "b")
    wanted: dict[str, bytes] = {}
    for seed, size in enumerate(sizes):
        hash, data = put(one, size, seed)
        wanted[hash] = data
        if seed % 2:
            one.exchange.sender.offer(hash, size)
        else:
            two.exchange.receiver.want(hash, size, 0)
    # Each number decides what becomes of one message: lost, sent twice, a new connection after it.
    for number in fate:
        for speaker, listener in ((one, two), (two, one)):
            for words in speaker.speak(most=2):
                if number == 0:
                    continue
                listener.hear(*words)
                if number == 1:
                    listener.hear(*words)
        if number == 2:
            one.exchange.restart()
            two.exchange.restart()
        if number == 3:
            # The receiving side starts anew, with what it has on disk.
            two.exchange.close()
            two.exchange = Exchange(two.store, "b", two.store.path)
            for hash, data in wanted.items():
                two.exchange.receiver.want(hash, len(data), 0)
    for _ in range(3):
        one.exchange.restart()
        two.exchange.restart()
        run(one, two)
    for hash, data in wanted.items():
        assert two.store.path(hash).read_bytes() == data
    assert not one.exchange.busy
    assert not two.exchange.busy
    assert not one.heard(NotMoved)
    assert not two.heard(NotMoved)
    assert os.listdir(two.store.root / "tmp") == []


def test_bytes_nobody_asked_for_are_ignored(pair: tuple[Side, Side]) -> None:
    one, two = pair
    hash, data = put(one, 2 * CHUNK)
    two.hear(encode(Chunk(hash, 0)), data[:CHUNK])
    two.exchange.receiver.want(hash, len(data), 0)
    two.hear(encode(Chunk(hash, 0)), data[:CHUNK])
    fetches = two.speak()
    two.hear(encode(Chunk(hash, 0)), data + b"more than was asked for")
    two.hear(encode(Chunk(hash, CHUNK)), data[CHUNK:])
    two.hear(encode(Chunk(hash, 0)), b"")
    assert not two.heard(Progressed)
    for words in fetches:
        one.hear(*words)
    run(one, two)
    assert two.store.has(hash)


def test_a_liar_is_asked_twice_and_then_told(pair: tuple[Side, Side]) -> None:
    two = pair[1]
    hash, data = hashlib.sha256(b"truth").hexdigest(), b"a lie"
    two.hear(encode(Offer(hash, 5)), b"")
    for _ in range(2):
        ((header, _),) = two.speak()
        assert decode_data(header) == Fetch(hash, 0, 5)
        two.hear(encode(Chunk(hash, 0)), data)
        two.exchange.receiver.complete[0].offset = 5
    answers = [decode_data(header) for header, _ in two.speak()]
    assert answers == [Gone(hash, "corrupt")]
    assert two.heard(NotMoved) == [NotMoved(hash, "corrupt")]
    assert not two.exchange.busy


def test_a_greedy_peer_gets_a_bounded_answer(pair: tuple[Side, Side]) -> None:
    one, _ = pair
    hash, data = put(one, 70 * CHUNK)
    one.hear(encode(Fetch(hash, 0, 1 << 62)), b"")
    got = [words for _ in range(100) for words in one.speak()]
    assert sum(len(payload) for _, payload in got) <= 64 * CHUNK
    for offset, length in ((1 << 63, 10), (len(data), 1), (0, 0), (-5, 10), (0, -1)):
        one.hear(encode(Fetch(hash, offset, length)), b"")
    for header, payload in one.speak():
        assert isinstance(decode_data(header), Gone)
        assert payload == b""
    for _ in range(5000):
        one.hear(encode(Fetch(hash, 0, 1)), b"")
    assert len(one.speak(most=10_000)) == 1024


def test_offers_without_end_are_refused(pair: tuple[Side, Side]) -> None:
    one, _ = pair
    for number in range(1024):
        one.hear(encode(Offer(f"{number:064x}", 5)), b"")
    with pytest.raises(ValueError, match="more offers"):
        one.hear(encode(Offer("f" * 64, 5)), b"")
    one.hear(encode(Offer(f"{7:064x}", 5)), b"")
    one.hear(encode(Gone(f"{7:064x}", "not any more")), b"")
    one.hear(encode(Offer("f" * 64, 5)), b"")


@pytest.mark.parametrize("message", [Offer("x", 1), Offer("../" * 20, 1), Fetch("x", 0, 1)])
def test_what_is_no_hash_is_refused(pair: tuple[Side, Side], message: Offer | Fetch) -> None:
    with pytest.raises(ValueError, match="not a hash"):
        pair[0].hear(encode(message), b"")


def test_strange_answers_change_nothing(pair: tuple[Side, Side]) -> None:
    one, _ = pair
    hash = hashlib.sha256(b"x").hexdigest()
    for message in (Have(hash), Gone(hash, "why"), Chunk(hash, 0), Have("x"), Gone("x", "why")):
        one.hear(encode(message), b"")
    assert one.speak() == []
    assert one.told == []
    with pytest.raises(ValueError, match="below zero"):
        one.hear(encode(Offer(hash, -1)), b"")


def test_a_blob_offered_by_two_is_received_from_one(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "store", durable=False)
    ana, bo = Side(tmp_path / "ana"), Side(tmp_path / "bo")
    from_ana, from_bo = Side(tmp_path, "ana", store), Side(tmp_path, "bo", store)
    hash, data = put(ana, 6 * CHUNK)
    put(bo, 6 * CHUNK)
    ana.exchange.sender.offer(hash, len(data))
    bo.exchange.sender.offer(hash, len(data))
    for words in ana.speak():
        from_ana.hear(*words)
    asked = from_ana.speak()
    for words in bo.speak():
        from_bo.hear(*words)
    assert from_bo.speak() == []
    for words in asked:
        ana.hear(*words)
    run(ana, from_ana)
    from_bo.exchange.receiver.look_elsewhere(1.0)
    run(bo, from_bo)
    assert ana.told[-1] == Delivered(hash)
    assert bo.told == [Delivered(hash)]


def test_a_stalled_sender_is_replaced(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "store", durable=False)
    ana, bo = Side(tmp_path / "ana"), Side(tmp_path / "bo")
    from_ana, from_bo = Side(tmp_path, "ana", store), Side(tmp_path, "bo", store)
    hash, data = put(ana, 6 * CHUNK)
    put(bo, 6 * CHUNK)
    from_ana.hear(encode(Offer(hash, len(data))), b"")
    from_ana.speak()
    from_ana.hear(encode(Chunk(hash, 0)), data[:CHUNK])
    bo.exchange.sender.offer(hash, len(data))
    run(bo, from_bo, now=4.0)
    assert not store.has(hash)
    from_bo.exchange.receiver.look_elsewhere(6.0)
    run(bo, from_bo, now=6.0)
    assert bo.told[-1] == Delivered(hash)
    from_ana.hear(encode(Chunk(hash, CHUNK)), data[CHUNK : 2 * CHUNK])
    from_ana.exchange.receiver.look_elsewhere(7.0)
    ((header, _),) = from_ana.speak()
    assert decode_data(header) == Have(hash)


def test_files_are_closed(tmp_path: Path) -> None:
    one, two = Side(tmp_path / "one"), Side(tmp_path / "two")
    before = len(os.listdir("/proc/self/fd"))
    for seed in range(100):
        hash, data = put(one, 10 * CHUNK if seed == 0 else 50, seed)
        one.exchange.sender.offer(hash, len(data))
        two.exchange.receiver.want(hash, len(data), 0)
    for _ in range(3):
        for words in one.speak():
            two.hear(*words)
        for words in two.speak():
            one.hear(*words)
    assert len(os.listdir("/proc/self/fd")) > before
    one.exchange.close()
    two.exchange.close()
    for partial in two.exchange.receiver.complete:
        partial.close()
    assert len(os.listdir("/proc/self/fd")) == before
