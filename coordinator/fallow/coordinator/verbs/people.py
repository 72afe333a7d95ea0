"""`coordinator invite`, `join` and `keys`: who may talk to the coordinator.

Not the list itself, which the coordinator keeps (`fallow.coordinator.people`).
"""

import getpass
import hashlib
from typing import Literal

import click

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.verbs.options import coordinator_option, example, json_option
from fallow.shared.messages import Done, Invite, InviteReply, Keys, KeysReply, Revoke

PersonOrWorkstation = Literal["workstation", "submitter", "admin"]


@click.command(
    epilog=example(
        "coordinator invite --name dino",
        "coordinator invite --role submitter --name ana --expires 1d",
    )
)
@click.option(
    "--role",
    type=click.Choice(["workstation", "submitter", "admin"]),
    default="workstation",
    show_default=True,
)
@click.option("--name", metavar="N", help="What the workstation or person will be called.")
@click.option("--expires", default="1h", show_default=True, metavar="TIME", help="30m, 1h, 2d …")
@click.option("--uses", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--local", is_flag=True, help="Allow an invitation that works on this computer only.")
@json_option
@coordinator_option
def invite(
    role: PersonOrWorkstation,
    name: str | None,
    expires: str,
    uses: int,
    local: bool,
    as_json: bool,
    coordinator: str | None,
) -> None:
    """Print a token with which a workstation or a person can join.

    Whoever has the token can use it once: hand it over as you would a password.
    """
    from fallow.shared.units import parse_duration

    try:
        seconds = parse_duration(expires)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from None
    with Client(coordinator) as client:
        reply = client.ask(Invite(role, name, seconds, uses, local), InviteReply)
    if as_json:
        render.print_json(
            {"token": reply.token, "role": reply.role, "expires": render.iso(reply.expires)}
        )
        return
    print(reply.token)
    there = "tray join TOKEN" if role == "workstation" else "coordinator join TOKEN"
    click.echo(f"good until {render.moment(reply.expires)}; use it with: {there}", err=True)


@click.command(epilog=example("coordinator join fallow1-…"))
@click.argument("token")
@click.option("--name", metavar="N", help="Your name there, where the invitation has none.")
@json_option
def join(token: str, name: str | None, as_json: bool) -> None:
    """Make this account a client of the coordinator that the token names."""
    from fallow.coordinator import joining

    invitation = joining.invitation_for_person(token)
    joined = joining.join(invitation, name or getpass.getuser(), key_name(invitation.server))
    if as_json:
        render.print_json(
            {"name": joined.name, "role": joined.role, "coordinator": joined.addresses[0]}
        )
        return
    print(f"joined the coordinator at {joined.addresses[0]} as {joined.role} {joined.name}")


def key_name(server: str) -> str:
    """The file name of this account's key for the coordinator with that public key."""
    return hashlib.sha256(server.encode()).hexdigest()[:16]


@click.group(
    invoke_without_command=True,
    epilog=example("coordinator keys", "coordinator keys revoke dino"),
)
@json_option
@coordinator_option
@click.pass_context
def keys(context: click.Context, as_json: bool, coordinator: str | None) -> None:
    """Show who may talk to the coordinator, or shut somebody out."""
    context.obj = coordinator
    if context.invoked_subcommand is None:
        _list(as_json, coordinator)


@keys.command("list", epilog=example("coordinator keys list --json"))
@json_option
@coordinator_option
def list_(as_json: bool, coordinator: str | None) -> None:
    """Show every key, also those that were revoked."""
    _list(as_json, coordinator)


@keys.command(epilog=example("coordinator keys revoke dino"))
@click.argument("name")
@json_option
@coordinator_option
def revoke(name: str, as_json: bool, coordinator: str | None) -> None:
    """Shut NAME out at once, with its invitations; its jobs and results stay."""
    with Client(coordinator) as client:
        done = client.ask(Revoke(name), Done)
    if as_json:
        render.print_json({"done": done.text})
    else:
        print(done.text)


def _list(as_json: bool, coordinator: str | None) -> None:
    with Client(coordinator) as client:
        reply = client.ask(Keys(), KeysReply)
    if as_json:
        render.print_json(
            {
                "keys": [
                    {
                        "name": key.name,
                        "role": key.role,
                        "public_key": key.public_key,
                        "created": render.iso(key.created),
                        "revoked": None if key.revoked is None else render.iso(key.revoked),
                    }
                    for key in reply.keys
                ]
            }
        )
        return
    if not reply.keys:
        print("Nobody has joined yet: see `coordinator invite --help`.")
        return
    render.print_table(
        ("name", "role", "joined", "revoked"),
        [
            (key.name, key.role, render.moment(key.created), render.moment(key.revoked))
            for key in reply.keys
        ],
    )
