"""`coordinator status` and `coordinator nodes`: what there is and how far it is.

Not the figures, which are the coordinator's; only how they are asked for and shown.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.verbs.options import coordinator_option, example, json_option
from fallow.coordinator.waiting import all_over
from fallow.shared.errors import Unreachable
from fallow.shared.messages import (
    BatchStatus,
    JobStatus,
    Nodes,
    NodesReply,
    NodeStatus,
    Status,
    StatusReply,
)

_EVERY = 1.0  # seconds between two looks of --watch
NODE_COLUMNS = ("workstation", "state", "why", "since", "cpus", "memory", "gpus", "runs")
_PAGE = 50_000  # jobs in one reply, well below what a message may hold
_SHOWN = 200  # jobs a person is shown unless --limit says otherwise


@click.command(
    epilog=example(
        "coordinator status",
        "coordinator status ana_cfd:sweep_01 --watch",
        "coordinator status sweep_01 --json --limit 100 --after 200",
    )
)
@click.argument("ref", required=False)
@click.option(
    "--watch",
    is_flag=True,
    help="Show it anew whenever it changes, until Ctrl-C; into a pipe, until REF is over.",
)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many jobs.")
@click.option("--after", type=click.IntRange(min=0), default=0, help="Leave out so many jobs.")
@json_option
@coordinator_option
def status(
    ref: str | None,
    watch: bool,
    limit: int | None,
    after: int,
    as_json: bool,
    coordinator: str | None,
) -> None:
    """Show all batches, or the jobs of one (REF is [NAMESPACE:]BATCH[/JOB])."""
    if limit is None and not as_json:
        limit = _SHOWN
    ask = Status(ref, jobs=ref is not None, after=after, limit=limit)
    with Client(coordinator) as client:
        if watch:
            _watch(client, ask, as_json)
            return
        batches = _ask(client, ask)
        if as_json:
            render.print_json({"batches": [plain(batch) for batch in batches]})
        else:
            show(batches, named=ref is not None, limit=limit, after=after)


def _watch(client: Client, ask: Status, as_json: bool) -> None:
    """Look again and again until Ctrl-C; a program that reads it is let go with its batch."""
    if as_json or not sys.stdout.isatty():
        for news in _looks(client, ask):
            if as_json:
                content = {"schema": render.SCHEMA, "batches": [plain(each) for each in news]}
                print(msgspec.json.encode(content).decode())
            else:
                print(*map(_line, news), sep="\n")
            sys.stdout.flush()
            if ask.ref is not None and all(map(all_over, news)):
                return
        return
    from fallow.coordinator.screen import Screen

    with Screen() as screen:
        batches: tuple[BatchStatus, ...] = ()
        while True:
            trouble = ""
            live = msgspec.structs.replace(ask, live=True, limit=min(ask.limit or 1, screen.room))
            try:
                batches = client.ask(live, StatusReply).batches
            except Unreachable as error:
                trouble = f"{error.title}; trying again"
            screen.show(batches, trouble)
            time.sleep(_EVERY)


def _looks(client: Client, ask: Status) -> Iterator[tuple[BatchStatus, ...]]:
    """The batches now, then each time that anything in them is another than before."""
    before = None
    batches = client.ask(ask, StatusReply).batches
    while True:
        if batches != before:
            yield batches
            before = batches
        time.sleep(_EVERY)
        batches = client.ask_patiently(ask, StatusReply).batches


def _line(batch: BatchStatus) -> str:
    left = f", {render.duration(batch.eta_seconds)} left" if batch.eta_seconds else ""
    text = f"{batch.namespace}:{batch.batch}: {batch.state}, {counts(batch.counts)}{left}"
    return f"{time.strftime('%H:%M:%S')} {render.clean(text)}"


@click.command(epilog=example("coordinator nodes"))
@json_option
@coordinator_option
def nodes(as_json: bool, coordinator: str | None) -> None:
    """Show the workstations: what each does, or why it does not."""
    with Client(coordinator) as client:
        reply = client.ask(Nodes(), NodesReply)
    if as_json:
        render.print_json({"nodes": reply.nodes})
        return
    if not reply.nodes:
        print("No workstation has joined yet: see `coordinator invite --help`.")
        return
    render.print_table(
        NODE_COLUMNS,
        [node_row(node) for node in reply.nodes],
    )


def _ask(client: Client, ask: Status) -> tuple[BatchStatus, ...]:
    """The whole answer, in as many pages as it takes when all jobs are wanted."""
    if not ask.jobs or ask.limit is not None:
        return client.ask(ask, StatusReply).batches
    jobs: list[JobStatus] = []
    while True:
        page = msgspec.structs.replace(ask, after=ask.after + len(jobs), limit=_PAGE)
        (batch,) = client.ask(page, StatusReply).batches
        jobs += batch.jobs or ()
        if len(batch.jobs or ()) < _PAGE:
            return (msgspec.structs.replace(batch, jobs=tuple(jobs)),)


def plain(batch: BatchStatus) -> dict[str, Any]:
    """As JSON has it: every state is counted, `jobs` are there only when the batch was named."""
    content = {field: getattr(batch, field) for field in batch.__struct_fields__}
    content["counts"] = render.every_state(batch.counts)
    if batch.jobs is None:
        del content["jobs"]
    return content


def show(batches: tuple[BatchStatus, ...], named: bool, limit: int | None, after: int) -> None:
    """Print the batches and, where one was named, a page of its jobs."""
    if not batches:
        print("No batches yet: see `coordinator submit --help`.")
        return
    render.print_table(
        ("batch", "owner", "state", "jobs", "left"), [_batch_row(batch) for batch in batches]
    )
    if not named:
        return
    for batch in batches:
        jobs = batch.jobs or ()
        print()
        render.print_table(
            ("job", "state", "workstation", "run", "paused", "progress", "tries", "why"),
            [_job_row(job) for job in jobs],
        )
        total = sum(batch.counts.values())
        if limit is not None and len(jobs) == limit and after + limit < total:
            print(f"… of {total} jobs; more with: --after {after + limit}")


def counts(counts: dict[str, int]) -> str:
    """The states that some job is in: "3 queued, 2 running"."""
    return ", ".join(f"{number} {state}" for state, number in counts.items() if number)


def _batch_row(batch: BatchStatus) -> tuple[str, ...]:
    return (
        f"{batch.namespace}:{batch.batch}",
        batch.owner,
        batch.state,
        counts(batch.counts),
        render.duration(batch.eta_seconds),
    )


def _job_row(job: JobStatus) -> tuple[str, ...]:
    return (
        job.name,
        job.state,
        job.workstation or "",
        render.duration(job.run_seconds) if job.run_seconds else "",
        render.duration(job.paused_seconds) if job.paused_seconds else "",
        render.percent(job.progress),
        str(job.attempts or ""),
        job.reason or job.exit or "",
    )


def node_row(node: NodeStatus) -> tuple[str, ...]:
    why = node.why
    if node.until is not None:
        why += f", until {render.moment(node.until)}"
    return (
        node.name,
        node.state,
        why,
        render.moment(node.since),
        str(node.cpus),
        render.size(node.memory),
        str(node.gpus or ""),
        ", ".join(node.runs),
    )
