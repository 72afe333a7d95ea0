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
from fallow.shared.errors import Refused
from fallow.shared.messages import Logs, LogsReply

Stream = Literal["stdout", "stderr"]
_EVERY = 0.3  # seconds between two looks at a live output
_STILL = ("waiting", "queued", "held", "paused")
_OVER = ("succeeded", "failed", "killed")


class Follower:
    """One job's output from where it was left; a new attempt begins from its own start.

    `tell` gets a sentence whenever the job itself is the news: why nothing comes, another attempt.
    """

    def __init__(
        self,
        client: Client,
        ref: str,
        stream: Stream,
        attempt: int | None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._ask = (ref, stream, attempt)
        self._tell = tell
        self._offset = 0
        self._began = False
        self._state: str | None = None
        self.attempt = 0
        self.over = False

    def more(self, write: Callable[[bytes], None]) -> LogsReply:
        """Write what is new; the last answer, whose `live` is false when no more can come."""
        while True:
            ref, stream, attempt = self._ask
            ask = Logs(ref, stream, attempt, self._offset)
            # The first answer tells whether there is anything to be patient for.
            asking = self._client.ask_patiently if self._began else self._client.ask
            reply = asking(ask, LogsReply)
            self._began = True
            self._say(reply)
            if reply.silent:
                return reply
            if reply.attempt != self.attempt:
                if self.attempt:
                    self._tell(f"attempt {reply.attempt}")
                self.attempt = reply.attempt
                if self._offset:
                    self._offset = 0
                    continue
            write(reply.data)
            self._offset = reply.offset + len(reply.data)
            if self._offset >= reply.size or not reply.data:
                self.over = not reply.live and (
                    attempt is not None or reply.state is None or reply.state in _OVER
                )
                return reply

    def _say(self, reply: LogsReply) -> None:
        """Tell, once, what the job waits for; and when it goes on."""
        was, self._state = self._state, reply.state
        if reply.silent:
            self._state = "silent"
            if was != "silent":
                self._tell(reply.reason or "its workstation does not answer; trying again")
        elif reply.state != was:
            if reply.state in _STILL:
                self._tell(f"{reply.state} because {reply.reason or 'nobody said why'}")
            elif was in (*_STILL, "silent") and reply.state not in _OVER:
                self._tell(f"{reply.state}")


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
    """Show what a job writes (REF is [NAMESPACE:]BATCH/JOB).

    With --follow it goes on until the job has ended, also over pauses and restarts; why nothing
    comes is told on stderr.
    """
    stream: Stream = "stderr" if errors else "stdout"
    with Client(coordinator) as client:
        kept: list[bytes] = []
        write = kept.append if as_json else _write
        follower = Follower(client, ref, stream, attempt, _tell if follow else _say_nothing)
        reply = follower.more(write)
        while follow and not follower.over:
            time.sleep(_EVERY)
            reply = follower.more(write)
    if reply.silent:
        raise Refused(
            f"The workstation of {ref} did not answer",
            "The job runs there, and only it has the output until the job ends.",
            "try again when `coordinator nodes` shows it online, or wait with --follow",
        )
    if as_json:
        text = b"".join(kept).decode("utf-8", "replace")
        shown = follower.attempt or None
        render.print_json({"ref": ref, "attempt": shown, "stream": stream, "text": text})
    elif not follower.attempt:
        click.echo(f"{ref} has not started: {reply.reason or 'nobody said why'}", err=True)
        click.echo("--follow waits for it", err=True)


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _tell(what: str) -> None:
    click.echo(f"[{render.clean(what)}]", err=True)


def _say_nothing(what: str) -> None:
    pass
