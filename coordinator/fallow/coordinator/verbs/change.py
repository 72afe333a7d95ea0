"""`coordinator kill` and `coordinator remove`: ending and deleting.

Not the doing, which is the coordinator's.
"""

import sys

import click

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.verbs.options import coordinator_option, example, json_option
from fallow.shared.errors import UsageError
from fallow.shared.messages import Done, Kill, Remove


@click.command(
    epilog=example("coordinator kill sweep_01", "coordinator kill ana_cfd:sweep_01/re100")
)
@click.argument("ref")
@json_option
@coordinator_option
def kill(ref: str, as_json: bool, coordinator: str | None) -> None:
    """Stop a batch or a job for good; what runs is ended and nothing of it is kept."""
    with Client(coordinator) as client:
        _tell(client.ask(Kill(ref), Done), as_json)


@click.command(epilog=example("coordinator remove sweep_01 --yes"))
@click.argument("ref")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@coordinator_option
def remove(ref: str, yes: bool, as_json: bool, coordinator: str | None) -> None:
    """Delete an ended batch with all its results from the coordinator. It asks first."""
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                f"Nobody is there to be asked about removing {ref}", hint="say it with: --yes"
            )
        click.confirm(f"Remove {ref} and all its results from the coordinator?", abort=True)
    with Client(coordinator) as client:
        _tell(client.ask(Remove(ref), Done), as_json)


def _tell(done: Done, as_json: bool) -> None:
    if as_json:
        render.print_json({"done": done.text})
    else:
        print(done.text)
