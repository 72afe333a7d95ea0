"""How jobs are stopped and bounded on this computer, as its owner is told it.

Not the stopping (`work.containment`) nor the choice, which is made where each job is started: this
names it. Best first: a control group, a PID namespace, one process after the other.
"""

from typing import Literal

from fallow.shared.work.ground import Ground
from fallow.shared.work.sandbox import SandboxAbility
from fallow.tray.status import PausingStatus


def pausing(ability: SandboxAbility, ground: Ground) -> PausingStatus:
    """The way that jobs which start now are stopped, and what they are held to."""
    if ground.folder:
        bounds: tuple[Literal["memory", "pids"], ...] = ("memory", "pids")
        held = tuple(name for name in bounds if name in ground.controllers)
        return PausingStatus("cgroup", f"each job has a control group in {ground.folder}", held)
    if ability.kind == "bubblewrap":
        where = "each job has a PID namespace, in which its processes are stopped one by one"
        return PausingStatus("pid_namespace", f"{where} ({ground.why})")
    where = "each job's processes are looked for and stopped one by one"
    return PausingStatus("processes", f"{where} ({ground.why}; {ability.why})")
