"""The words of a batch file: every key, who reads it, and what it becomes in `batch`.

Not the loading of a file (`batchfile`) nor what the words mean together (`checks`). A key is added
here, in one row, and as a field in `batch`; `batchschema` describes the same tables to editors.
"""

from typing import Any

from fallow.shared.aliases import Place
from fallow.shared.batch import (
    Apptainer,
    ApptainerInitialize,
    ApptainerJob,
    Batch,
    Checkpoint,
    Command,
    CommandInitialize,
    CommandJob,
    File,
    Limits,
    Line,
    Meta,
    OnFailure,
    OnLost,
    OnOwnerReturn,
    Python,
    PythonInitialize,
    PythonJob,
    Range,
    Resources,
    Scalar,
    Sweep,
)
from fallow.shared.reading import Choice, Made, Many, Reader, Shape, fail
from fallow.shared.sweeptable import read_table
from fallow.shared.yamlnodes import Node, is_mapping, is_null, is_scalar, is_sequence


def file(reader: Reader, node: Node, path: Place) -> File:
    """A path, or a path with an alias."""
    if is_mapping(node):
        found: File = reader.struct(FILE, node, path)
        return found
    return File(reader.text(node, path))


def mount(reader: Reader, node: Node, path: Place) -> File:
    """A place in a container, or a folder of the workstation with that place as its alias."""
    if is_mapping(node):
        found: File = reader.struct(MOUNT, node, path)
        return found
    return File(reader.text(node, path))


def command_line(reader: Reader, node: Node, path: Place) -> Line:
    """A shell line, or a program and its arguments."""
    if is_sequence(node):
        return Many(Reader.text)(reader, node, path)
    return reader.text(node, path)


def env(reader: Reader, node: Node, path: Place) -> dict[str, str]:
    """Variables with their texts."""
    pairs = reader.pairs(node, path)
    return {key: reader.text(value, (*path, key)) for key, _, value in pairs}


def slurm(reader: Reader, node: Node, path: Place) -> dict[str, Scalar]:
    """Options of sbatch, passed on as they are written; those without a value are left out."""
    pairs = [(key, value) for key, _, value in reader.pairs(node, path) if not is_null(value)]
    return {key: reader.word(value, (*path, key)) for key, value in pairs}


def row(reader: Reader, node: Node, path: Place) -> dict[str, Scalar]:
    """Values by name, of combinations to leave out."""
    pairs = reader.pairs(node, path)
    return {key: reader.value(value, (*path, key)) for key, _, value in pairs}


def values(reader: Reader, node: Node, path: Place) -> tuple[Scalar, ...] | Range:
    """What one name of a sweep goes through: a list, a range, or one value."""
    if is_mapping(node):
        steps: Range = reader.struct(RANGE, node, path)
        return steps
    if is_scalar(node):
        return (reader.value(node, path),)
    return Many(Reader.value)(reader, node, path)


def sweep(reader: Reader, node: Node, path: Place) -> Sweep:
    """Names with their values, beside the keys `zip`, `exclude` and `file`."""
    found: dict[str, tuple[Scalar, ...] | Range] = {}
    zipped: tuple[tuple[str, ...], ...] = ()
    exclude: tuple[dict[str, Scalar], ...] = ()
    for key, key_node, value in reader.pairs(node, path):
        here = (*path, key)
        if key == "zip":
            zipped += ZIP(reader, value, here)
        elif key == "exclude":
            exclude = EXCLUDE(reader, value, here)
        elif key == "file":
            columns = read_table(reader, value, here)
            for name in columns:
                if name in found:
                    fail(key_node, here, f"{name!r} is in the table and in the sweep")
            found |= columns
            zipped += (tuple(columns),)
        else:
            if key in found:
                fail(key_node, here, f"{key!r} is in the table and in the sweep")
            found[key] = values(reader, value, here)
    return Sweep(values=found, zip=zipped, exclude=exclude)


def _range(**found: Any) -> Range:
    return Range(start=found.pop("from"), **found)


_INPUTS = {"inputs": "required_files", "input": "required_files", "files": "required_files"}
_COMMANDS = {"command": "run", "cmd": "run", "args": "run", "environment": "env", **_INPUTS}
FILE = Shape(File, {"path": Reader.text, "alias": Reader.text}, ("path",))
FILES = Many(file)
MOUNT = Shape(File, {"path": Reader.text, "alias": Reader.text}, ("path",))
MOUNTS = Many(mount)
RANGE = Shape(
    _range,
    {
        "from": Reader.number,
        "to": Reader.number,
        "step": Reader.number,
        "count": Reader.whole,
        "scale": Choice(("linear", "log")),
    },
    ("from", "to"),
)
ZIP = Many(Many(Reader.text))
EXCLUDE = Many(row)
RESOURCES = Shape(
    Resources,
    {
        "cpus": Reader.whole,
        "memory": Reader.size,
        "gpus": Reader.whole,
        "disk": Reader.size,
    },
    others={"cores": "cpus", "threads": "cpus", "ntasks": "cpus", "ram": "memory"},
)
META = Shape(
    Meta,
    {
        "namespace": Reader.text,
        "batch_name": Reader.text,
        "capabilities": Many(Reader.text),
        "matrix": Reader.text,
    },
    ("namespace", "batch_name"),
    {"name": "batch_name", "project": "namespace", "tags": "capabilities"},
)
PYTHON_INITIALIZE = Shape(PythonInitialize, {"build_file": file, "required_files": FILES})
PYTHON_JOB = Shape(
    PythonJob,
    {"name": Reader.text, "file": file, "required_files": FILES, "slurm": slurm},
    ("name", "file"),
    {"script": "file", "run": "file", **_INPUTS},
)
PYTHON = Shape(
    Python,
    {"initialize": Made(PYTHON_INITIALIZE), "jobs": Many(Made(PYTHON_JOB))},
    ("jobs",),
)
APPTAINER_INITIALIZE = Shape(
    ApptainerInitialize,
    {"sif": file, "required_files": FILES, "required_mounts": MOUNTS},
    ("sif",),
    {"image": "sif", "container": "sif", "mounts": "required_mounts", "binds": "required_mounts"},
)
APPTAINER_JOB = Shape(
    ApptainerJob,
    {
        "name": Reader.text,
        "required_files": FILES,
        "required_mounts": MOUNTS,
        "slurm": slurm,
    },
    ("name",),
)
APPTAINER = Shape(
    Apptainer,
    {"initialize": Made(APPTAINER_INITIALIZE), "jobs": Many(Made(APPTAINER_JOB))},
    ("initialize", "jobs"),
)
COMMAND_INITIALIZE = Shape(CommandInitialize, {"run": command_line, "required_files": FILES})
COMMAND_JOB = Shape(
    CommandJob,
    {
        "name": Reader.text,
        "run": command_line,
        "env": env,
        "required_files": FILES,
        "resources": Made(RESOURCES),
        "slurm": slurm,
    },
    ("name",),
    _COMMANDS,
)
COMMAND = Shape(
    Command,
    {
        "initialize": Made(COMMAND_INITIALIZE),
        "run": command_line,
        "env": env,
        "required_files": FILES,
        "sweep": sweep,
        "name": Reader.text,
        "jobs": Many(Made(COMMAND_JOB)),
    },
    others={"parameters": "sweep", "params": "sweep", "grid": "sweep", **_COMMANDS},
)
LIMITS = Shape(
    Limits,
    {"run_time": Reader.duration},
    others={"time": "run_time", "timeout": "run_time", "walltime": "run_time"},
)
ON_FAILURE = Shape(OnFailure, {"retries": Reader.whole, "back_off": Reader.duration})
ON_OWNER_RETURN = Shape(
    OnOwnerReturn,
    {
        "do": Choice(("freeze", "evict")),
        "max_pause": Reader.duration,
        "then": Choice(("wait", "move")),
    },
)
CHECKPOINT = Shape(
    Checkpoint,
    {"signal": Reader.text, "grace": Reader.duration, "files": Many(Reader.text)},
)
ON_LOST = Shape(OnLost, {"after": Reader.duration, "then": Choice(("rerun", "wait"))})
BATCH = Shape(
    Batch,
    {
        "meta": Made(META),
        "python": Made(PYTHON),
        "apptainer": Made(APPTAINER),
        "command": Made(COMMAND),
        "resources": Made(RESOURCES),
        "limits": Made(LIMITS),
        "on_failure": Made(ON_FAILURE),
        "on_owner_return": Made(ON_OWNER_RETURN),
        "checkpoint": Made(CHECKPOINT),
        "on_lost": Made(ON_LOST),
        "priority": Choice(("low", "normal", "high")),
        "after": Many(Reader.text),
        "notify": Many(Reader.text),
        "slurm": slurm,
        "network": Reader.truth,
    },
    ("meta",),
    {
        "singularity": "apptainer",
        "docker": "apptainer",
        "timeout": "limits",
        "walltime": "limits",
        "time": "limits",
        "retries": "on_failure",
        "retry": "on_failure",
        "depends_on": "after",
        "dependencies": "after",
        "needs": "after",
    },
)
