"""The loop on real sockets, descriptors, threads and signals."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from fallow.shared.clock import SystemClock
from fallow.shared.loop import Loop
from sockets.doors import Door
from waiting import wait_until


class Shell:
    """A loop that writes down what it was told and stops on request."""

    def __init__(self, stop_when: Callable[["Shell"], bool]) -> None:
        self.clock = SystemClock()
        self.events: list[str] = []
        self.turns = 0
        self.due: float | None = None
        self.stop_when = stop_when
        self.loop: Loop[str] = Loop(
            self.clock,
            on_event=self.events.append,
            on_turn=self.turn,
            deadline=lambda: self.due,
        )

    def turn(self) -> None:
        self.turns += 1
        if self.stop_when(self):
            self.loop.stop()


def test_posted_events_come_in_order_from_any_thread() -> None:
    shell = Shell(lambda shell: len(shell.events) == 3000)

    def post(name: str) -> None:
        for number in range(1000):
            shell.loop.post(f"{name}{number}")

    threads = [threading.Thread(target=post, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    shell.loop.run()
    for name in "abc":
        mine = [event for event in shell.events if event[0] == name]
        assert mine == [f"{name}{number}" for number in range(1000)]
    shell.loop.close()


def test_a_turn_comes_at_the_deadline_and_not_before() -> None:
    shell = Shell(lambda shell: shell.clock.now().boot >= (shell.due or 0))
    shell.due = shell.clock.now().boot + 0.2
    shell.loop.run()
    assert shell.clock.now().boot - shell.due < 0.15
    assert shell.turns <= 2
    shell.loop.close()


def test_sources_are_watched_and_forgotten(door: Door) -> None:
    _, visitor = door.friend()
    reader, writer = os.pipe()
    seen: list[object] = []
    shell = Shell(lambda _: len(seen) >= 2)
    shell.loop.watch(reader, lambda: seen.append(os.read(reader, 10)))
    shell.loop.watch(
        door.server,
        lambda: seen.extend(message.frames[0] for message in door.server.receive_all()),
    )
    visitor.send(b"socket", b"")
    os.write(writer, b"pipe")
    shell.loop.run()
    assert sorted(map(str, seen)) == ["b'pipe'", "b'socket'"]
    shell.loop.unwatch(reader)
    os.write(writer, b"unheard")
    seen.clear()
    again = Shell(lambda _: bool(seen))
    shell.loop.close()
    again.loop.watch(door.server, lambda: seen.append(door.server.receive_all()))
    visitor.send(b"more", b"")
    again.loop.run()
    assert len(seen) == 1
    again.loop.close()
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(number: int) -> None:
    shell = Shell(lambda _: False)

    def kill() -> None:
        wait_until(lambda: shell.turns, 5, "the first turn")
        os.kill(os.getpid(), number)

    killer = threading.Thread(target=kill)
    before = signal.getsignal(number)
    with shell.loop.stopped_by_signals():
        killer.start()
        start = time.monotonic()
        shell.loop.post("begin")
        shell.loop.run()
    assert time.monotonic() - start < 5
    assert signal.getsignal(number) is before
    killer.join()
    shell.loop.close()


def test_stop_before_run_means_no_turn() -> None:
    shell = Shell(lambda _: False)
    shell.loop.stop()
    shell.loop.run()
    assert shell.turns == 0
    shell.loop.close()
