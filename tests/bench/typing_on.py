"""A person who goes on typing, and a thousand pauses: what that costs, and that nothing grows.

Not how fast a job stops: that is `stopping`. The person has had a job here before: the balloon that
tells of the first one, on a desktop with no service for that, loads fonts and 5 MB.
"""

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench.desk import Desk, desk
from bench.group import Group, NotMeasured, Program, cpu_seconds, memory, wait_for
from bench.row import Row
from fallow.tray.local import LocalClient, PauseFor, Resume, StatusIs, Subscribe

MINUTES = 10
TYPED_EVERY = 0.15
CYCLES = 1000
# What is loaded at its first use only is there by then.
WARM = 100
BATCH = """\
meta: {namespace: bench, batch_name: long}
command: {jobs: [{name: long, run: [sleep, '100000']}]}
"""


def rows() -> Iterator[Row]:
    with Group() as group:
        group.serve()
        kept = group.folder / "config" / "fallow" / "tray.json"
        kept.parent.mkdir(mode=0o700)
        kept.write_text('{"met": true}')
        with desk(group) as here:
            group.run("coordinator", "submit", str(group.write("long.yaml", BATCH)))
            folder = group.folder / "desk"
            wait_for(lambda: states(folder) == ("running", "running"), 30, "the job to run")
            try:
                yield from steady(here, folder)
                wait_for(lambda: states(folder) == ("running", "running"), 30, "the job to go on")
                yield from growth(here, folder)
            finally:
                group.run("coordinator", "kill", "long")
                with group.client() as client:
                    wait_for(lambda: not here.runs(client), 30, "the end of the job")


def states(folder: Path) -> tuple[str, str]:
    """What the agent says of the workstation and of its first run."""
    with LocalClient(folder) as agent:
        status = agent.status()
    return status.state, status.runs[0].state if status.runs else ""


def steady(here: Desk, folder: Path) -> Iterator[Row]:
    """Pauses and processor time in so many minutes of steady typing."""
    programs = (here.agent.pid, here.tray.pid)
    pauses, before = 0, "running"
    spent = sum(map(cpu_seconds, programs))
    began = time.monotonic()
    with LocalClient(folder) as agent:
        agent.send(Subscribe())
        while time.monotonic() - began < 60 * MINUTES:
            here.press()
            time.sleep(TYPED_EVERY)
            while (reply := agent.receive(0)) is not None:
                if isinstance(reply, StatusIs) and reply.status.runs:
                    now = reply.status.runs[0].state
                    pauses += now == "paused" and before != "paused"
                    before = now
    share = 100 * (sum(map(cpu_seconds, programs)) - spent) / (time.monotonic() - began)
    name = f"{MINUTES} minutes of steady typing"
    yield Row(name=f"{name}: pauses", unit="", values=(pauses,), first=1)
    yield Row(name=f"{name}: agent and tray together", unit="% of a core", values=(share,), first=1)


def growth(here: Desk, folder: Path) -> Iterator[Row]:
    """What agent and tray hold after many pauses, and how much more that is than after a few."""
    programs: dict[str, Program] = {"agent": here.agent, "tray": here.tray}
    early: dict[str, Held] = {}
    with LocalClient(folder) as agent:
        for cycle in itertools.count(1):
            agent.ask(PauseFor(None))
            wait_for(lambda: agent.status().runs[0].state == "paused", 30, "a pause", 0.001)
            agent.ask(Resume())
            wait_for(lambda: agent.status().runs[0].state == "running", 30, "its end", 0.001)
            if cycle == WARM:
                early = {name: Held(program.pid) for name, program in programs.items()}
            if cycle == CYCLES:
                break
    time.sleep(2.0)
    for name, program in programs.items():
        late, most = Held(program.pid), {"agent": 40.0, "tray": 70.0}[name]
        about = f"{name} after {CYCLES} pauses"
        yield Row(
            name=f"{about}: memory, shared pages shared out",
            unit="MB",
            values=(late.proportional,),
            first=most,
        )
        yield Row(name="… counting them whole", unit="MB", values=(late.resident,), first=most)
        yield Row(
            name=f"… more of it than after {WARM}",
            unit="MB",
            values=(late.resident - early[name].resident,),
            first=1.0,
        )
        yield Row(
            name="… more descriptors and threads",
            unit="",
            values=(late.others - early[name].others,),
            first=0,
        )


class Held:
    """What a process holds now: memory in MB; open descriptors and threads."""

    def __init__(self, pid: int) -> None:
        try:
            self.resident, self.proportional = memory(pid)
            self.others = len(os.listdir(f"/proc/{pid}/fd")) + len(os.listdir(f"/proc/{pid}/task"))
        except FileNotFoundError:
            raise NotMeasured("a program ended in the middle") from None
