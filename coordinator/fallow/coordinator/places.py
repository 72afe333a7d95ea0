"""Where things of this account are: the local coordinator's data folder, joined coordinators.

Not what is in a data folder (`config` for the coordinator's own). Nothing here opens a connection.
The opposite is `client`, which goes to the place chosen here.
"""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from fallow.shared.account import joined_file
from fallow.shared.errors import FallowError

ENVIRONMENT = "FALLOW_COORDINATOR"


class Joined(Struct, frozen=True, kw_only=True):
    """A coordinator this account may talk to.

    `key` names the file of our key pair for it, `public` is its public half.
    """

    addresses: tuple[str, ...]
    server: str
    key: str
    name: str
    role: str
    public: str = ""


class JoinedList(Struct, frozen=True, kw_only=True):
    """All of them, the one in use first."""

    coordinators: tuple[Joined, ...] = ()


def default_data_dir() -> Path:
    """The data folder of this user's own coordinator."""
    import platformdirs

    return platformdirs.user_data_path("fallow") / "coordinator"


def load_joined() -> JoinedList:
    """The coordinators joined by this account; FallowError when the list is damaged."""
    path = joined_file()
    try:
        return msgspec.json.decode(path.read_bytes(), type=JoinedList)
    except FileNotFoundError:
        return JoinedList()
    except (OSError, msgspec.MsgspecError) as error:
        raise FallowError(
            f"The list of joined coordinators cannot be read: {path}",
            str(error),
            "remove the file and join again with: coordinator join TOKEN",
        ) from None


def save_joined(new: Joined) -> None:
    """Remember this coordinator as the one in use; FallowError when it cannot be written."""
    others = tuple(one for one in load_joined().coordinators if one.server != new.server)
    content = msgspec.json.format(msgspec.json.encode(JoinedList(coordinators=(new, *others))))
    path = joined_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        fresh.write_bytes(content + b"\n")
        fresh.replace(path)
    except OSError as error:
        raise FallowError(f"Cannot write {path}", str(error)) from None


def choose(wanted: str | None) -> Joined | Path:
    """The joined coordinator, or the local data folder, that a verb should talk to.

    `wanted` (from --coordinator), else FALLOW_COORDINATOR, else the joined one, else the local one.
    FallowError when a tcp:// address was never joined.
    """
    wanted = wanted or os.environ.get(ENVIRONMENT) or None
    if wanted is None:
        coordinators = load_joined().coordinators
        return coordinators[0] if coordinators else default_data_dir()
    if not wanted.startswith("tcp://"):
        return Path(wanted).expanduser()
    for one in load_joined().coordinators:
        if wanted in one.addresses:
            # The address that was asked for is tried first.
            rest = tuple(address for address in one.addresses if address != wanted)
            return msgspec.structs.replace(one, addresses=(wanted, *rest))
    raise FallowError(
        f"This account has not joined a coordinator at {wanted}",
        hint="ask for an invitation, then: coordinator join TOKEN",
    )
