"""What a workstation with nothing to do costs its owner: memory and processor time."""

import time
from collections.abc import Iterator

from bench.desk import desk
from bench.group import Group, cpu_seconds, memory
from bench.row import Row

SECONDS = 20.0


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
            before = {name: cpu_seconds(pid) for name, pid in programs.items()}
            began = time.monotonic()
            time.sleep(SECONDS)
            elapsed = time.monotonic() - began
            used = {
                name: 100 * (cpu_seconds(pid) - before[name]) / elapsed
                for name, pid in programs.items()
            }
            held = {name: memory(pid)[0] for name, pid in programs.items()}
    for name, most, aim in (
        ("agent", 40.0, 35.0),
        ("tray", 70.0, 60.0),
        ("coordinator", None, None),
    ):
        yield Row(name=f"idle {name}: memory", unit="MB", values=(held[name],), first=most, aim=aim)
        yield Row(
            name=f"idle {name}: processor",
            unit="%",
            values=(used[name],),
            first=None if most is None else 0.2,
            aim=None if most is None else 0.05,
        )
