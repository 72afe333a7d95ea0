"""What must hold of a batch of containers: its image, its mounts, where it saves itself.

Not the running of one (`work.container`). `checks` asks here, as of the other kinds of batch.
"""

from collections.abc import Sequence
from typing import Final

from fallow.shared.aliases import Aliases, Place, alias_of, check_path, check_text
from fallow.shared.batch import Apptainer, Checkpoint, File
from fallow.shared.errors import BatchError, Mistakes
from fallow.shared.ids import relative_path_problem
from fallow.shared.jobnames import check_names
from fallow.shared.terms import check_slurm

_WITHIN: Final = ("/distribute_save", "/input")


def check_apptainer(apptainer: Apptainer, checkpoint: Checkpoint | None) -> None:
    """BatchError for what cannot be."""
    place = ("apptainer",)
    initialize = (*place, "initialize")
    if not apptainer.jobs:
        raise BatchError("There are no jobs", hint="add at least one below `jobs`", path=place)
    mistakes, aliases, initial = Mistakes(), Aliases(), None
    saved: tuple[str, ...] = ()
    names = (job.name for job in apptainer.jobs)
    with mistakes:
        check_names(names, lambda index: (*place, "jobs", index, "name"))
    with mistakes:
        check_path(apptainer.initialize.sif, (*initialize, "sif"))
    with mistakes:
        initial = aliases.add(initialize, apptainer.initialize.required_files)
        _refuse_own(apptainer.initialize.required_files, initialize)
    with mistakes:
        saved = _seen_checkpoint(checkpoint) if checkpoint is not None else ()
    mounted = saved
    with mistakes:
        mounted = _check_mounts(apptainer.initialize.required_mounts, initialize, saved)
    for index, job in enumerate(apptainer.jobs):
        here = (*place, "jobs", index)
        with mistakes:
            aliases.add(here, job.required_files, initial)
            _refuse_own(job.required_files, here)
        with mistakes:
            _check_mounts(job.required_mounts, here, mounted)
        with mistakes:
            check_slurm(job.slurm, (*here, "slurm"))
    mistakes.tell()


def _refuse_own(files: Sequence[File], above: Place) -> None:
    """Where a container finds what Fallow tells it, among its inputs."""
    for number, file in enumerate(files):
        if alias_of(file).split("/")[0] == ".fallow":
            raise BatchError(
                "An input of a container cannot be called .fallow",
                hint="give it another alias",
                path=(*above, "required_files", number),
            )


def _seen_checkpoint(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The places in a container at which it sees the folders that it saves itself to."""
    found = []
    for number, name in enumerate(checkpoint.files):
        place = f"/{name.rstrip('/')}"
        if any(place.startswith(f"{known}/") for known in _WITHIN):
            continue
        if not name.endswith("/"):
            raise BatchError(
                f"A container does not see {name!r}",
                "Of its work folder it sees input/, distribute_save/ and the folders named here.",
                f"name a folder, {name}/ or one around it, or a place below distribute_save/",
                path=("checkpoint", "files", number),
            )
        found.append(place)
    return tuple(found)


def _check_mounts(
    mounts: Sequence[File], above: Place, mounted: tuple[str, ...]
) -> tuple[str, ...]:
    """The places of a container that are taken once these are mounted too."""
    for number, mount in enumerate(mounts):
        place = (*above, "required_mounts", number)
        for text in (mount.path, mount.alias or mount.path):
            _check_mount(text, place)
        target = (mount.alias or mount.path).rstrip("/")
        for taken in (*_WITHIN, *mounted):
            if target == taken:
                raise BatchError(f"{target} is mounted already", path=place)
            if target.startswith(f"{taken}/") or taken.startswith(f"{target}/"):
                raise BatchError(f"{target} and {taken} would lie in each other", path=place)
        mounted = (*mounted, target)
    return mounted


def _check_mount(path: str, place: Place) -> None:
    check_text(path, place)
    hint = "write it as the container sees it, for example /output"
    if not path.startswith("/"):
        raise BatchError(f"{path!r} is no absolute path", hint=hint, path=place)
    if not path.strip("/"):
        raise BatchError(f"{path!r} is the whole container", hint=hint, path=place)
    problem = relative_path_problem(path.strip("/"))
    if problem:
        raise BatchError(f"{path!r} {problem}", hint=hint, path=place)
    for char in path:
        if char in ":,\\" or ord(char) < 32 or ord(char) == 127:
            raise BatchError(f"{path!r} contains {char!a}, which a mount cannot have", path=place)
