"""The command `tray`: the icon, the agent without a screen, and what one asks of them.

Not the agent (`agent`) nor the icon (`ui/`), which are imported only when called, nor how a call
ends (`fallow.shared.program`).
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from fallow.shared import program
from fallow.shared.errors import FallowError, Unreachable, UsageError
from fallow.tray import whereabouts

R = TypeVar("R")

_DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The agent's folder; a computer's own agent is found without it.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _place(context: click.Context, data_dir: Path | None) -> Path:
    chosen = data_dir or context.find_root().obj
    return Path(chosen).expanduser().absolute() if chosen else whereabouts.default_data_dir()


def _verb(function: Callable[..., R]) -> Callable[..., R]:
    return _DATA_DIR(click.pass_context(function))


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  tray join fallow1-…\n  tray\n  tray pause 1h",
)
@_DATA_DIR
@click.version_option(package_name="fallow", prog_name="tray")
@click.pass_context
def entry(context: click.Context, data_dir: Path | None) -> int:
    """Lend this computer to your group while you are away; with no verb, show the icon."""
    context.obj = data_dir
    if context.invoked_subcommand is not None:
        return 0
    from fallow.tray.ui.app import main as show_icon

    return show_icon(_place(context, data_dir))


@entry.command(epilog="\b\nExample:\n  tray agent --join fallow1-…")
@click.option("--join", "token", metavar="TOKEN", help="Join this coordinator first.")
@click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="Instead of agent.toml."
)
@click.option("--system", is_flag=True, help="Be the agent of everybody who uses this computer.")
@_verb
def agent(
    context: click.Context,
    data_dir: Path | None,
    token: str | None,
    config: Path | None,
    system: bool,
) -> None:
    """Run the workstation without a screen, until SIGTERM; its jobs go on then."""
    from fallow.tray import config as configuration
    from fallow.tray.agent import Agent, Serves

    chosen = data_dir or context.find_root().obj
    place = whereabouts.SYSTEM_DATA if system and not chosen else _place(context, data_dir)
    serves: Serves = "system" if system else "folder"
    if not system and place == whereabouts.default_data_dir():
        serves = "computer"
    file = config.absolute() if config else place / "agent.toml"
    settings = configuration.load(file)
    try:
        running = Agent(place, settings, config_file=file, serves=serves)
    except OSError as error:
        raise FallowError(
            f"The agent cannot use its folder {place}",
            f"The system says: {error}.",
            "look whether the disk is full and the folder yours, or name another with --data-dir",
        ) from None
    if token is not None:
        running.join(token)
    running.run()


@entry.command(epilog="\b\nExample:\n  tray join fallow1-…")
@click.argument("token")
@click.option("--discard", is_flag=True, help="Lose what another coordinator's jobs did here.")
@_verb
def join(context: click.Context, data_dir: Path | None, token: str, discard: bool) -> None:
    """Let this workstation belong to the coordinator that the token names."""
    from fallow.tray import local, membership

    place = _place(context, data_dir)
    whereabouts.refuse_if_anothers(place)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FallowError(f"The folder {place} cannot be used", f"{error.strerror}.") from None
    member = membership.join(place, token, discard=discard)
    try:
        with local.LocalClient(place) as client:
            client.ask(local.Rejoined())
    except Unreachable:
        click.echo(f"joined as {member.name}; start the tray, or: tray agent")
    else:
        click.echo(f"joined as {member.name}")


@entry.command(
    epilog="\b\nExamples:\n  tray pause\n  tray pause 1h\n  tray pause until 18:30\n"
    "  tray pause until tomorrow"
)
@click.argument("duration", nargs=-1)
@_JSON
@_verb
def pause(
    context: click.Context, data_dir: Path | None, duration: tuple[str, ...], as_json: bool
) -> None:
    """Stop all jobs here: for a time such as 30m, 1h or 4h, `until HH:MM`, or until resumed."""
    from fallow.tray import local

    seconds = _pause_length(duration)
    _ask(_place(context, data_dir), local.PauseFor(seconds), as_json)


@entry.command(epilog="\b\nExamples:\n  tray lend 2h\n  tray lend until 18:30")
@click.argument("duration", nargs=-1)
@_JSON
@_verb
def lend(
    context: click.Context, data_dir: Path | None, duration: tuple[str, ...], as_json: bool
) -> None:
    """Let jobs run although you work here: for a time such as 2h, or `until HH:MM`."""
    from fallow.tray import local

    if duration in {(), ("forever",)}:
        raise UsageError("Say for how long you lend this computer", hint="tray lend 2h")
    seconds = _length("lend", duration)
    _ask(_place(context, data_dir), local.LendFor(seconds), as_json)


@entry.command(epilog="\b\nExample:\n  tray eject")
@_JSON
@_verb
def eject(context: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """Send the jobs elsewhere now; others come when nobody was here for a while, or on resume."""
    from fallow.tray import local

    _ask(_place(context, data_dir), local.Eject(), as_json)


@entry.command(epilog="\b\nExample:\n  tray finish")
@_JSON
@_verb
def finish(context: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """Finish the jobs that run here, then take no more until `tray resume`."""
    from fallow.tray import local

    _ask(_place(context, data_dir), local.Finish(), as_json)


@entry.command(epilog="\b\nExample:\n  tray resume")
@_JSON
@_verb
def resume(context: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """End what you asked for (pause, lend, eject, finish); the desk is judged as always."""
    from fallow.tray import local

    _ask(_place(context, data_dir), local.Resume(), as_json)


@entry.command(epilog="\b\nExample:\n  tray status --json")
@_JSON
@_verb
def status(context: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """Say what this computer does for others, or why nothing, and until when."""
    from fallow.tray import local

    with local.LocalClient(_place(context, data_dir)) as client:
        found = client.status()
    from fallow.tray import told

    click.echo(told.as_json(found) if as_json else told.in_words(found))


@entry.command(epilog="\b\nExample:\n  tray doctor")
@_JSON
@_verb
def doctor(context: click.Context, data_dir: Path | None, as_json: bool) -> int:
    """Check what Fallow can do on this computer, and which sensors see you."""
    from fallow.tray import checkup

    findings = checkup.examine(_place(context, data_dir))
    click.echo(checkup.as_json(findings) if as_json else checkup.in_words(findings))
    return 0 if all(each.good for each in findings) else 1


def _ask(place: Path, request: Any, as_json: bool) -> None:
    from fallow.tray import local, told

    with local.LocalClient(place) as client:
        client.ask(request)
        found = client.status()
    click.echo(told.as_json(found) if as_json else told.headline(found))


def _pause_length(words: tuple[str, ...]) -> float | None:
    """Seconds, None for ever; UsageError for what is neither a duration nor a time of day."""
    return None if words in {(), ("forever",)} else _length("pause", words)


def _length(verb: str, words: tuple[str, ...]) -> float:
    """Seconds of `30m`, `until 18:30` or `until tomorrow`; UsageError for anything else."""
    import time

    from fallow.shared import units
    from fallow.tray import hours

    try:
        if words == ("until", "tomorrow"):
            return hours.until_tomorrow(time.time())
        if words[0] == "until":
            return hours.until(" ".join(words[1:]), time.time())
        text = "".join(words)
        if not text[-1:].isalpha():
            raise ValueError(f"{text!r} has no unit; write it like 90s, 2h30m or 1d")
        seconds = units.parse_duration(text)
    except ValueError as error:
        hint = f"tray {verb} 30m, or tray {verb} until 18:30"
        raise UsageError(str(error), hint=hint) from None
    if not seconds > 0:
        raise UsageError("That is no time at all", hint="to end what was asked: tray resume")
    return seconds


def main() -> None:
    """Run the verb of the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run one verb and return its exit code; errors are told on stderr."""
    return program.run(entry, "tray", args)
