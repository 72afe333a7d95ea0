"""How the owner of a computer wants jobs to run on it: a value, wherever it was written down.

Not the reading of it (an agent's `agent.toml`), nor when jobs may run at all.
"""

from typing import Literal

from msgspec import Struct


class Jobs(Struct, frozen=True):
    """How jobs run here.

    `max_pause` is the desk's own ceiling, in seconds, on how long a frozen job may keep its memory;
    None for no ceiling.
    """

    sandbox: Literal["auto", "bubblewrap", "none"] = "auto"
    read_only: tuple[str, ...] = ()
    nice: int = 19
    max_pause: float | None = None
