"""What processes hold of the computer's memory, against what they asked for.

Only what could not be had back by reading a file anew: a large file that is mapped costs nobody
anything. Not memory's limit by the kernel, which is that of a control group (`cgroup`).
"""

import os
from collections.abc import Collection, Iterator

_EACH = (b"RssAnon:", b"RssShmem:", b"VmSwap:")
_SHARED_OUT = (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")


def exceeds(most: int, pids: Collection[int], proc: int | None = None) -> bool:
    """Whether these hold more than `most` bytes, what several share counted once.

    `proc` is an open /proc other than ours. Costs some 20 µs for each process; when they are large,
    some milliseconds for each GiB.
    """
    # The sizes of each are quickly read, and more than all of them together are.
    if _sum("status", _EACH, pids, proc) <= most:
        return False
    return _sum("smaps_rollup", _SHARED_OUT, pids, proc) > most


def _sum(name: str, fields: tuple[bytes, ...], pids: Collection[int], proc: int | None) -> int:
    return sum(size for pid in pids for size in _sizes(pid, name, fields, proc))


def _sizes(pid: int, name: str, fields: tuple[bytes, ...], proc: int | None) -> Iterator[int]:
    """The bytes in these fields of a file of this process; nothing of one that is gone."""
    path = f"/proc/{pid}/{name}" if proc is None else f"{pid}/{name}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    except OSError:
        return
    with open(descriptor, "rb") as file:
        try:
            lines = file.readlines()
        except OSError:
            return
    for line in lines:
        if line.startswith(fields):
            yield int(line.split()[1]) * 1024
