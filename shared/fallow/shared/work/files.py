"""A run's files on this computer before it starts: its folder, its work folder, what it says.

Not what it leaves behind (`spool`), the copying itself (`staging`), nor when it is done
(`workbench`). Slow: for the workshop's threads only. A run's folder holds:

    run.json      its record                    status*     from its wrapper
    work/         what the job sees             scratch/    its /tmp and home
    gpus          the names of those it has
    stdout.txt, stderr.txt

A build's folder holds build.json, work/ while it is built, tree/ when it is, and log.txt.
Outputs wait in the spool, one store of blobs for all runs.
"""

import errno
import logging
import os
import stat
from pathlib import Path

from fallow.shared.errors import FallowError
from fallow.shared.messages import Action, Container, JobSpec, Script
from fallow.shared.work import checkpoint, container, staging
from fallow.shared.work.trees import copy_tree, on_this_disk, remove_tree

log = logging.getLogger(__name__)

STATUS = "status"
GPUS = "gpus"
OWN = staging.OWN
PROGRESS = f"{OWN}/progress"
_KEPT = {"run.json", "build.json", "tree"}
_FEW = 8
_LITTLE = 1 << 17
_LONGEST_PROGRESS = 4096


def blobs_of(job: JobSpec) -> dict[str, int]:
    """All blobs that a run, and the build it may wait for, need: hash -> bytes."""
    wanted = {each.hash: each.size for each in (*job.shared, *job.inputs, *job.saved)}
    actions = [job.action] if job.build is None else [job.action, job.build.action]
    for action in actions:
        if isinstance(action, Script | Container):
            wanted[action.hash] = action.size
    return wanted


def needs_little(job: JobSpec) -> bool:
    """Whether its work folder is made in less time than another thread takes to wake up."""
    inputs = (*job.shared, *job.inputs, *job.saved)
    if isinstance(job.action, Container):
        return False
    return job.build is None and len(inputs) <= _FEW and sum(i.size for i in inputs) <= _LITTLE


def left_little(folder: Path) -> bool:
    """Whether the outputs of a run are hashed in less time than another thread takes to wake up."""
    sizes = []
    try:
        for name in ("stdout.txt", "stderr.txt"):
            sizes.append(os.stat(folder / name).st_size)
        with os.scandir(folder / "work" / staging.OUTPUT) as entries:
            for entry in entries:
                if not entry.is_file(follow_symlinks=False) or len(sizes) > _FEW:
                    return False
                sizes.append(entry.stat(follow_symlinks=False).st_size)
    except OSError:
        return False
    return sum(sizes) <= _LITTLE


def read_progress(work: Path) -> str | None:
    """The end of what the job wrote to FALLOW_PROGRESS, None when there is nothing to read."""
    try:
        descriptor = os.open(
            work / PROGRESS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except OSError:
        return None
    try:
        # A job may have made anything of it: a folder, a pipe that nobody writes into.
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return None
        begin = max(found.st_size - _LONGEST_PROGRESS, 0)
        return os.pread(descriptor, _LONGEST_PROGRESS, begin).decode(errors="replace")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def tail(place: Path, offset: int, limit: int) -> tuple[bytes, int, int] | None:
    """At most `limit` bytes of a file from `offset` (below 0: the last); their place; its size.

    None when there is no such file.
    """
    try:
        with place.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            offset = max(size - limit, 0) if offset < 0 else min(offset, size)
            file.seek(offset)
            return file.read(limit), offset, size
    except OSError:
        return None


def place_build(folder: Path, work: Path, job: JobSpec, blob: staging.Blob) -> None:
    """The work folder in which a batch is built; FallowError when it cannot be made."""
    assert job.build is not None
    _begin(folder, work)
    staging.make_work_folder(work)
    staging.place_shared(work, job.shared, blob)
    _finish(work, job, job.build.action, blob)


def place_run(
    folder: Path, work: Path, job: JobSpec, blob: staging.Blob, tree: Path | None
) -> None:
    """The work folder of a job, a copy of the batch's built `tree` if it has one; FallowError."""
    _begin(folder, work)
    shared = job.shared
    if tree is not None:
        copy_tree(tree, work)
        # What the build made of its inputs stays, since it may have built in among them.
        shared = tuple(each for each in shared if not os.path.lexists(work / "input" / each.path))
    staging.make_work_folder(work)
    staging.place_shared(work, shared, blob)
    staging.place_inputs(work, job.inputs, blob)
    if job.checkpoint is not None:
        staging.place_checkpoint(work, checkpoint.folder(job.checkpoint), job.saved, blob)
    if isinstance(job.action, Container):
        container.place(work, folder / "scratch", job, job.action, blob)
    else:
        _finish(work, job, job.action, blob)


def _begin(folder: Path, work: Path) -> None:
    """Whatever an agent that died left of an earlier try is in the way."""
    with on_this_disk("making a work folder", folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.scandir(folder) as entries:
            left = [entry.name for entry in entries if entry.name not in _KEPT]
        for name in left:
            remove_tree(folder / name)
        if work.parent != folder:
            remove_tree(work)


def _finish(work: Path, job: JobSpec, action: Action, blob: staging.Blob) -> None:
    if isinstance(action, Script):
        staging.place_script(work, action, blob)
    else:
        staging.link_at_top(work, (*job.shared, *job.inputs))
    with on_this_disk("making a work folder", work):
        (work / OWN).mkdir(mode=0o700, exist_ok=True)


def remove(place: Path) -> None:
    """Remove a folder and all in it; what cannot be is logged, and tried again at a start."""
    try:
        _remove_plain(str(place))
    except (OSError, RecursionError):
        # As odd as a job can make it: slower, and sure.
        try:
            remove_tree(place)
        except FallowError as error:
            log.warning("%s", error)


def _remove_plain(folder: str) -> None:
    """Few calls for the many folders that are empty; nothing runs there that could change it."""
    try:
        os.rmdir(folder)
        return
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
    with os.scandir(folder) as entries:
        found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for path, is_folder in found:
        if is_folder:
            _remove_plain(path)
        else:
            os.unlink(path)
    os.rmdir(folder)
