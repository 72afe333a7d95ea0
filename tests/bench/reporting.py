"""`coordinator report` over 10,000 jobs on 60 workstations: how long the whole command takes, how
large the page is, and for how long the coordinator answers nobody else meanwhile.
"""

import threading
import time
from collections.abc import Iterator

from bench.group import Group
from bench.row import Row, percentile
from fallow.coordinator.client import Client
from fallow.coordinator.records import EventRecord
from fallow.coordinator.store import NAME, Store
from fallow.shared.messages import Nodes, NodesReply
from sample_events import a_group_at_work

JOBS, DESKS = 10_000, 60
ROUNDS = 5


def rows() -> Iterator[Row]:
    with Group() as group:
        group.data.mkdir(mode=0o700)
        length = 60.0
        events = a_group_at_work(time.time() - 40 * 3600, JOBS, DESKS, length)
        with Store(group.data / NAME) as store:
            store.commit(
                EventRecord(
                    wall=each.wall,
                    kind=each.kind,
                    ref=each.ref,
                    node=each.node,
                    attempt=each.attempt,
                    text=each.text,
                    run_seconds=each.run_seconds,
                    paused_seconds=each.paused_seconds,
                )
                for each in events
            )
        group.serve()
        page = group.folder / "report.html"
        seconds = []
        answers: list[float] = []
        over = threading.Event()
        asking = threading.Thread(target=_ask, args=(group, answers, over))
        asking.start()
        try:
            for _ in range(ROUNDS):
                seconds.append(group.timed("coordinator", "report", "-o", str(page)))
        finally:
            over.set()
            asking.join()
        yield Row(
            name=f"report of {JOBS:,} jobs, whole command",
            unit="s",
            values=tuple(seconds),
            first=3.0,
        )
        yield Row(name="… its page", unit="MB", values=(page.stat().st_size / 1e6,), first=5.0)
        yield Row(
            name="… how long another question waits meanwhile, 99 of 100",
            unit="ms",
            values=(1000 * percentile(answers, 0.99),),
            first=None,
        )


def _ask(group: Group, answers: list[float], over: threading.Event) -> None:
    with Client(str(group.data)) as client:
        while not over.is_set():
            began = time.perf_counter()
            client.ask(Nodes(), NodesReply)
            answers.append(time.perf_counter() - began)
            over.wait(0.005)
