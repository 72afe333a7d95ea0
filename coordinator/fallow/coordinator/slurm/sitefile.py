"""Reads a site file from disk.

Not what it means (`site`) nor how one is made (`detect`).
"""

import tomllib
from pathlib import Path

from fallow.coordinator.slurm.site import Site, parse
from fallow.shared.errors import FallowError


def load(path: Path) -> Site:
    """The site of this file; FallowError names what is wrong in it."""
    try:
        with path.open("rb") as file:
            read = tomllib.load(file)
    except OSError as error:
        raise FallowError(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}",
            hint="write one on a login node: coordinator export slurm --detect --site FILE",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FallowError(f"{path} is not TOML", str(error)) from None
    return parse(read, str(path))
