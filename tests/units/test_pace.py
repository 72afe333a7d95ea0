"""A bound on bytes per second: by itself, and between two sides on a manual clock."""

import random
from pathlib import Path

import pytest

from fallow.shared.blobs import BlobStore
from fallow.shared.exchange import Exchange
from fallow.shared.exchange.pace import Pace
from fallow.shared.messages import CHUNK, Chunk, decode_data, encode

RATE = 100_000
SIZE = 500_000


def test_no_bound() -> None:
    pace = Pace()
    pace.fill(5.0)
    pace.spend(10**12)
    assert pace.may_go()
    assert pace.piece == CHUNK


def test_what_was_overdrawn_is_made_up_for() -> None:
    pace = Pace(1000)
    pace.fill(100.0)
    assert pace.may_go()
    pace.spend(2500)
    assert not pace.may_go()
    assert pace.opens_in == pytest.approx(2.0, abs=0.01)
    pace.fill(101.9)
    assert not pace.may_go()
    pace.fill(102.1)
    assert pace.may_go()


def test_a_rest_saves_up_half_a_second() -> None:
    pace = Pace(1000)
    pace.fill(0.0)
    pace.fill(1000.0)
    pace.spend(501)
    assert not pace.may_go()


def test_the_bound_may_come_and_go() -> None:
    pace = Pace()
    pace.fill(1.0)
    pace.rate = 1000
    pace.fill(1.1)
    pace.spend(5000)
    assert not pace.may_go()
    pace.rate = None
    assert pace.may_go()
    assert pace.opens_in == 0.0


@pytest.mark.parametrize("bounded", ["sender", "receiver"])
def test_a_blob_takes_its_time(tmp_path: Path, bounded: str) -> None:
    """Five seconds' worth, carried without any delay by the rest of the world."""
    near, far = (BlobStore(tmp_path / name, durable=False) for name in ("near", "far"))
    hash = near.put_bytes(random.Random(7).randbytes(SIZE))
    sending = Exchange(near, "", near.path, RATE if bounded == "sender" else None)
    receiving = Exchange(far, "", far.path, RATE if bounded == "receiver" else None)
    sending.sender.offer(hash, SIZE)
    now, moved, silent, last = 0.0, 0, 0.0, 0.0
    while not far.has(hash):
        for message, payload in sending.messages(now, 8):
            receiving.on_message(decode_data(encode(message)), payload, now)
            if isinstance(message, Chunk):
                moved += len(payload)
                silent, last = max(silent, now - last), now
        for message, payload in receiving.messages(now, 8):
            sending.on_message(decode_data(encode(message)), payload, now)
        complete, receiving.receiver.complete = receiving.receiver.complete, []
        for partial in complete:
            partial.finish()
        if far.has(hash):
            break
        assert moved <= (now + 1.0) * RATE
        if not sending.ready:
            half = sending if bounded == "sender" else receiving
            now += half.opens_in or 0.01
        assert now < 10
    assert moved == SIZE, "nothing was sent twice"
    assert now == pytest.approx(SIZE / RATE, abs=1.0)
    assert silent < 1.0
