"""Copies and removes folders of files that a job may have made as odd as it liked.

Not which folders those are: that is `staging` and `outputs`. No symbolic link is ever followed.
"""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fallow.shared.errors import FallowError

_FICLONE = 0x40049409
_BLOCK = 1 << 24
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def on_this_disk(doing: str, path: Path) -> Iterator[None]:
    """Turns an OSError into a FallowError that names the place and whose disk it is."""
    try:
        yield
    except OSError as error:
        place = os.fsdecode(error.filename) if error.filename is not None else str(path)
        if error.errno in _FULL:
            raise FallowError(
                "the disk of this workstation is full",
                f"{doing}: {place}",
                "free some space on it, or give the agent another data folder",
            ) from error
        raise FallowError(
            f"this workstation could not finish {doing}",
            f"{os.strerror(error.errno or 0)}: {place}",
            "look at the permissions of the agent's data folder and at the health of its disk",
        ) from error


def copy_content(source: int, target: int) -> None:
    """The content of one open file into another, sharing the blocks where the disk can."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError as error:
        if error.errno in _FULL:
            raise
    with suppress(OSError):
        while os.copy_file_range(source, target, _BLOCK):
            pass
        if os.fstat(source).st_size == os.fstat(target).st_size:
            return
    # Not across every pair of file systems, and not on every kernel.
    os.lseek(source, 0, os.SEEK_SET)
    os.lseek(target, 0, os.SEEK_SET)
    os.ftruncate(target, 0)
    while block := os.read(source, _BLOCK):
        view = memoryview(block)
        while view:
            view = view[os.write(target, view) :]


def copy_file(source: Path, target: Path, mode: int) -> None:
    """A new file of this mode with the same content; FileExistsError if there is one."""
    reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        writer = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            copy_content(reader, writer)
            os.fchmod(writer, mode)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def copy_tree(source: Path, into: Path) -> None:
    """A copy with modes, times, links and hard links as they are; into a new or empty folder.

    Sockets, pipes and devices are left out. Slow: as long as the disk takes. Raises FallowError.
    """
    with on_this_disk("copying a built folder", into):
        into.mkdir(mode=0o700, exist_ok=True)
        linked: dict[tuple[int, int], Path] = {}
        folders = [(source, into)]
        for folder, copy in folders:
            with os.scandir(folder) as entries:
                for entry in entries:
                    target = copy / entry.name
                    info = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(info.st_mode):
                        target.mkdir(mode=0o700)
                        folders.append((Path(entry.path), target))
                    elif stat.S_ISLNK(info.st_mode):
                        os.symlink(os.readlink(entry.path), target)
                        _same_times(info, target)
                    elif stat.S_ISREG(info.st_mode):
                        first = linked.setdefault((info.st_dev, info.st_ino), target)
                        if info.st_nlink > 1 and first != target:
                            os.link(first, target)
                        else:
                            copy_file(Path(entry.path), target, stat.S_IMODE(info.st_mode))
                            _same_times(info, target)
        # Last and from below, since what is put into a folder changes its time.
        for folder, copy in reversed(folders):
            info = folder.lstat()
            copy.chmod(stat.S_IMODE(info.st_mode) | 0o700)
            _same_times(info, copy)


def _same_times(info: os.stat_result, target: Path) -> None:
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def remove_tree(path: Path) -> None:
    """Removes a folder with all in it, or a file; no error when it is not there.

    Whatever modes and however deep. Raises FallowError when something of it cannot be removed.
    """
    with on_this_disk("removing a folder", path):
        try:
            info = path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(info.st_mode):
            path.unlink()
            return
        try:
            shutil.rmtree(path)
        except (OSError, RecursionError):
            _flatten(path)


def _flatten(root: Path) -> None:
    """Brings every folder up to the top, where no name is too long, and empties it there."""
    device = root.lstat().st_dev
    serial = 0
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    os.chmod(f"/proc/self/fd/{top}", 0o700)
    os.close(top)
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    waiting = [os.curdir]
    try:
        while waiting:
            name = waiting.pop()
            folder = os.open(
                name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top
            )
            try:
                for entry in os.listdir(folder):
                    info = os.lstat(entry, dir_fd=folder)
                    if not stat.S_ISDIR(info.st_mode):
                        os.unlink(entry, dir_fd=folder)
                        continue
                    if info.st_dev != device:
                        raise OSError(errno.EXDEV, "another file system is mounted there", entry)
                    _make_ours(entry, folder)
                    serial += 1
                    # A space at its end: a job's own top folders must not be in the way.
                    up = f".removing-{os.getpid()}-{serial} "
                    os.rename(entry, up, src_dir_fd=folder, dst_dir_fd=top)
                    waiting.append(up)
            finally:
                os.close(folder)
            if name != os.curdir:
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    root.rmdir()


def _make_ours(name: str, folder: int) -> None:
    """Takes every right to a folder that its maker may have given up."""
    place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.chmod(f"/proc/self/fd/{place}", 0o700)
    finally:
        os.close(place)
