"""The real clock counts like the kernel's, and the boot keeps its name."""

import time

from fallow.shared.clock import SystemClock, boot_id


def test_now_lies_between_two_looks_at_the_kernels_clocks() -> None:
    boot, wall = time.clock_gettime(time.CLOCK_BOOTTIME), time.time()
    now = SystemClock().now()
    assert boot <= now.boot <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert wall <= now.wall <= time.time()


def test_the_boot_keeps_its_name() -> None:
    assert boot_id() == boot_id() != ""
