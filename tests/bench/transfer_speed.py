"""One big file, encrypted, hashed at both ends and on disk: ours against a bare loop of the same.

Not a test. The floor sends the same chunks over the same kind of socket, with ten in flight, hashes
at both ends, writes and forces to disk, and does nothing else. Two processes each.

    python tests/bench/transfer_speed.py [MIB] [ROUNDS]
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from fallow.shared.blobs import BlobStore, hash_file
from fallow.shared.messages import CHUNK
from fallow.shared.transfer import DATA_LIMITS, DataServer, Item, move_all
from fallow.shared.transport import AllowList, KeyPair, Wire, new_keys

if TYPE_CHECKING:
    from bench.row import Row

IN_FLIGHT = 10


def serve_ours(folder: Path, server: KeyPair, client: str) -> None:
    with Wire() as wire:
        wire.allow(AllowList([client]))
        socket = wire.serve_tcp("tcp://127.0.0.1:0", server, DATA_LIMITS)
        print(socket.address, flush=True)
        data = DataServer([socket], BlobStore(folder / "blobs"), role_of=lambda _: "submitter")
        data.start()
        sys.stdin.read()
        data.stop()


def send_ours(path: Path, address: str, server: str, keys: KeyPair, folder: Path) -> float:
    store = BlobStore(folder / "mine")
    start = time.perf_counter()
    hash, size = hash_file(path)
    with Wire() as wire:
        item = Item(hash, size, path)
        move_all(wire, address, store, uploads=[item], keys=keys, server=server)
    return time.perf_counter() - start


def fetch_ours(path: Path, address: str, server: str, keys: KeyPair, folder: Path) -> float:
    """The way back: the server has the blob and its hash, as it has inputs for a workstation.

    It has the very file, so that there are two copies in memory at the end, as in the other ways.
    """
    hash, size = hash_file(path)
    BlobStore(folder / "blobs").put_file(path, link=True)
    store = BlobStore(folder / "fetched")
    start = time.perf_counter()
    with Wire() as wire:
        move_all(wire, address, store, downloads=[Item(hash, size)], keys=keys, server=server)
    return time.perf_counter() - start


def serve_floor(folder: Path, server: KeyPair) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.curve_server = True
    socket.curve_secretkey = server.secret.encode()
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    print(f"tcp://127.0.0.1:{port}", flush=True)
    digest = hashlib.sha256()
    place = folder / "floor"
    with place.open("wb", buffering=0) as file:
        while True:
            peer, header, payload = socket.recv_multipart(copy=False)
            if not header.bytes:
                break
            digest.update(payload.buffer)
            file.write(payload.buffer)
            socket.send_multipart([peer, b"more"])
        os.fsync(file.fileno())
    socket.send_multipart([peer, digest.hexdigest().encode()])
    sys.stdin.read()
    place.unlink()


def send_floor(path: Path, address: str, server: str, keys: KeyPair) -> float:
    start = time.perf_counter()
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.curve_serverkey = server.encode()
    socket.curve_publickey = keys.public.encode()
    socket.curve_secretkey = keys.secret.encode()
    socket.connect(address)
    digest = hashlib.sha256()
    credit = IN_FLIGHT
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            if not credit:
                socket.recv()
                credit += 1
            socket.send_multipart([b"chunk", chunk], copy=False)
            credit -= 1
    socket.send_multipart([b"", b""])
    while (answer := socket.recv()) == b"more":
        pass
    assert answer.decode() == digest.hexdigest()
    seconds = time.perf_counter() - start
    context.destroy(linger=0)
    return seconds


def measure(kind: str, path: Path, folder: Path) -> float:
    """Seconds for one transfer, with a server process of its own."""
    server, client = new_keys(), new_keys()
    role = "serve-floor" if kind == "floor" else "serve-ours"
    words = [sys.executable, __file__, role, str(folder), server.secret, client.public]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        match kind:
            case "up":
                return send_ours(path, address, server.public, client, folder)
            case "down":
                return fetch_ours(path, address, server.public, client, folder)
        return send_floor(path, address, server.public, client)


def compare(mebibytes: int, rounds: int) -> dict[str, tuple[float, ...]]:
    """MB/s of both ways and of the floor, one figure per round, measured in turns."""
    seconds: dict[str, list[float]] = {"up": [], "floor": [], "down": []}
    for _ in range(rounds):
        for kind, times in seconds.items():
            with tempfile.TemporaryDirectory() as name:
                path = Path(name) / "file"
                with path.open("wb") as file:
                    for _ in range(mebibytes):
                        file.write(os.urandom(1 << 20))
                times.append(measure(kind, path, Path(name)))
    size = mebibytes * (1 << 20) / 1e6
    return {kind: tuple(size / each for each in times) for kind, times in seconds.items()}


def rows(mebibytes: int = 1024, rounds: int = 3) -> Iterator[Row]:
    from bench.row import Row

    found = compare(mebibytes, rounds)
    for kind, way in (("up", "to the coordinator"), ("down", "to a workstation")):
        yield Row(
            name=f"{mebibytes} MiB of one file {way}, encrypted, hashed, on disk",
            unit="MB/s",
            values=found[kind],
            first=0.8,
            aim=0.95,
            better="higher",
            floor=found["floor"],
            floor_name="the same in a bare loop",
            against_floor=True,
        )


def main() -> None:
    match sys.argv[1:]:
        case ["serve-ours" | "serve-floor" as kind, folder, secret, client]:
            from fallow.shared.transport import public_of

            server = KeyPair(public_of(secret), secret)
            if kind == "serve-ours":
                serve_ours(Path(folder), server, client)
            else:
                serve_floor(Path(folder), server)
        case [*numbers]:
            mebibytes, rounds = [int(number) for number in numbers] + [1024, 3][len(numbers) :]
            found = compare(mebibytes, rounds)
            medians = {name: statistics.median(values) for name, values in found.items()}
            print(json.dumps(medians, indent=1))


if __name__ == "__main__":
    main()
