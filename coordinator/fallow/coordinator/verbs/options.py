"""Options that many verbs take, in one wording.

Not verbs. The opposite is `fallow.coordinator.client`, which acts on what was chosen here.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def coordinator_option(function: F) -> F:
    """`--coordinator ADDR`; what stands before the verb holds unless it is said again."""

    def chosen(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
        return value if value is not None else context.obj

    return click.option(
        "--coordinator",
        metavar="ADDR",
        callback=chosen,
        help="A joined tcp:// address, or a local coordinator's data folder."
        " Else FALLOW_COORDINATOR, else the one last joined, else the local one.",
    )(function)


def json_option(function: F) -> F:
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object, for programs."
    )(function)


def since_option(help: str) -> Callable[[F], F]:
    """`--since WHEN`, as wall-clock seconds."""

    def seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        from fallow.shared.units import parse_duration

        try:
            return time.time() - parse_duration(value)
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError, OSError):
            raise click.BadParameter(
                f"{value!r} is neither a time ago (90m, 2h, 7d) nor a date (2026-11-22)"
            ) from None

    return click.option("--since", metavar="WHEN", callback=seconds, help=help)


def example(*lines: str) -> str:
    """The epilog of a verb's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)
