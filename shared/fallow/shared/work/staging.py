"""The work folder of a run before its program starts: inputs, scripts, the three known folders.

Not what comes out of it: that is `outputs`. A job may write to all it finds here, so nothing is
shared with the cache but blocks that the disk itself keeps apart.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from fallow.shared.errors import FallowError
from fallow.shared.ids import relative_path_problem
from fallow.shared.messages import Argv, Input, Script, Shell
from fallow.shared.paths import open_beneath, resolve_beneath
from fallow.shared.work.trees import copy_content, on_this_disk, remove_tree

INPUT = "input"
INITIAL = "initial_files"
OWN = ".fallow"
OUTPUT = "distribute_save"

Blob = Callable[[str], Path]
"""Where the agent's cache keeps the file of this hash; it is only read."""


def make_work_folder(work: Path) -> None:
    """The folder and the three known ones in it, where they are missing. Raises FallowError."""
    with on_this_disk("making a work folder", work):
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (INPUT, INITIAL, OUTPUT):
            (work / name).mkdir(mode=0o700, exist_ok=True)


def place_shared(work: Path, shared: Iterable[Input], blob: Blob) -> None:
    """The batch's inputs into `input/`, and by a second name into `initial_files/`.

    Slow: as long as the disk takes. Raises FallowError, as all of these do.
    """
    for each in shared:
        _place(work / INPUT, each, blob)
        target = _room(work / INITIAL, each.path)
        with on_this_disk("placing inputs", target):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.link(work / INPUT / each.path, target, follow_symlinks=False)


def place_inputs(work: Path, inputs: Iterable[Input], blob: Blob) -> None:
    """A job's own inputs into `input/`, in the place of the batch's where both have a name."""
    for each in inputs:
        _place(work / INPUT, each, blob)


def place_script(work: Path, script: Script, blob: Blob) -> None:
    """The Python file of a `python:` batch, executable, at the top of the work folder."""
    _place(work, Input(script.name, script.hash, script.size, executable=True), blob)


def place_checkpoint(work: Path, folder: str, saved: Iterable[Input], blob: Blob) -> None:
    """What an earlier attempt saved, at its old places in the work folder; and its `folder`.

    In the place of whatever inputs or a build have put there.
    """
    with on_this_disk("placing a checkpoint", work):
        for path in (*(each.path for each in saved), folder):
            top = work / path.partition("/")[0]
            if top.is_symlink():
                # A name for an input, which the build was given at the top.
                top.unlink()
        for each in saved:
            _place(work, each, blob)
        resolve_beneath(work, folder).mkdir(mode=0o700, parents=True, exist_ok=True)


def link_at_top(work: Path, inputs: Iterable[Input]) -> None:
    """Lets a command name its inputs without `input/`, where the top of the folder is free."""
    for name in sorted({each.path.partition("/")[0] for each in inputs}):
        place = work / name
        if not place.is_symlink() and not place.exists():
            with on_this_disk("placing inputs", place):
                place.symlink_to(f"{INPUT}/{name}")


def words_of(action: Shell | Argv | Script) -> tuple[str, ...]:
    """The program and arguments of an action, to be run in the work folder."""
    match action:
        case Shell(line):
            return ("/bin/sh", "-c", line)
        case Argv(words):
            return words
        case Script(name, _, _, args):
            return ("python3", f"./{name}", *args)


def _place(root: Path, each: Input, blob: Blob) -> None:
    source = blob(each.hash)
    target = _room(root, each.path)
    with on_this_disk("placing inputs", target):
        try:
            reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise FallowError(
                f"the input {each.path!r} is no longer in the cache of this workstation",
                f"{source} was there before",
                "the job will be started again; leave the agent's data folder to it",
            ) from None
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            writer = open_beneath(root, each.path, flags, 0o600, make_parents=True)
            try:
                copy_content(reader, writer)
                os.fchmod(writer, 0o755 if each.executable else 0o644)
            finally:
                os.close(writer)
        finally:
            os.close(reader)


def _room(root: Path, path: str) -> Path:
    """The place below `root`, with what a build or the batch had put there out of the way.

    Removed, not written over: the same file may have a second name.
    """
    problem = relative_path_problem(path)
    if problem:
        raise FallowError(f"The path {path!r} is refused", f"It {problem}.")
    above, _, name = path.rpartition("/")
    target = (resolve_beneath(root, above) if above else root) / name
    if target.is_symlink() or target.exists():
        remove_tree(target)
    return target
