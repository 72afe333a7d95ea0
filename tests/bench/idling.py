"""What a workstation with nothing to do costs its owner: memory and processor time.

Agent and tray share Python's and the system's libraries with each other and with the desktop: each
one's part of them is one figure, and all of them counted for each the other.
"""

import time
from collections.abc import Iterator

from bench.desk import desk
from bench.group import Group, cpu_seconds, memory
from bench.row import Row

SECONDS = 60.0
SETTLED = 10.0  # after which starting is over


def rows() -> Iterator[Row]:
    with Group() as group:
        group.serve()
        assert group.coordinator is not None
        with desk(group) as here:
            programs = {
                "agent": here.agent.pid,
                "tray": here.tray.pid,
                "coordinator": group.coordinator.pid,
            }
            time.sleep(SETTLED)
            before = {name: cpu_seconds(pid) for name, pid in programs.items()}
            began = time.monotonic()
            time.sleep(SECONDS)
            elapsed = time.monotonic() - began
            used = {
                name: 100 * (cpu_seconds(pid) - before[name]) / elapsed
                for name, pid in programs.items()
            }
            held = {name: memory(pid) for name, pid in programs.items()}
    for name, most, aim in (
        ("agent", 40.0, 35.0),
        ("tray", 70.0, 60.0),
        ("coordinator", None, None),
    ):
        resident, proportional = held[name]
        yield Row(
            name=f"idle {name}: memory, shared pages shared out",
            unit="MB",
            values=(proportional,),
            first=most,
            aim=aim,
        )
        yield Row(name="… counting them whole", unit="MB", values=(resident,), first=most)
        yield Row(
            name=f"idle {name}: processor",
            unit="%",
            values=(used[name],),
            first=None if most is None else 0.2,
            aim=None if most is None else 0.05,
        )
