"""A data server that is killed in the middle: the client goes on with the next one."""

import hashlib
import os
import queue
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fallow.shared.blobs import BlobStore
from fallow.shared.transfer import ClientEvent, DataClient, Delivered, Progressed, Stored
from fallow.shared.transport import KeyPair, Wire, new_keys

SERVER = Path(__file__).with_name("data_server_process.py")
SIZE = 48 << 20


class ServerProcess:
    def __init__(self, folder: Path, address: str, keys: KeyPair, client: str) -> None:
        words = [sys.executable, str(SERVER), str(folder), address, keys.secret, client]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().decode().strip()
        assert self.address

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.communicate()


def wait_for_progress(told: "queue.SimpleQueue[ClientEvent]", done: int) -> None:
    while True:
        event = told.get(timeout=20)
        if isinstance(event, Progressed) and event.done >= done:
            return


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_kill_in_the_middle_costs_only_a_part(tmp_path: Path, direction: str) -> None:
    data = os.urandom(SIZE)
    hash = hashlib.sha256(data).hexdigest()
    theirs, ours = tmp_path / "theirs", BlobStore(tmp_path / "ours", durable=False)
    (ours if direction == "up" else BlobStore(theirs)).put_bytes(data)
    server_keys, keys = new_keys(), new_keys()
    first = ServerProcess(theirs, "tcp://127.0.0.1:0", server_keys, keys.public)
    told: queue.SimpleQueue[ClientEvent] = queue.SimpleQueue()
    with Wire() as wire:
        client = DataClient(
            wire,
            first.address,
            ours,
            on_event=told.put,
            keys=keys,
            server=server_keys.public,
        )
        client.start()
        if direction == "up":
            client.upload(hash, SIZE)
        else:
            client.download(hash, SIZE)
        wait_for_progress(told, SIZE // 3)
        first.end(signal.SIGKILL)
        second = ServerProcess(theirs, first.address, server_keys, keys.public)
        end = Delivered(hash) if direction == "up" else Stored(hash)
        while told.get(timeout=30) != end:
            pass
        client.stop()
        second.end(signal.SIGTERM)
    there = BlobStore(theirs) if direction == "up" else ours
    assert there.path(hash).read_bytes() == data
