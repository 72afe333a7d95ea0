"""A thread that asked to wake promptly, as the kernel tells of it."""

import os
import subprocess
import sys
import threading

from fallow.tray.promptness import wake_promptly

TELL = "import os; print(os.sched_getscheduler(0), os.nice(0))"


def test_only_the_thread_that_asks_is_prompt_and_nothing_that_it_starts() -> None:
    told: dict[str, object] = {}

    def ask() -> None:
        told["nice"] = os.nice(0)
        told["asked"] = wake_promptly()
        told["policy"] = os.sched_getscheduler(0)
        told["nice after"] = os.nice(0)
        told["child"] = subprocess.check_output((sys.executable, "-c", TELL), text=True).split()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert told["asked"] is True
    assert told["policy"] == os.SCHED_OTHER | os.SCHED_RESET_ON_FORK
    assert told["nice after"] == told["nice"]
    assert told["child"] == [str(os.SCHED_OTHER), str(told["nice"])]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_thread_of_another_policy_is_left_alone() -> None:
    told: dict[str, object] = {}

    def ask() -> None:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        told["asked"] = wake_promptly()
        told["policy"] = os.sched_getscheduler(0)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert told == {"asked": False, "policy": os.SCHED_BATCH}
