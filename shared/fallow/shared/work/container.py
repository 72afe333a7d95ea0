"""Running an apptainer image: which program does it, its command line, what the job sees inside.

Not wrapped in bubblewrap, since apptainer has a view of its own: the opposite is `sandbox`. Who
holds its processes is `containment`, as for any other run.
"""

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from msgspec import Struct

from fallow.shared.errors import FallowError
from fallow.shared.ids import relative_path_problem
from fallow.shared.messages import Container, JobSpec
from fallow.shared.paths import resolve_beneath
from fallow.shared.work import checkpoint
from fallow.shared.work.sandbox import PATH
from fallow.shared.work.staging import INPUT, OUTPUT, OWN
from fallow.shared.work.trees import copy_file, on_this_disk

CAPABILITY = "apptainer"
APP = "distribute"
MOUNTS = "mounts"
_IMAGE = "image.sif"
_PROGRAMS = ("apptainer", "singularity")
# A bind cannot name such a place, with whichever release of the program.
_UNBINDABLE = frozenset(':,\\"\n')


class Runtime(Struct, frozen=True):
    """The program that runs images here; `name` is what its variables begin with."""

    program: str

    @property
    def name(self) -> str:
        return os.path.basename(self.program).upper()


def find(path: str | None = None) -> Runtime | None:
    """apptainer where there is one, else singularity, else None; `path` as in PATH."""
    if path is None:
        path = f"{PATH}:{os.environ.get('PATH', '')}"
    for name in _PROGRAMS:
        program = shutil.which(name, path=path)
        if program is not None:
            return Runtime(program)
    return None


def find_or_refuse() -> Runtime:
    """The same; FallowError where there is none."""
    runtime = find()
    if runtime is None:
        raise FallowError(
            "this computer has neither apptainer nor singularity",
            "one of them is needed to run an image",
            "install apptainer",
        )
    return runtime


def image_in(scratch: Path) -> Path:
    """Where a run has its image: beside its work folder, where its job does not see it."""
    return scratch / _IMAGE


def place(
    work: Path, scratch: Path, job: JobSpec, action: Container, blob: Callable[[str], Path]
) -> None:
    """The image for this run, and the folders that it may write to; FallowError.

    A second name for what the cache has, so that an image of gigabytes is there once, and is not
    gone from under a run when the cache makes room.
    """
    image, source = image_in(scratch), blob(action.hash)
    with on_this_disk("placing an image", image):
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.link(source, image)
        except FileNotFoundError:
            raise FallowError(
                "the image is no longer in the cache of this workstation",
                f"{source} was there before",
                "the job will be started again; leave the agent's data folder to it",
            ) from None
        except OSError:
            # Another disk, or one that has no second names.
            copy_file(source, image, 0o600)
        for name in ("tmp", "var_tmp", "home"):
            (scratch / name).mkdir(mode=0o700, exist_ok=True)
        for number, mount in enumerate(action.mounts):
            if not mount.path:
                _own_folder(work, number).mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in _saved(job):
            resolve_beneath(work, each).mkdir(mode=0o700, parents=True, exist_ok=True)
        # Of the work folder the job sees only what is bound, so what it says of itself is there.
        (work / INPUT / OWN).mkdir(mode=0o700, exist_ok=True)
        (work / OWN).symlink_to(f"{INPUT}/{OWN}")


def words(
    runtime: Runtime, job: JobSpec, action: Container, work: Path, scratch: Path, *, nvidia: bool
) -> tuple[str, ...]:
    """The command line; FallowError where a place here cannot be bound.

    `nvidia`: the computer has a GPU that the option --nv is for.
    """
    binds = [_bind(work / OUTPUT, f"/{OUTPUT}", "rw"), _bind(work / INPUT, f"/{INPUT}", "rw")]
    for number, mount in enumerate(action.mounts):
        if mount.path:
            binds.append(_bind(Path(mount.path), mount.target, "ro"))
        else:
            binds.append(_bind(_own_folder(work, number), mount.target, "rw"))
    binds += [_bind(resolve_beneath(work, each), f"/{each}", "rw") for each in _saved(job)]
    graphics = ("--nv",) if nvidia else ()
    options = ("--app", APP, "--bind", ",".join(binds))
    return (runtime.program, "run", *graphics, *options, str(image_in(scratch)), *action.args)


def variables(
    runtime: Runtime,
    scratch: Path,
    env: Mapping[str, str],
    *,
    hidden: bool,
    network: bool,
    amd: bool = False,
) -> dict[str, str]:
    """What tells the program how much of this computer its job may see, beside its command line.

    `hidden`: neither the home of this account nor its /tmp, but empty ones on the disk. `env` is
    for the job alone: the program itself, which is outside, must not heed it.
    """
    found: dict[str, str] = {}
    if hidden:
        found |= {"CONTAIN": "true", "WORKDIR": str(scratch)}
        if os.geteuid() == 0:
            found["NO_PRIVS"] = "true"
    if not network:
        found |= {"NET": "true", "NETWORK": "none"}
    if amd:
        found["ROCM"] = "true"
    told = {f"{runtime.name}_{key}": value for key, value in found.items()}
    return told | {f"{runtime.name}ENV_{key}": value for key, value in env.items()}


def path_inside(relative: str) -> str:
    """How the job sees a place that is named relative to its work folder."""
    known = relative.split("/")[0]
    return f"/{INPUT}/{relative}" if known == OWN else f"/{relative}"


def check_mounts(action: Container, allowed: Collection[str], hidden: bool) -> None:
    """FallowError for a folder of this computer that its owner does not let jobs read."""
    for mount in action.mounts:
        if not mount.path or not hidden:
            continue
        real = os.path.realpath(mount.path)
        if not any(_lies_in(real, os.path.realpath(each)) for each in allowed):
            raise FallowError(
                f"this computer does not let jobs read {mount.path}",
                "the batch wants to see it inside its container",
                "its owner can name it under read_only in [jobs] of agent.toml",
            )


def _saved(job: JobSpec) -> tuple[str, ...]:
    """The folders that the job saves itself to and that it would not see without a bind."""
    if job.checkpoint is None:
        return ()
    folders = dict.fromkeys((*job.checkpoint.files, checkpoint.folder(job.checkpoint) + "/"))
    names = [each.rstrip("/") for each in folders if each.endswith("/")]
    return tuple(each for each in names if each.split("/")[0] not in {INPUT, OUTPUT})


def _own_folder(work: Path, number: int) -> Path:
    return work / MOUNTS / str(number)


def _bind(place: Path, target: str, mode: str) -> str:
    if not target.startswith("/") or relative_path_problem(target.strip("/")):
        raise FallowError(f"{target!r} is no place in a container", "the coordinator sent it")
    for text in (str(place), target):
        if _UNBINDABLE & set(text):
            raise FallowError(
                f"{text} cannot be bound into a container",
                "its name has a colon, a comma, a backslash or a quote in it",
                "give the agent a data folder with a plain name",
            )
    return f"{place}:{target}:{mode}"


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
