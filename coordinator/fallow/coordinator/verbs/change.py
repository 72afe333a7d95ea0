"""The verbs that change what is there: kill, remove, hold, release, retry, drain, undrain.

Not the doing, which is the coordinator's (`changing`), nor the handing in (`verbs.submit`).
"""

import secrets
import sys
from typing import Literal

import click

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.verbs.options import coordinator_option, example, json_option
from fallow.shared.errors import UsageError
from fallow.shared.messages import (
    ClientVerb,
    Done,
    Drain,
    Hold,
    Kill,
    Release,
    Remove,
    Retry,
    Undrain,
)


@click.command(
    epilog=example("coordinator kill sweep_01", "coordinator kill ana_cfd:sweep_01/re100")
)
@click.argument("ref")
@json_option
@coordinator_option
def kill(ref: str, as_json: bool, coordinator: str | None) -> None:
    """Stop a batch or a job for good; what runs is ended and nothing of it is kept."""
    _say(Kill(ref), coordinator, as_json)


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
    _say(Remove(ref), coordinator, as_json)


@click.command(epilog=example("coordinator hold sweep_01", "coordinator hold sweep_01/re100"))
@click.argument("ref")
@json_option
@coordinator_option
def hold(ref: str, as_json: bool, coordinator: str | None) -> None:
    """Start nothing of a batch or a job any more until `release`; what runs goes on to its end."""
    _say(Hold(ref), coordinator, as_json)


@click.command(epilog=example("coordinator release sweep_01"))
@click.argument("ref")
@json_option
@coordinator_option
def release(ref: str, as_json: bool, coordinator: str | None) -> None:
    """Let what is held go on, whatever held it.

    What is held because its build failed everywhere is built anew; what is held because a batch
    that it follows failed starts all the same.
    """
    _say(Release(ref), coordinator, as_json)


@click.command(
    epilog=example(
        "coordinator retry sweep_01",
        "coordinator retry sweep_01/re100",
        "coordinator retry sweep_01 --rebuild",
    )
)
@click.argument("ref")
@click.option("--failed", "which", flag_value="failed", help="Only the jobs that failed.")
@click.option("--lost", "which", flag_value="lost", help="Only those whose workstation is silent.")
@click.option("--all", "which", flag_value="all", help="Those that succeeded, too.")
@click.option("--rebuild", is_flag=True, help="Build the batch anew on every workstation.")
@json_option
@coordinator_option
def retry(
    ref: str,
    which: Literal["failed", "lost", "all"] | None,
    rebuild: bool,
    as_json: bool,
    coordinator: str | None,
) -> None:
    """Run jobs again that are over; without an option, those that failed or were killed.

    They start as if for the first time; the results that are there stay until new ones replace
    them. With --lost, jobs start elsewhere at once whose workstation has not been heard of.
    """
    ask = Retry(ref, which or "unsuccessful", rebuild, secrets.token_hex(8))
    _say(ask, coordinator, as_json)


@click.command(epilog=example("coordinator drain dino", "coordinator drain dino --now"))
@click.argument("node")
@click.option("--now", "at_once", is_flag=True, help="Send elsewhere what runs there.")
@json_option
@coordinator_option
def drain(node: str, at_once: bool, as_json: bool, coordinator: str | None) -> None:
    """Give a workstation no new jobs until `undrain`, for an admin; what runs there goes on."""
    _say(Drain(node, at_once), coordinator, as_json)


@click.command(epilog=example("coordinator undrain dino"))
@click.argument("node")
@json_option
@coordinator_option
def undrain(node: str, as_json: bool, coordinator: str | None) -> None:
    """Let a workstation have jobs again, if whoever sits there agrees.

    Also one that is left alone for a while because it failed many jobs.
    """
    _say(Undrain(node), coordinator, as_json)


def _say(what: ClientVerb, coordinator: str | None, as_json: bool) -> None:
    with Client(coordinator) as client:
        done = client.ask(what, Done)
    if as_json:
        render.print_json({"done": done.text})
    else:
        print(done.text)
