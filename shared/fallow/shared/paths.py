"""The one door for names from outside into the file system: they stay below their folder.

Not which names are allowed (`ids` has the rules); this applies them, and follows no symbolic link
on the way. The opposite is `ids`, which never touches a disk.
"""

import contextlib
import os
import stat
from pathlib import Path

from fallow.shared.errors import FallowError
from fallow.shared.ids import alias_problem, name_problem, relative_path_problem


def safe_name(name: str) -> str:
    """The name itself if it can be one path part anywhere; FallowError says why not."""
    problem = name_problem(name)
    if problem:
        raise FallowError(f"The name {name!r} {problem}", hint="choose another name")
    return name


def safe_relative(path: str) -> str:
    """A path below its folder in its shortest POSIX form, for any system; FallowError otherwise."""
    short = path
    if not path.startswith("/"):
        short = "/".join(part for part in path.split("/") if part not in ("", "."))
    problem = alias_problem(short)
    if problem:
        raise FallowError(
            f"The path {path!r} {problem}",
            hint="write a path below the folder, with / between its parts",
        )
    return short


def resolve_beneath(root: Path, relative: str) -> Path:
    """The path below `root`, after a look that no part of it on disk is a symbolic link.

    FallowError when it would leave `root`. For a folder that others may change meanwhile,
    `open_beneath` is the safe way.
    """
    _refuse(relative)
    place = root
    for part in relative.split("/"):
        place = place / part
        if place.is_symlink():
            raise _leaves(relative, f"goes through the symbolic link {part!r}")
    return place


def open_beneath(
    root: Path,
    relative: str,
    flags: int = os.O_RDONLY,
    mode: int = 0o600,
    *,
    make_parents: bool = False,
) -> int:
    """A descriptor of the file below `root`; no symbolic link is followed, whoever changes what.

    FallowError when a link is in the way or the path leaves `root`; OSError as `os.open` has it.
    """
    _refuse(relative)
    *parents, last = relative.split("/")
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parents:
            if make_parents:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=folder)
            below = _open_plain(part, os.O_RDONLY | os.O_DIRECTORY, 0, folder, relative)
            os.close(folder)
            folder = below
        return _open_plain(last, flags, mode, folder, relative)
    finally:
        os.close(folder)


def _open_plain(part: str, flags: int, mode: int, folder: int, relative: str) -> int:
    try:
        return os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
    except OSError:
        if _is_link(part, folder):
            raise _leaves(relative, f"goes through the symbolic link {part!r}") from None
        raise


def _is_link(part: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(part, dir_fd=folder).st_mode)
    except OSError:
        return False


def _refuse(relative: str) -> None:
    problem = relative_path_problem(relative)
    if problem:
        raise _leaves(relative, problem)


def _leaves(relative: str, problem: str) -> FallowError:
    return FallowError(f"The path {relative!r} is refused", f"It {problem}.")
