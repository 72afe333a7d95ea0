"""Which release of Fallow this is.

Not a version of the wire: that is `messages.PROTOCOL`.
"""

import sys
from pathlib import Path


def installed_version() -> str:
    """As it was installed; read off a folder's name: importlib.metadata costs a megabyte."""
    for place in sys.path:
        for found in Path(place).glob("fallow-*.dist-info"):
            return found.name.removeprefix("fallow-").removesuffix(".dist-info")
    return "unknown"
