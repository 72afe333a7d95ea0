"""What a workstation offers and what it is given to do: values inside other messages.

Not the messages that carry them (`workstation`), nor the batch as its author wrote it (`batch`).
"""

from typing import TypeAlias

from msgspec import Struct

from fallow.shared.batch import Checkpoint, OnOwnerReturn


class Resources(Struct, frozen=True):
    """What a workstation offers: physical cores, bytes of memory, bytes of disk, words.

    `not_from` are people whose jobs it does not run.
    """

    cpus: int
    memory: int
    gpus: int = 0
    disk: int = 0
    capabilities: tuple[str, ...] = ()
    not_from: tuple[str, ...] = ()


class Input(Struct, frozen=True):
    """One input file: its place below `input/`, SHA-256 in hex, bytes."""

    path: str
    hash: str
    size: int
    executable: bool = False


class Shell(Struct, frozen=True, tag="shell"):
    """A line for `sh -c`; values in it are already quoted."""

    line: str


class Argv(Struct, frozen=True, tag="argv"):
    """A program and its arguments, no shell."""

    words: tuple[str, ...]


class Script(Struct, frozen=True, tag="script"):
    """A Python file placed in the work folder as `name` and run as `python3 ./name args…`."""

    name: str
    hash: str
    size: int
    args: tuple[str, ...] = ()


class Mount(Struct, frozen=True):
    """A folder that a container sees besides its own: where it is, and where it is seen.

    `path` is a folder of the workstation, to read only; empty for a new one to write to.
    """

    path: str
    target: str


class Container(Struct, frozen=True, tag="container"):
    """An apptainer image, itself a blob, run with its app `distribute` and these arguments."""

    hash: str
    size: int
    args: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()


Action: TypeAlias = Shell | Argv | Script | Container


class BuildSpec(Struct, frozen=True):
    """What is run once per batch and workstation; `key` changes whenever action or inputs do."""

    key: str
    action: Action
    env: dict[str, str] = {}


class JobSpec(Struct, frozen=True):
    """All a workstation needs to run one job.

    `shared` are the batch's inputs (for the build too), `inputs` the job's own; where both have a
    path, the job's wins. `memory` is bytes or None for all. `grace` is seconds between SIGTERM and
    SIGKILL when it is withdrawn. Without `network` neither it nor its build may use any.
    `disk` is bytes that its work folder may need, `run_time` the running seconds after which it has
    failed, None without a limit. `saved` is what an evicted attempt left as its checkpoint: places
    in the work folder.
    """

    namespace: str
    batch: str
    job: str
    owner: str
    action: Action
    cpus: int
    memory: int | None = None
    build: BuildSpec | None = None
    env: dict[str, str] = {}
    shared: tuple[Input, ...] = ()
    inputs: tuple[Input, ...] = ()
    grace: float = 10.0
    network: bool = True
    gpus: int = 0
    disk: int | None = None
    run_time: float | None = None
    on_owner_return: OnOwnerReturn = OnOwnerReturn()
    checkpoint: Checkpoint | None = None
    saved: tuple[Input, ...] = ()
