"""What this computer has: cores, memory, disk, compilers. Facts for what it may offer.

Not what its owner offers (`config` says that) and nothing that changes by the second.
"""

import contextlib
import os
import platform
import shutil
from pathlib import Path

from fallow.shared.ids import name_problem
from fallow.shared.work import container

KNOWN_PROGRAMS = ("cmake", "g++", "gcc", "gfortran", "make", "mpirun", "python3")
_CPUS = Path("/sys/devices/system/cpu")


def cores(cpus: Path = _CPUS) -> tuple[frozenset[int], ...]:
    """The cores this process may use, each with the numbers of its threads; at least one."""
    usable = os.sched_getaffinity(0)
    found: dict[str, set[int]] = {}
    for cpu in sorted(usable):
        try:
            name = (cpus / f"cpu{cpu}/topology/thread_siblings_list").read_text().strip()
        except OSError:
            return tuple(frozenset((each,)) for each in sorted(usable))
        found.setdefault(name, set()).add(cpu)
    return tuple(frozenset(each) for each in found.values())


def physical_cores(cpus: Path = _CPUS) -> int:
    """Cores this process may use, two threads of one core counted once; at least 1."""
    return len(cores(cpus))


def total_memory() -> int:
    """Bytes of memory of this computer."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def available_memory(facts: Path = Path("/proc/meminfo")) -> int:
    """Bytes that programs could still have without others being swapped out; all if unknown."""
    try:
        for line in facts.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return total_memory()


def free_disk(folder: Path) -> int:
    """Bytes that may still be written below this folder."""
    return shutil.disk_usage(folder).free


def used_disk(folder: Path) -> int:
    """Bytes on the disk that removing this folder would free; may take long.

    Files with another name elsewhere, such as inputs that are kept, do not count.
    """
    used = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                found = os.lstat(os.path.join(place, name))
                used += found.st_blocks * 512 if found.st_nlink == 1 else 0
    return used


def capabilities() -> tuple[str, ...]:
    """Which of the programs that batches commonly ask for are installed here."""
    found = tuple(name for name in KNOWN_PROGRAMS if shutil.which(name))
    return true_ones((*found, container.CAPABILITY))


def true_ones(words: tuple[str, ...]) -> tuple[str, ...]:
    """The same without `apptainer` where nothing can run an image: its jobs would all fail."""
    if container.CAPABILITY not in words or container.find() is not None:
        return words
    return tuple(word for word in words if word != container.CAPABILITY)


def host_name() -> str:
    """What this computer calls itself."""
    return platform.node() or "workstation"


def own_name() -> str:
    """The first part of that, where it can be a name among ours."""
    name = host_name().partition(".")[0]
    return name if name_problem(name) is None else "workstation"
