"""A job for tests: 20 busy processes, ten deep, among them daemons that tried to get away.

    busy_tree.py SCORE

SCORE goes to oom_score_adj, which every process below inherits.
"""

import os
import signal
import sys
from collections.abc import Callable

MARK = sys.argv[1]


def busy() -> None:
    while True:
        pass


def child(work: Callable[[], object]) -> None:
    if os.fork() == 0:
        work()
        os._exit(0)


def nested(depth: int) -> None:
    if depth > 1:
        child(lambda: nested(depth - 1))
    busy()


def daemon() -> None:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 64)
    os.chdir("/")
    busy()


def daemon_with_an_empty_environment() -> None:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.execve(sys.executable, [sys.executable, "-c", "while True: pass"], {})


def ignorer() -> None:
    for number in (signal.SIGTSTP, signal.SIGTTOU, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    busy()


def own_group() -> None:
    os.setpgid(0, 0)
    busy()


with open("/proc/self/oom_score_adj", "w") as score:
    score.write(MARK)
child(lambda: nested(10))
child(daemon)
child(daemon_with_an_empty_environment)
child(ignorer)
child(own_group)
for _ in range(5):
    child(busy)
print("started", flush=True)
busy()
