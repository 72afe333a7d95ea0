"""`coordinator watch`: what happens in the group, one line an event.

Not the state (`status`) nor a job's output (`logs`). The last number seen is asked on from, so a
coordinator that restarts, or a slow reader, loses nothing. Opposite: `fallow.coordinator.watching`.
"""

import sys

import click
import msgspec

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.verbs.options import coordinator_option, example, since_option
from fallow.shared.messages import Happening, Watch, WatchReply

_WAIT = 4.0  # seconds that the coordinator keeps a question for which it has no answer yet
_ANSWER = 6.0  # seconds after that in which a coordinator answers, if it is still the same one


_OF_A_DESK = {
    "away": "free",
    "settling": "free in a moment",
    "present": "in use",
    "barred": "takes no jobs",
}


@click.command(
    epilog=example(
        "coordinator watch",
        "coordinator watch ana_cfd:sweep_01 --since 2h",
        "coordinator watch --since 7d --once --json > events.jsonl",
    )
)
@click.argument("ref", required=False)
@since_option("Begin with what happened by then: 2h, 7d, 2026-11-22 or 2026-11-22T14:00.")
@click.option("--once", is_flag=True, help="End after what has happened so far.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@coordinator_option
def watch(
    ref: str | None, since: float | None, once: bool, as_json: bool, coordinator: str | None
) -> None:
    """Show what happens, one line an event (REF is [NAMESPACE:]BATCH[/JOB]); ends with Ctrl-C."""
    if once and since is None:
        since = 0.0
    ask = Watch(ref, since=since, wait=0.0 if once else _WAIT)
    with Client(coordinator) as client:
        # The first answer tells whether there is anything to be patient for.
        reply = client.ask(msgspec.structs.replace(ask, wait=0.0), WatchReply)
        while True:
            for event in reply.events:
                print(as_line(event) if not as_json else _as_json(event))
            sys.stdout.flush()
            if once and not reply.more:
                return
            ask = msgspec.structs.replace(ask, after=reply.next)
            reply = client.ask_patiently(ask, WatchReply, timeout=_WAIT + _ANSWER)


def as_line(event: Happening) -> str:
    """Time, kind, job, workstation and words in columns."""
    attempt = f" (attempt {event.attempt})" if event.attempt > 1 else ""
    words = event.text
    if event.kind == "verdict":
        verdict, _, why = words.partition(":")
        words = _OF_A_DESK.get(verdict, verdict) + (f": {why.strip()}" if why.strip() else "")
    if event.run_seconds or event.paused_seconds:
        ran = f"ran {render.duration(event.run_seconds)}"
        paused = event.paused_seconds
        words = f"{ran}, paused {render.duration(paused)}" if paused >= 0.5 else ran
    about = f"{event.ref}{attempt}"
    line = f"{render.moment(event.wall):8}  {event.kind:12}  {about:30}  {event.node:12}  {words}"
    return render.clean(line).rstrip()


def _as_json(event: Happening) -> str:
    content = {"schema": render.SCHEMA, **msgspec.structs.asdict(event)}
    return msgspec.json.encode(content).decode()
