"""The command `coordinator`: which verbs there are.

Not the verbs (`verbs/`), which are imported only when called, so that `--help` is quick, nor how
one ends (`fallow.shared.program`).
"""

import sys
from collections.abc import Callable
from typing import NamedTuple

import click

from fallow.shared import program


class Verb(NamedTuple):
    summary: str
    load: Callable[[], click.Command]


def _serve() -> click.Command:
    from fallow.coordinator.verbs.serve import serve

    return serve


def _doctor() -> click.Command:
    from fallow.coordinator.verbs.doctor import doctor

    return doctor


def _invite() -> click.Command:
    from fallow.coordinator.verbs.people import invite

    return invite


def _join() -> click.Command:
    from fallow.coordinator.verbs.people import join

    return join


def _keys() -> click.Command:
    from fallow.coordinator.verbs.people import keys

    return keys


def _template() -> click.Command:
    from fallow.coordinator.verbs.template import template

    return template


def _submit() -> click.Command:
    from fallow.coordinator.verbs.submit import submit

    return submit


def _run() -> click.Command:
    from fallow.coordinator.verbs.run import run

    return run


def _status() -> click.Command:
    from fallow.coordinator.verbs.status import status

    return status


def _nodes() -> click.Command:
    from fallow.coordinator.verbs.status import nodes

    return nodes


def _logs() -> click.Command:
    from fallow.coordinator.verbs.logs import logs

    return logs


def _watch() -> click.Command:
    from fallow.coordinator.verbs.watch import watch

    return watch


def _report() -> click.Command:
    from fallow.coordinator.verbs.report import report

    return report


def _pull() -> click.Command:
    from fallow.coordinator.verbs.pull import pull

    return pull


def _kill() -> click.Command:
    from fallow.coordinator.verbs.change import kill

    return kill


def _remove() -> click.Command:
    from fallow.coordinator.verbs.change import remove

    return remove


def _hold() -> click.Command:
    from fallow.coordinator.verbs.change import hold

    return hold


def _release() -> click.Command:
    from fallow.coordinator.verbs.change import release

    return release


def _retry() -> click.Command:
    from fallow.coordinator.verbs.change import retry

    return retry


def _drain() -> click.Command:
    from fallow.coordinator.verbs.change import drain

    return drain


def _undrain() -> click.Command:
    from fallow.coordinator.verbs.change import undrain

    return undrain


def _why() -> click.Command:
    from fallow.coordinator.verbs.why import why

    return why


def _export() -> click.Command:
    from fallow.coordinator.verbs.export import export

    return export


def _collect() -> click.Command:
    from fallow.coordinator.verbs.collect import collect

    return collect


VERBS = {
    "serve": Verb("Run the coordinator of a group.", _serve),
    "invite": Verb("Make a token with which somebody or a workstation can join.", _invite),
    "join": Verb("Make this account a client of a coordinator.", _join),
    "keys": Verb("Show who may talk to the coordinator, or shut somebody out.", _keys),
    "template": Verb("Write a batch file to begin with.", _template),
    "submit": Verb("Check a batch file and hand the batch in.", _submit),
    "run": Verb("Run a batch on this computer, with no coordinator.", _run),
    "status": Verb("Show batches, their jobs and how far they are.", _status),
    "nodes": Verb("Show the workstations and what they do.", _nodes),
    "why": Verb("Say why a job is not running, and what would start it.", _why),
    "logs": Verb("Show what a job writes, live while it runs.", _logs),
    "watch": Verb("Show what happens, one line an event.", _watch),
    "report": Verb("Write a page of pictures: who ran where and when.", _report),
    "pull": Verb("Fetch the results of a batch or a job.", _pull),
    "kill": Verb("Stop a batch or a job for good.", _kill),
    "hold": Verb("Start nothing of a batch or a job any more.", _hold),
    "release": Verb("Let what is held go on.", _release),
    "retry": Verb("Run jobs again that are over.", _retry),
    "remove": Verb("Delete an ended batch with its results.", _remove),
    "drain": Verb("Give a workstation no new jobs.", _drain),
    "undrain": Verb("Let a workstation have jobs again.", _undrain),
    "export": Verb("Make a folder of a batch that a SLURM cluster can run.", _export),
    "collect": Verb("Bring the results of an exported batch back.", _collect),
    "doctor": Verb("Check this installation and say what to do.", _doctor),
}


class Verbs(click.Group):
    """A group whose commands are imported when they are called, not to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = VERBS.get(cmd_name)
        return verb.load() if verb is not None else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.summary) for name, verb in VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, 1)
            raise click.UsageError(
                f"There is no verb {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""),
                ctx,
            ) from error


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  coordinator submit sweep.yaml --wait\n  coordinator pull sweep.yaml",
)
@click.option(
    "--coordinator",
    "coordinator_",
    metavar="ADDR",
    help="A joined tcp:// address, or the data folder of a coordinator on this computer.",
)
@click.version_option(package_name="fallow", prog_name="coordinator")
@click.pass_context
def entry(context: click.Context, coordinator_: str | None) -> None:
    """Run batch jobs on a group's own desktop computers."""
    context.obj = coordinator_


def main() -> None:
    """Run the verb of the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run one verb and return its exit code; errors are told on stderr."""
    return program.run(entry, "coordinator", args)
