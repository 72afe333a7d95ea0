"""A data server as a process of its own, to be killed: FOLDER ADDRESS SECRET CLIENT_KEY.

Not a coordinator. Prints its address once it serves; ends when its input does.
"""

import sys
from pathlib import Path

from fallow.shared.blobs import BlobStore
from fallow.shared.transfer import DATA_LIMITS, DataServer
from fallow.shared.transport import AllowList, KeyPair, Wire, public_of

folder, address, secret, client = sys.argv[1:]
with Wire() as wire:
    wire.allow(AllowList([client]))
    socket = wire.serve_tcp(address, KeyPair(public_of(secret), secret), DATA_LIMITS)
    server = DataServer([socket], BlobStore(Path(folder)), role_of=lambda _: "workstation")
    server.start()
    print(socket.address, flush=True)
    sys.stdin.read()
    server.stop()
