"""How a coordinator is set up: its data folder, where it listens, what it tells newcomers.

Not the command line (`verbs.serve`), which is one of the two sources; `coordinator.toml` is the
other, and the command line wins.
"""

import difflib
import socket
import tomllib
from pathlib import Path

from msgspec import Struct

from fallow.shared.addresses import is_wildcard, join_address, split_address
from fallow.shared.errors import FallowError

FILE = "coordinator.toml"
DEFAULT_LISTEN = "tcp://127.0.0.1:8952"
_KEYS = {"listen", "advertise"}


class Settings(Struct, frozen=True, kw_only=True):
    """What `serve` needs to know; `advertise` is the host that invitations name, if not found."""

    data_dir: Path
    listen: str = DEFAULT_LISTEN
    advertise: str | None = None

    @property
    def results(self) -> Path:
        return self.data_dir / "results"

    @property
    def blobs(self) -> Path:
        return self.data_dir / "blobs"

    @property
    def keys(self) -> Path:
        return self.data_dir / "keys"


def load_settings(
    data_dir: Path, config: Path | None, listen: str | None, advertise: str | None
) -> Settings:
    """The settings of this data folder; None means that the command line did not say.

    FallowError names a key or value in the file that is wrong.
    """
    path = config if config is not None else data_dir / FILE
    said = _read(path, must_exist=config is not None)
    listen = listen or said.get("listen") or DEFAULT_LISTEN
    advertise = advertise or said.get("advertise")
    split_address(listen)
    if advertise is not None:
        split_address(join_address(advertise, 1))
    return Settings(data_dir=data_dir, listen=listen, advertise=advertise)


def advertised(settings: Settings, bound: str) -> tuple[str, ...]:
    """The addresses an invitation names for a coordinator that is bound to `bound`."""
    port = split_address(bound)[1]
    if settings.advertise is not None:
        return (join_address(settings.advertise, port),)
    if not is_wildcard(bound):
        return (bound,)
    hosts = dict.fromkeys((*_outward(), socket.gethostname()))
    return tuple(join_address(host, port) for host in hosts)


def _outward() -> list[str]:
    """This computer's own address on its way out; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return [str(probe.getsockname()[0])]
        except OSError:
            return []


def _read(path: Path, must_exist: bool) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            read = tomllib.load(file)
    except FileNotFoundError:
        if must_exist:
            raise FallowError(f"There is no file {path}") from None
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FallowError(f"{path} cannot be read", str(error)) from None
    for key, value in read.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            raise FallowError(
                f"{path}: there is no setting {key!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(_KEYS))}",
            )
        if not isinstance(value, str):
            raise FallowError(f"{path}: {key} must be a text in quotes")
    return read
