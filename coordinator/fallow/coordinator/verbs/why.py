"""`coordinator why`: why a job is not running, and what would start it.

Not the reasons, which are the coordinator's (`fallow.coordinator.why`); only how they are shown.
"""

import click

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.verbs.options import coordinator_option, example, json_option
from fallow.shared.messages import Obstacle, Why, WhyReply

_MANY = 40  # workstations that a person is told about


@click.command(epilog=example("coordinator why sweep_01", "coordinator why ana_cfd:sweep_01/re100"))
@click.argument("ref")
@json_option
@coordinator_option
def why(ref: str, as_json: bool, coordinator: str | None) -> None:
    """Say why a job, or the first of a batch that waits, is not running, and the nearest fix."""
    with Client(coordinator) as client:
        reply = client.ask(Why(ref), WhyReply)
    if as_json:
        content = {field: getattr(reply, field) for field in reply.__struct_fields__}
        render.print_json(content)
        return
    show(reply)


def show(reply: WhyReply) -> None:
    """Print the answer for a person."""
    more = f" (and {reply.like_it} more like it)" if reply.like_it else ""
    verb = "has" if reply.state in ("succeeded", "failed") else "is"
    print(f"{reply.ref} {verb} {reply.state}{more}: {reply.text}")
    if reply.nodes:
        print()
        render.print_table(("workstation", "why not"), [_row(each) for each in reply.nodes[:_MANY]])
        if len(reply.nodes) > _MANY:
            print(f"… and {len(reply.nodes) - _MANY} more, all of them with: --json")
    if reply.fix:
        until = f" (by itself at {render.moment(reply.until)})" if reply.until else ""
        print(f"\nwhat helps: {reply.fix}{until}")
    if reply.command:
        where = f"on {reply.at}: " if reply.at else ""
        print(f"  {where}{reply.command}")
    if reply.ahead is not None:
        print(f"\n{_place(reply.ahead, reply.others or 0)}")


def _row(obstacle: Obstacle) -> tuple[str, str]:
    until = f", until {render.moment(obstacle.until)}" if obstacle.until is not None else ""
    return obstacle.node, obstacle.text + until


def _place(ahead: int, others: int) -> str:
    first = "it is next of its owner's jobs"
    if ahead:
        first = f"{ahead} of its owner's jobs {'goes' if ahead == 1 else 'go'} first"
    if not others:
        return f"in the queue: {first}"
    jobs = "1 job" if others == 1 else f"{others} jobs"
    return f"in the queue: {first}; {jobs} of other people take turns with them"
