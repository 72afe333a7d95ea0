"""Threads for what takes long: copying, hashing, removing; in order for each run.

Not the decisions and not the files themselves; opposite: the loop, which never waits.
"""

import logging
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable

log = logging.getLogger(__name__)

Task = Callable[[], None]
_NICE = 10


class Workshop:
    """Tasks of one key are done one after the other, in the order they were given in."""

    def __init__(self, threads: int = 2) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, deque[Task]] = {}
        self._ready: queue.SimpleQueue[Hashable | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"files-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def do(self, key: Hashable, task: Task) -> None:
        """Have this done; it catches its own errors, and what it lets out is only logged."""
        with self._lock:
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.append(task)
                return
            self._waiting[key] = deque((task,))
        self._ready.put(key)

    def close(self, patience: float = 5.0) -> None:
        """Begin nothing new; wait so many seconds for what is being done."""
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join(patience)

    def _work(self) -> None:
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        except OSError:
            log.debug("the file threads keep their priority")
        while (key := self._ready.get()) is not None:
            with self._lock:
                task = self._waiting[key].popleft()
            try:
                task()
            except Exception:
                log.exception("a task of %s failed", key)
            with self._lock:
                if self._waiting[key]:
                    self._ready.put(key)
                else:
                    del self._waiting[key]
