"""`coordinator serve`: run the coordinator of a group.

Not the coordinator itself: that is `fallow.coordinator.server`.
"""

from pathlib import Path

import click

from fallow.coordinator.verbs.options import example
from fallow.shared.errors import FallowError


@click.command(
    epilog=example(
        "coordinator serve",
        "coordinator serve --listen tcp://0.0.0.0:8952 --advertise lab-server",
    )
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="D",
    help="Where everything is kept. Default: this user's data folder.",
)
@click.option(
    "--listen",
    metavar="tcp://HOST:PORT",
    help="Where to listen; the data socket takes the next port. 0.0.0.0 is every network,"
    " port 0 any free one. Default: tcp://127.0.0.1:8952.",
)
@click.option("--advertise", metavar="HOST", help="How workstations find this computer.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Settings. Default: coordinator.toml in the data folder.",
)
def serve(
    data_dir: Path | None, listen: str | None, advertise: str | None, config: Path | None
) -> None:
    """Run the coordinator of a group.

    It prints `ready ADDRESS` once it answers, and ends in good order on SIGTERM or Ctrl-C. What it
    knows is on disk: started again, it goes on where it was.
    """
    from fallow.coordinator.config import load_settings
    from fallow.coordinator.places import default_data_dir
    from fallow.coordinator.server import Server

    settings = load_settings((data_dir or default_data_dir()).absolute(), config, listen, advertise)
    try:
        Server(settings).run(lambda address: print(f"ready {address}", flush=True))
    except OSError as error:
        raise FallowError(
            f"The coordinator cannot use its data folder {settings.data_dir}",
            f"The system says: {error}.",
            "look whether the disk is full and the folder this user's, or choose another"
            " with --data-dir",
        ) from None
