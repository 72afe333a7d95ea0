"""`coordinator serve` that is killed at one step of a commit: crashing_serve.py STEP SERVE-OPTIONS.

Not a test. The power goes for real (SIGKILL), in the process that the installed script would be.
"""

import os
import signal
import sys
from pathlib import Path

from fallow.coordinator.config import load_settings
from fallow.coordinator.server import Server


def main() -> None:
    step, _, data_dir, _, listen = sys.argv[1:]

    def at(done: str) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = load_settings(Path(data_dir), None, listen, None)
    Server(settings, at).run(lambda address: print(f"ready {address}", flush=True))


if __name__ == "__main__":
    main()
