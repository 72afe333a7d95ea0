"""Waiting for a condition in tests that use real processes, sockets and screens.

Not for pure code: that gets its time as an argument. The opposite is the manual clock in fakes.py.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout: float, what: str) -> T:
    """Returns the first true value of `predicate`, asked about every 5 ms for `timeout` seconds.

    Raises AssertionError naming `what` and the last value.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}; last seen: {value!r}")
        time.sleep(0.005)
