"""When an agent may end that gives its jobs back: the session closes, or the computer shuts down.

Not the giving back (`workload` evicts, and what can save itself does) nor a plain stop, after which
jobs run on. Pure: the present comes in as an argument.
"""

from msgspec import Struct

from fallow.shared.moments import Moment
from fallow.shared.work import phases
from fallow.shared.work.workload import Workload

LONGEST = 60.0  # seconds; who shuts a computer down does not wait for ever
# What is done here before the agent may go: processes end, checkpoints are written and packed.
_BUSY = (
    *phases.WITH_A_PROCESS,
    phases.Starting,
    phases.Aborting,
    phases.Collecting,
)


class Farewell(Struct, frozen=True):
    """The agent is to end at `until` (boot-clock seconds), or sooner if all is done."""

    until: float


def begun(now: Moment, within: float = LONGEST) -> Farewell:
    """From now on, for so many seconds at most."""
    return Farewell(now.boot + min(within, LONGEST))


def over(farewell: Farewell, work: Workload, online: bool, now: Moment) -> bool:
    """Whether nothing more can be done here; with a coordinator, also what it is to have."""
    if now.boot >= farewell.until:
        return True
    for each in work.runs.values():
        if isinstance(each.phase, _BUSY):
            return False
        if online and isinstance(each.phase, phases.Spooled) and not each.phase.stored:
            return False
    return True
