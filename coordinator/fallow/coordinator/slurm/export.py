"""Writes an exported batch: one folder that can be copied anywhere and holds all it needs.

Not its texts (`script`) nor what becomes of them on the cluster (`scripts/`). The opposite is
`collect`, which reads such a folder when jobs have run in it. The folder holds:

    README                      submit.sh status.sh cancel.sh upload.sh download.sh
    manifest.json               the batch, for `coordinator collect`
    plan.sh folder.sh job.sh tasks/    what these and the jobs read
    class1.sbatch … build.sbatch    what sbatch is given
    inputs/ 000001 …            each input once, a file or a folder
    files.sha256 executable     what belongs to a whole copy
    submitted/ runs/ build/ logs/   what happens on the cluster
    results/                    what `coordinator collect` makes of it
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import msgspec
from msgspec import Struct

from fallow.coordinator.slurm import script
from fallow.coordinator.slurm.classes import classify
from fallow.coordinator.slurm.readme import readme
from fallow.coordinator.slurm.script import Exported, has_build
from fallow.coordinator.slurm.site import Site, nearest
from fallow.shared.batch import Batch
from fallow.shared.errors import FallowError, Refused
from fallow.shared.jobspec import paths
from fallow.shared.messages import Content
from fallow.shared.sweep import Expansion
from fallow.shared.units import format_size

MANIFEST = "manifest.json"
SCHEMA = 1
_NAME_IT = "name the folder that `coordinator export slurm` made"
PROGRAMS = ("submit.sh", "status.sh", "cancel.sh", "upload.sh", "download.sh")
_READ_BY_THEM = ("folder.sh", "job.sh")
_FOLDERS = ("submitted", "runs", "logs", "tasks", "inputs")
_BLOCK = 1 << 20


class Origin(Struct, frozen=True):
    """The batch of a coordinator that was exported, by its uid, and its jobs' next attempts."""

    uid: str
    coordinator: str
    attempts: dict[int, int] = {}


class FolderManifest(Struct, frozen=True, kw_only=True):
    """What `collect` must know of the batch; `jobs` are those exported, None for all."""

    schema: int
    id: str
    owner: str
    batch: Batch
    contents: dict[str, tuple[Content, ...]]
    jobs: tuple[int, ...] | None = None
    origin: Origin | None = None


class Written(Struct, frozen=True):
    """What was written, for the person who asked."""

    jobs: int
    classes: int
    size: int
    warnings: tuple[str, ...]


def write(
    manifest: FolderManifest,
    expansion: Expansion,
    files: Mapping[str, Path],
    site: Site,
    folder: Path,
) -> Written:
    """Make `folder`, which must be new or empty; FallowError when it cannot be made.

    `files` has a real file for every hash of the manifest's contents. A folder that could not be
    finished is removed.
    """
    exported = check(manifest, expansion, site)
    _make_empty(folder)
    try:
        return _fill(exported, manifest, expansion, files, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def check(manifest: FolderManifest, expansion: Expansion, site: Site) -> Exported:
    """What would be exported; FallowError where the batch cannot be, or no node could run it."""
    batch = manifest.batch
    classes = classify(batch, expansion, site, with_build=has_build(batch), jobs=manifest.jobs)
    exported = Exported(id=manifest.id, batch=batch, site=site, classes=classes)
    _refuse_unmeetable(exported)
    return exported


def _fill(
    exported: Exported,
    manifest: FolderManifest,
    expansion: Expansion,
    files: Mapping[str, Path],
    folder: Path,
) -> Written:
    listing = _Listing(folder)
    numbers: dict[str, str] = {}
    for number, path in enumerate(paths(exported.batch, expansion), start=1):
        numbers[path] = f"{number:06}"
        listing.input(f"inputs/{number:06}", manifest.contents[path], files)
    for place, text in script.texts(exported, expansion, numbers).items():
        listing.text(place, text, executable=False)
    programs = resources.files("fallow.coordinator.slurm") / "scripts"
    for name in (*PROGRAMS, *_READ_BY_THEM):
        listing.text(name, (programs / name).read_text(), executable=name in PROGRAMS)
    listing.text("README", readme(exported), executable=False)
    listing.data(MANIFEST, msgspec.json.encode(manifest), executable=False)
    listing.finish()
    jobs = sum(len(each.jobs) for each in exported.classes.jobs)
    warnings = (*exported.classes.warnings, *_warnings(exported.batch))
    return Written(jobs, len(exported.classes.jobs), listing.size, warnings)


def read_manifest(folder: Path) -> FolderManifest:
    """What an exported folder says it is; FallowError when it is none."""
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise _no_export(folder, error) from None
    try:
        found = msgspec.json.decode(data, type=FolderManifest)
    except msgspec.MsgspecError as error:
        raise FallowError(
            f"{folder / MANIFEST} is not what an export writes",
            f"{error}.",
            f"{_NAME_IT}; if it is that one, copy it again, whole",
        ) from None
    if found.schema != SCHEMA:
        raise FallowError(
            f"{folder} was exported by another version of Fallow", hint="update the older one"
        )
    return found


def _no_export(folder: Path, error: OSError) -> FallowError:
    if not os.path.lexists(folder):
        hint = f"{_NAME_IT}; what ran on workstations is fetched with: coordinator pull"
        return FallowError(f"There is no folder {folder}", hint=hint)
    if not folder.is_dir():
        return FallowError(f"{folder} is a file; an exported folder is needed", hint=_NAME_IT)
    if isinstance(error, FileNotFoundError):
        return FallowError(f"{folder} is no exported batch", f"It has no {MANIFEST}.", _NAME_IT)
    return FallowError(f"{folder / MANIFEST} cannot be read", f"{error.strerror}.")


class _Listing:
    """Writes files and keeps what belongs to a whole copy of the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sums: list[str] = []
        self._executable: list[str] = []
        self.size = 0
        for name in _FOLDERS:
            (folder / name).mkdir()

    def text(self, place: str, text: str, executable: bool) -> None:
        self.data(place, text.encode(), executable)

    def data(self, place: str, data: bytes, executable: bool) -> None:
        target = self._folder / place
        target.write_bytes(data)
        self._note(place, hashlib.sha256(data).hexdigest(), len(data), executable)

    def input(self, place: str, held: tuple[Content, ...], files: Mapping[str, Path]) -> None:
        """One path of the batch: a file, or a folder with all below it."""
        made: set[str] = set()
        if not (len(held) == 1 and not held[0].below):
            (self._folder / place).mkdir()
        for content in held:
            below = f"{place}/{content.below}" if content.below else place
            parent = below.rpartition("/")[0]
            if content.below and parent not in made:
                (self._folder / parent).mkdir(parents=True, exist_ok=True)
                made.add(parent)
            source = files.get(content.hash)
            self._copy(source, self._folder / below, content)
            self._note(below, content.hash, content.size, content.executable)

    def _copy(self, source: Path | None, target: Path, content: Content) -> None:
        digest = hashlib.sha256()
        with target.open("xb") as writer:
            if source is not None and content.size:
                with source.open("rb") as reader:
                    while block := reader.read(_BLOCK):
                        digest.update(block)
                        writer.write(block)
        if digest.hexdigest() != content.hash:
            raise Refused(
                f"{source} changed while it was copied",
                hint="wait until the program that writes it has ended, then export again",
            )

    def _note(self, place: str, hash: str, size: int, executable: bool) -> None:
        escaped = place.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        mark = "\\" if escaped != place else ""
        self._sums.append(f"{mark}{hash}  {escaped}\n")
        if executable:
            os.chmod(self._folder / place, 0o755)
            self._executable.append(f"{place}\0")
        self.size += size

    def finish(self) -> None:
        (self._folder / "executable").write_text("".join(self._executable))
        # Last: a folder without it is no whole one.
        (self._folder / "files.sha256").write_text("".join(self._sums))


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Refused(
                f"{folder} is there already and not empty", hint="name a folder that is not there"
            )
    except OSError as error:
        raise FallowError(f"{folder} cannot be made: {error.strerror}") from None


def _refuse_unmeetable(exported: Exported) -> None:
    for each in exported.classes.jobs:
        near = nearest(each.need, exported.site)
        if near is not None:
            node, lacking = near
            count = len(each.jobs)
            memory = each.need.memory
            wants = f"{each.need.cpus} CPUs" + (f", {format_size(memory)}" if memory else "")
            raise Refused(
                f"No node of {exported.site.name or 'the cluster'} can run {count:,}"
                f" job{'' if count == 1 else 's'} of this batch ({wants})",
                f"The nearest is {node.name}: {', '.join(lacking)}.",
                "ask for less, or bring the site file up to date with --detect",
            )


def _warnings(batch: Batch) -> list[str]:
    found = []
    if batch.after:
        found.append(f"the export does not wait for {', '.join(batch.after)}: submit it afterwards")
    if not batch.network:
        found.append("`network: false` is not enforced on a cluster")
    return found
