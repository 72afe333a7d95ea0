"""Beginning a local run: what this computer has for it, what of the batch does not hold here.

Not the run itself (`local_run`). Those who begin one are `verbs.run` and `python`.
"""

import functools
import getpass
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

from fallow.coordinator.local_home import default_parent
from fallow.coordinator.local_queue import Room, notes
from fallow.coordinator.local_run import LocalRun
from fallow.coordinator.local_words import Fact, Interrupted, Summary
from fallow.shared.batch import Batch
from fallow.shared.errors import FallowError
from fallow.shared.inputs import Gathered
from fallow.shared.jobspec import paths
from fallow.shared.sweep import Expansion
from fallow.shared.work import container, gpu_tools, machine
from fallow.shared.work.gpus import Gpu


def room_here(side_by_side: int | None = None) -> Room:
    """What this computer has for jobs."""
    cores, memory = machine.physical_cores(), machine.total_memory()
    return Room(cores, memory, side_by_side, len(gpus_here()))


@functools.cache
def gpus_here() -> tuple[Gpu, ...]:
    """Asked once: the vendors' tools are slow."""
    return gpu_tools.find()


def notes_here(batch: Batch, expansion: Expansion, folder: Path, output: Path) -> list[str]:
    """What of the batch does not hold here; FallowError where it cannot run at all.

    Its relative paths belong to `folder`, its results go below `output`.
    """
    if batch.apptainer is not None:
        container.find_or_refuse()
    tree = (output / batch.meta.namespace / batch.meta.batch_name).resolve()
    for path in paths(batch, expansion):
        place = (folder / Path(path).expanduser()).resolve()
        if tree.is_relative_to(place) and place.is_dir():
            raise FallowError(
                f"The results would go into {place}, which is an input of the batch",
                "The next time they would be inputs themselves.",
                "choose an --output outside of it, or name the files that jobs need",
            )
    return notes(batch, map(expansion.resources, range(len(expansion))), room_here())


def run_here(
    batch: Batch,
    expansion: Expansion,
    gathered: Gathered,
    output: Path,
    *,
    side_by_side: int | None = None,
    read_only: Iterable[Path] = (),
    tell: Callable[[Fact], None] = lambda fact: None,
    home: Path | None = None,
) -> Summary:
    """Run a batch that was checked and whose inputs were read; the results go below `output`.

    `read_only` are folders that jobs may read besides the system. Raises FallowError where this
    computer cannot, Interrupted after a signal.
    """
    room = room_here(side_by_side)
    where = default_parent() if home is None else home
    return LocalRun(
        *(batch, expansion, gathered, output),
        room=room,
        gpus=gpus_here(),
        visible=(*(str(each.absolute()) for each in read_only), *_mounts(batch)),
        owner=_owner(),
        home=where,
        tell=tell,
    ).run()


def pass_on(interrupted: Interrupted) -> None:
    """End this program as whoever sent the signal expects it."""
    if interrupted.number == signal.SIGINT:
        raise KeyboardInterrupt
    signal.signal(interrupted.number, signal.SIG_DFL)
    os.kill(os.getpid(), interrupted.number)


def _mounts(batch: Batch) -> tuple[str, ...]:
    """The folders of this computer that containers see: one's own batch may name any."""
    if batch.apptainer is None:
        return ()
    lists = [batch.apptainer.initialize.required_mounts]
    lists += [job.required_mounts for job in batch.apptainer.jobs]
    return tuple({each.path: None for mounts in lists for each in mounts if each.alias is not None})


def _owner() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "nobody"
