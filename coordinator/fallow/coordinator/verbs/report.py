"""`coordinator report`: a page of pictures of who ran where and when.

Not the page (`fallow.coordinator.report`): this asks for what it is made of, and writes the file.
"""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.verbs.options import coordinator_option, example, json_option, since_option
from fallow.shared.errors import FallowError
from fallow.shared.messages import (
    Happening,
    Logs,
    LogsReply,
    Nodes,
    NodesReply,
    Status,
    StatusReply,
    Watch,
    WatchReply,
)

if TYPE_CHECKING:
    from fallow.coordinator.report import page

_PAGE = 4_000  # events in one answer: between two, the coordinator answers others
_DAYS = 7 * 86400.0
_FAILURES = 40  # whose last words are asked for
_LINES, _BYTES = 12, 4096


@click.command(
    epilog=example(
        "coordinator report -o week.html",
        "coordinator report ana_cfd:sweep_01 -o sweep.html",
        "coordinator report --since 30d -o month.html",
    )
)
@click.argument("ref", required=False)
@since_option("From when on: 7d, 12h or 2026-11-22. Default: the batch's begin, or 7 days.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    required=True,
    metavar="FILE.html",
    help="The file to write; - is the standard output.",
)
@json_option
@coordinator_option
def report(
    ref: str | None, since: float | None, output: Path, as_json: bool, coordinator: str | None
) -> None:
    """Write one web page: who ran where and when, waits, run times, failures.

    It needs nothing but itself: send it to a colleague, print it. REF is [NAMESPACE:]BATCH[/JOB].
    """
    from fallow.coordinator.report import history, page

    with Client(coordinator) as client:
        mine: frozenset[str] | None = None
        title = "All batches"
        if ref is not None:
            (batch,) = client.ask(Status(ref, limit=1), StatusReply).batches
            title = f"{batch.namespace}:{batch.batch}"
            if "/" in ref:
                title += "/" + ref.partition("/")[2]
            mine = frozenset({title})
            since = batch.submitted if since is None else max(since, batch.submitted)
        now = time.time()
        since = since if since is not None else now - _DAYS
        events = _events(client, since)
        end = _end(events, title, now) if ref is not None else now
        begin = max(since, events[0].wall) if events else since
        stations = client.ask(Nodes(), NodesReply).nodes
        states = {
            node.name: "off" if node.last_report_seconds is None else _word(node.verdict)
            for node in stations
            if node.last_report_seconds is None or (node.since or 0.0) <= begin
        }
        silent = {
            node.name: now - node.last_report_seconds
            for node in stations
            if node.state == "offline" and node.last_report_seconds is not None
        }
        told = history.tell(events, begin, max(end, begin + 1.0), states, silent)
        failed = _failed(events, mine)
        failures = tuple(_failure(client, event) for event in failed[-_FAILURES:][::-1])
    made = page.Report(title, told, now, mine, failures, len(failed))
    text = page.render(made)
    if str(output) == "-":
        sys.stdout.write(text)
        return
    _write(output, text)
    if as_json:
        render.print_json({"file": str(output), **page.figures_of(made)})
    else:
        print(f"written: {output} ({render.size(len(text.encode()))})")


def _events(client: Client, since: float) -> list[Happening]:
    """All of them from then on, page by page."""
    found: list[Happening] = []
    ask = Watch(since=since, limit=_PAGE)
    while True:
        reply = client.ask(ask, WatchReply)
        found += reply.events
        if not reply.more:
            return found
        ask = msgspec.structs.replace(ask, after=reply.next)


def _end(events: list[Happening], title: str, now: float) -> float:
    """When the last thing happened to it, or now while something still may."""
    head = title + "/"
    own = [event for event in events if event.ref == title or event.ref.startswith(head)]
    begun = {event.ref for event in own if event.attempt}
    over = {event.ref for event in own if event.kind == "done"}
    return own[-1].wall if over and begun <= over else now


def _word(verdict: str) -> str:
    return "free" if verdict == "away" else "away"  # a desk that its owner is away from is free


def _failed(events: list[Happening], mine: frozenset[str] | None) -> list[Happening]:
    """The last attempt of each job that failed, in the order of failing."""
    found: dict[str, Happening] = {}
    ended: dict[str, Happening] = {}
    for event in events:
        if event.kind == "ended" and event.text.startswith(("failed", "crashed")):
            ended[event.ref] = event
        elif event.kind == "done":
            found.pop(event.ref, None)
            if event.text == "failed" and event.ref in ended:
                found[event.ref] = ended[event.ref]
    if mine is not None:
        found = {
            ref: event
            for ref, event in found.items()
            if ref in mine or ref.partition("/")[0] in mine
        }
    return list(found.values())


def _failure(client: Client, event: Happening) -> "page.Failure":
    from fallow.coordinator.report import page

    text = ""
    why = event.text.partition(": ")[2] or event.text
    try:
        ask = Logs(event.ref, "stderr", event.attempt, -1, _BYTES)
        reply = client.ask(ask, LogsReply)
        text = reply.data.decode("utf-8", "replace")
        if reply.offset:
            text = text.partition("\n")[2]
        if reply.state == "failed":  # and not tried again by now
            why = reply.reason or why
    except FallowError as error:
        text = f"({error.title})"
    last = "\n".join(text.splitlines()[-_LINES:])
    return page.Failure(event.ref, event.attempt, event.node, why, last, event.wall)


def _write(output: Path, text: str) -> None:
    """Whole or not at all."""
    fresh = output.with_name(f".{output.name}.{os.getpid()}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(output)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise FallowError(
            f"The report cannot be written to {output}", f"The system says: {error.strerror}."
        ) from None
