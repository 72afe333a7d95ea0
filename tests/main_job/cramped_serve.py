"""`coordinator serve` on a disk with little room: cramped_serve.py BYTES SERVE-OPTIONS.

Not a test. No file may grow beyond so many bytes, which programs see as a disk error.
"""

import resource
import sys

from fallow.coordinator.cli import run

if __name__ == "__main__":
    room = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    sys.exit(run(["serve", *sys.argv[2:]]))
