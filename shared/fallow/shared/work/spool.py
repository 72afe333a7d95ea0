"""The outputs of runs and the logs of builds, kept until the coordinator has accepted them.

Not what is listed in them (`outputs` makes the manifest) nor how they travel (`transfer`).
Opposite: `files`, what a run is given before it starts.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from fallow.shared.blobs import BlobStore, hash_file
from fallow.shared.errors import FallowError
from fallow.shared.messages import decode_manifest, encode
from fallow.shared.work import files, outputs, staging
from fallow.shared.work.trees import on_this_disk, remove_tree


class Spool:
    """The outputs of all runs until they are accepted; blobs that several runs left count once.

    Safe for several threads. Not forced to disk: after a power failure `whole` finds out.
    """

    def __init__(self, root: Path) -> None:
        self.blobs = BlobStore(root, durable=False)
        self._lock = threading.Lock()
        self._uses: Counter[str] = Counter()
        self._taking = 0
        self._unused: set[str] = set()

    def take_run(self, folder: Path, work: Path) -> tuple[str, int]:
        """A run's outputs; (hash of the manifest, bytes in all). FallowError."""
        words = {name: folder / name for name in ("stdout.txt", "stderr.txt")}
        with self._taking_in(), on_this_disk("saving the results", work):
            manifest = outputs.collect(work, words, self.blobs)
            root = self.blobs.put_bytes(encode(manifest))
            size = sum(each.size for each in manifest.files)
            self._use(self.items(root, build=False))
            return root, size

    def take_checkpoint(self, work: Path, places: Iterable[str]) -> tuple[str, int] | None:
        """What an evicted run saved of itself, as `take_run` gives it; None if that is nothing."""
        with self._taking_in(), on_this_disk("saving a checkpoint", work):
            manifest = outputs.save(work, places, self.blobs)
            if not manifest.files:
                return None
            root = self.blobs.put_bytes(encode(manifest))
            self._use(self.items(root, build=False))
            return root, sum(each.size for each in manifest.files)

    def take_build(self, folder: Path, work: Path, keep: bool) -> tuple[str, int]:
        """A build's log: (hash, bytes); `keep` makes its work folder the tree. FallowError."""
        with self._taking_in(), on_this_disk("saving a build", folder):
            if keep and work.exists():
                remove_tree(work / staging.OUTPUT)
                remove_tree(work / files.OWN)
                remove_tree(folder / "tree")
                work.rename(folder / "tree")
            log = folder / "log.txt"
            root, size = (
                self.blobs.put_file(log) if log.exists() else (self.blobs.put_bytes(b""), 0)
            )
            self._use({root: size})
            return root, size

    def items(self, root: str, build: bool) -> dict[str, int]:
        """Every blob of a run's manifest (itself too) or a build's log: hash -> bytes.

        FallowError when the spool does not hold the manifest any more.
        """
        try:
            place = self.blobs.path(root)
            found = {root: place.stat().st_size}
            if not build:
                manifest = decode_manifest(place.read_bytes())
                found |= {each.hash: each.size for each in manifest.files}
        except (OSError, ValueError) as error:
            raise FallowError("The spool of this workstation is damaged", str(error)) from None
        return found

    def use_again(self, root: str, build: bool) -> None:
        """After a restart: these blobs belong to a run that is still here."""
        with contextlib.suppress(FallowError):
            self._use(self.items(root, build))

    def whole(self, root: str, build: bool) -> bool:
        """Whether every blob still is what its name says; slow."""
        try:
            return all(map(self.holds, self.items(root, build)))
        except FallowError:
            return False

    def holds(self, hash: str) -> bool:
        """Whether this blob is here and what its name says; slow."""
        try:
            return hash_file(self.blobs.path(hash))[0] == hash
        except OSError:
            return False

    def release(self, root: str, build: bool) -> None:
        """Nobody needs these any more; blobs that no other run has are removed."""
        try:
            items = self.items(root, build)
        except FallowError:
            return
        with self._lock:
            self._uses.subtract(tuple(items))
            self._unused |= {hash for hash in items if self._uses[hash] <= 0}
            self._sweep()

    def remove_strays(self) -> None:
        """At the start, when every run has said what is its own."""
        for hash in self.blobs.hashes():
            if self._uses[hash] <= 0:
                self.blobs.delete(hash)

    def _use(self, items: Iterable[str]) -> None:
        with self._lock:
            self._uses.update(tuple(items))

    @contextlib.contextmanager
    def _taking_in(self) -> Iterator[None]:
        """Meanwhile nothing is removed: what is taken in may be what was just released."""
        with self._lock:
            self._taking += 1
        try:
            yield
        finally:
            with self._lock:
                self._taking -= 1
                self._sweep()

    def _sweep(self) -> None:
        if self._taking:
            return
        for hash in self._unused:
            if self._uses[hash] <= 0:
                del self._uses[hash]
                self.blobs.delete(hash)
        self._unused.clear()
