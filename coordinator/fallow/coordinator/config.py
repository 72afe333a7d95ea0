"""How a coordinator is set up: its data folder, where it listens, what it tells newcomers.

Not the command line (`verbs.serve`), which is one of the two sources; `coordinator.toml` is the
other, and the command line wins.
"""

import difflib
import socket
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from fallow.coordinator.couriers import Homeserver
from fallow.coordinator.telling import Ways
from fallow.shared.addresses import is_wildcard, join_address, split_address
from fallow.shared.errors import FallowError

FILE = "coordinator.toml"
DEFAULT_LISTEN = "tcp://127.0.0.1:8952"
_KEYS = {"listen", "advertise", "matrix", "webhooks"}
_MATRIX = {"homeserver", "token", "token_file"}
_WEBHOOKS = {"hosts"}


class Settings(Struct, frozen=True, kw_only=True):
    """What `serve` needs to know; `advertise` is the host that invitations name, if not found.

    `homeserver` is the Matrix account that tells of ended batches, `hosts` those to which webhooks
    may be sent (None: any).
    """

    data_dir: Path
    listen: str = DEFAULT_LISTEN
    advertise: str | None = None
    homeserver: Homeserver | None = None
    hosts: tuple[str, ...] | None = None

    @property
    def ways(self) -> Ways:
        """To whom messages about ended batches can be sent."""
        return Ways(self.homeserver is not None, self.hosts)

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
    listen = listen or _text(path, said, "listen") or DEFAULT_LISTEN
    advertise = advertise or _text(path, said, "advertise")
    homeserver = _homeserver(path, _section(path, said, "matrix", _MATRIX))
    hosts = _hosts(path, _section(path, said, "webhooks", _WEBHOOKS))
    split_address(listen)
    if advertise is not None:
        split_address(join_address(advertise, 1))
    return Settings(
        data_dir=data_dir,
        listen=listen,
        advertise=advertise,
        homeserver=homeserver,
        hosts=hosts,
    )


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


def _read(path: Path, must_exist: bool) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            read = tomllib.load(file)
    except FileNotFoundError:
        if must_exist:
            raise FallowError(f"There is no file {path}") from None
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FallowError(f"{path} cannot be read", str(error)) from None
    _refuse_unknown(path, read, _KEYS, "")
    return read


def _refuse_unknown(path: Path, read: dict[str, Any], known: set[str], section: str) -> None:
    for key in read:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            where = f"[{section}] " if section else ""
            raise FallowError(
                f"{path}: there is no setting {where}{key!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}",
            )


def _section(path: Path, read: dict[str, Any], name: str, known: set[str]) -> dict[str, Any]:
    section = read.get(name, {})
    if not isinstance(section, dict):
        raise FallowError(f"{path}: {name} must be a section, [{name}]")
    _refuse_unknown(path, section, known, name)
    return section


def _text(path: Path, read: dict[str, Any], key: str) -> str | None:
    value = read.get(key)
    if value is not None and not isinstance(value, str):
        raise FallowError(f"{path}: {key} must be a text in quotes")
    return value


def _homeserver(path: Path, section: dict[str, Any]) -> Homeserver | None:
    """The [matrix] section; the token may be in a file of its own, beside this one."""
    if not section:
        return None
    address, token = _text(path, section, "homeserver") or "", _text(path, section, "token")
    parts = urlsplit(address)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not parts.hostname or parts.scheme not in ("https", *(("http",) if local else ())):
        raise FallowError(
            f"{path}: [matrix] homeserver must be an https:// address",
            hint='for example homeserver = "https://matrix.example.org"',
        )
    token_file = _text(path, section, "token_file")
    if (token is None) == (token_file is None):
        raise FallowError(f"{path}: [matrix] needs either token or token_file")
    if token_file is not None:
        place = path.parent / Path(token_file).expanduser()
        try:
            token = place.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise FallowError(f"The Matrix token cannot be read from {place}", str(error)) from None
    if not token or not token.isprintable() or " " in token:
        raise FallowError(f"{path}: that is no token for [matrix]")
    return Homeserver(address, token)


def _hosts(path: Path, section: dict[str, Any]) -> tuple[str, ...] | None:
    hosts = section.get("hosts")
    if hosts is None:
        return None
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise FallowError(
            f"{path}: [webhooks] hosts must be a list of names",
            hint='for example hosts = ["hooks.example.org"]; an empty list allows none',
        )
    return tuple(hosts)
