"""Where control groups are mounted and which one this process is in, as the kernel writes it."""

from pathlib import Path

import pytest

from fallow.shared.work.ground import mount_point, own_group

HYBRID = """\
31 24 0:27 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
40 31 0:37 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
"""
UNIFIED = "30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
ODD_PLACE = "30 24 0:26 / /mnt/a\\040b rw - cgroup2 none rw\n"
A_PART = "30 24 0:26 /kubepods/pod1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
ONLY_ONE = "40 31 0:37 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"


@pytest.mark.parametrize(
    ("table", "place"),
    [
        (HYBRID, Path("/sys/fs/cgroup/unified")),
        (UNIFIED, Path("/sys/fs/cgroup")),
        (ODD_PLACE, Path("/mnt/a b")),
        (A_PART, None),
        (ONLY_ONE, None),
        ("", None),
    ],
)
def test_the_mount_table(table: str, place: Path | None) -> None:
    assert mount_point(table) == place


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("0::/user.slice/user-1000.slice/a::b.scope\n", "/user.slice/user-1000.slice/a::b.scope"),
        ("8:pids:/\n1:name=systemd:/init.scope\n0::/\n", "/"),
        ("0::/../elsewhere\n", None),
        ("8:pids:/\n", None),
    ],
)
def test_the_own_group(text: str, group: str | None) -> None:
    assert own_group(text) == group
