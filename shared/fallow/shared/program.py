"""How a command of ours runs and ends: its log, its words, its exit code.

Not the verbs: each side's `cli` names them. Nobody ever sees a traceback: a FallowError is its own
words and exit code, anything else is a bug of ours and says so.
"""

import io
import logging
import os
import sys

import click

from fallow.shared.errors import FallowError


def run(entry: click.Command, name: str, args: list[str]) -> int:
    """Run one verb and return its exit code; errors are told on stderr."""
    set_up_logging()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal has no letters for is no reason to fail.
            stream.reconfigure(errors="replace")
    try:
        result = entry.main(args, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return 130
    except FallowError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has seen enough, as in `coordinator status | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _bug(error)
    return result if isinstance(result, int) else 0


def set_up_logging() -> None:
    """Logs go to stderr, one line each, from the level that FALLOW_LOG names."""
    level = os.environ.get("FALLOW_LOG", "warning").upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        level = "WARNING"
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )


def _bug(error: Exception) -> int:
    import traceback

    text = traceback.format_exc()
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        print(text, file=sys.stderr)
    place = _keep(text)
    print(
        f"error: this is a bug in Fallow ({type(error).__name__}: {error})\n"
        + (f"details for its authors are in {place}" if place else "FALLOW_LOG=debug shows more"),
        file=sys.stderr,
    )
    return 1


def _keep(text: str) -> str | None:
    import tempfile

    try:
        descriptor, path = tempfile.mkstemp(prefix="fallow-bug-", suffix=".txt")
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    except OSError:
        return None
    return path
