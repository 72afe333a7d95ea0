"""A workstation's list of outputs, looked at before a folder is made of it.

Not the making (`results`): what is here is a name for a file, and may be anything.
"""

import re
from typing import Final

import msgspec

from fallow.coordinator.deposits import RECORD
from fallow.shared.ids import relative_path_problem
from fallow.shared.runs import Manifest, OutputFile

ATTEMPTS: Final = ".attempts"
_OURS = {RECORD, ATTEMPTS}
_HASH = re.compile(r"[0-9a-f]{64}")


class BadManifest(Exception):
    """A workstation listed outputs that cannot be a folder; the text says why."""


def checked(manifest: Manifest) -> Manifest:
    """The manifest with names that are ours moved aside; BadManifest when it is no folder."""
    files: list[OutputFile] = []
    for file in manifest.files:
        if not _HASH.fullmatch(file.hash) or file.size < 0:
            raise BadManifest(f"what {file.path!r} holds is no hash")
        files.append(msgspec.structs.replace(file, path=_aside(_sound(file.path))))
    folders = tuple(_aside(_sound(folder)) for folder in manifest.folders)
    leaves = {file.path for file in files}
    if len(leaves) != len(files):
        raise BadManifest("it lists a file twice")
    for path in (*leaves, *folders):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in leaves:
                raise BadManifest(f"{path!r} lies below a file")
    if leaves & set(folders):
        raise BadManifest("it lists a file and a folder of one name")
    return Manifest(tuple(files), folders, manifest.notes)


def _sound(path: str) -> str:
    problem = relative_path_problem(path)
    if problem:
        raise BadManifest(f"the output {path!r} {problem}")
    return path


def _aside(path: str) -> str:
    first, slash, rest = path.partition("/")
    return f"{first}.from_job{slash}{rest}" if first in _OURS else path
