"""Whether this computer is being shut down or started anew, by systemd-logind: a question, once.

Not a sensor: nobody looks at it again and again. Whoever is told to end asks why.
"""

import logging

from fallow.tray.sensors.bus import Bus
from fallow.tray.sensors.logind import PATH, PROPERTIES, SERVICE

log = logging.getLogger(__name__)


def shutting_down(address: str | None = None) -> bool:
    """Whether logind says so; no answer within half a second is a no."""
    bus = Bus("system", address)
    try:
        bus.turn()
        (preparing,) = bus.ask(
            *(SERVICE, PATH, f"{PROPERTIES}.Get", "ss"),
            *(f"{SERVICE}.Manager", "PreparingForShutdown"),
        )
    except Exception as error:
        log.debug("logind does not say whether the computer shuts down: %s", error)
        return False
    finally:
        bus.hang_up()
    return bool(preparing)
