"""What the agent's decisions go by as long as nobody changes the rules of this workstation.

Not the file that holds the rules (`config`), nor the finding out of what there is to offer
(`offering`). A value.
"""

from msgspec import Struct

from fallow.shared.messages import Resources
from fallow.tray.presence import Policy


class Settings(Struct, frozen=True):
    """The rules of one workstation.

    `in_place`: built trees cannot be bound at one constant path, so only one job of a batch with a
    build is here at a time. `unable` says why no job may run here at all, None when jobs may.
    `max_pause` is the desk's own ceiling, in seconds, on how long a frozen job keeps its memory.
    """

    host: str
    boot_id: str
    version: str
    resources: Resources
    policy: Policy = Policy()
    in_place: bool = False
    unable: str | None = None
    max_pause: float | None = None
