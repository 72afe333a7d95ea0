"""`coordinator logs`: what a job writes, live while it runs.

Not the files: the coordinator, or through it the workstation, has them.
"""

import sys
import time
from collections.abc import Callable
from typing import Literal

import click

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.verbs.options import coordinator_option, example, json_option
from fallow.shared.messages import Logs, LogsReply

Stream = Literal["stdout", "stderr"]
_EVERY = 0.3  # seconds between two looks at a live output


class Follower:
    """One job's output from where it was left; a new attempt begins from its own start."""

    def __init__(self, client: Client, ref: str, stream: Stream, attempt: int | None) -> None:
        self._client = client
        self._ask = (ref, stream, attempt)
        self._offset = 0
        self._began = False
        self.attempt = 0
        self.over = False

    def more(self, write: Callable[[bytes], None]) -> bool:
        """Write what is new; False when no more can come."""
        while True:
            ref, stream, attempt = self._ask
            ask = Logs(ref, stream, attempt, self._offset)
            # The first answer tells whether there is anything to be patient for.
            asking = self._client.ask_patiently if self._began else self._client.ask
            reply = asking(ask, LogsReply)
            self._began = True
            if reply.attempt != self.attempt:
                if self.attempt and self._offset:
                    self._offset, self.attempt = 0, reply.attempt
                    write(f"\n--- attempt {reply.attempt} ---\n".encode())
                    continue
                self.attempt = reply.attempt
            write(reply.data)
            self._offset = reply.offset + len(reply.data)
            if self._offset >= reply.size or not reply.data:
                return reply.live


@click.command(
    epilog=example(
        "coordinator logs sweep_01/re100 --follow", "coordinator logs sweep_01/re100 --stderr"
    )
)
@click.argument("ref")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job ends.")
@click.option("--stderr", "errors", is_flag=True, help="The error output instead.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="Default: the newest.")
@json_option
@coordinator_option
def logs(
    ref: str,
    follow: bool,
    errors: bool,
    attempt: int | None,
    as_json: bool,
    coordinator: str | None,
) -> None:
    """Show what a job writes (REF is [NAMESPACE:]BATCH/JOB)."""
    stream: Stream = "stderr" if errors else "stdout"
    with Client(coordinator) as client:
        follower = Follower(client, ref, stream, attempt)
        if as_json:
            kept: list[bytes] = []
            while follower.more(kept.append) and follow:
                time.sleep(_EVERY)
            text = b"".join(kept).decode("utf-8", "replace")
            render.print_json(
                {"ref": ref, "attempt": follower.attempt or None, "stream": stream, "text": text}
            )
            return
        while follower.more(_write) and follow:
            time.sleep(_EVERY)
        if not follower.attempt:
            click.echo(f"{ref} has not started yet; --follow waits for it", err=True)


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
