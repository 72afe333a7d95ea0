"""A batch of the coordinator on its way to a cluster, and its results on their way back there.

Not the folder (`export`, `collect`), nor what the coordinator makes of it (`exporting`).
"""

import contextlib
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.moving import move
from fallow.coordinator.slurm import export
from fallow.coordinator.slurm.collect import Collection, Damaged, Taken
from fallow.coordinator.slurm.export import FolderManifest, Origin, Written
from fallow.coordinator.slurm.site import Site
from fallow.shared.blobs import BlobStore
from fallow.shared.errors import FallowError
from fallow.shared.messages import (
    Done,
    Export,
    ExportReply,
    Import,
    Imported,
    Status,
    StatusReply,
    decode_manifest,
)
from fallow.shared.runs import Crashed, Signalled
from fallow.shared.sweep import Expansion
from fallow.shared.transfer import Item

_TOGETHER = 100  # attempts handed in at once
_ANSWER = 5.0  # seconds until a coordinator counts as away
_HANDED_IN = ".handed-in"


def export_ref(
    coordinator: str | None, ref: str, folder: Path, site: Site, *, quiet: bool
) -> tuple[Written, str]:
    """Export what waits of a coordinator's batch; returns what was written, and its full name.

    The jobs are marked there only once their inputs are here and the cluster can run them.
    FallowError when the coordinator or the disk says no.
    """
    with Client(coordinator) as client, _scratch(folder) as store:
        reply = client.ask(Export(ref), ExportReply)
        expansion = Expansion(reply.batch)
        title = f"{reply.batch.meta.namespace}:{reply.batch.meta.batch_name}"
        manifest = _manifest("", reply, client.where)
        export.check(manifest, expansion, site)
        _fetch(client, reply, store, quiet)
        files = {
            each.hash: store.path(each.hash)
            for held in reply.contents.values()
            for each in held
            if each.size
        }
        word = secrets.token_hex(4)
        marked = client.ask(Export(title, word), ExportReply)
        manifest = _manifest(word, marked, client.where)
        try:
            return export.write(manifest, expansion, files, site, folder), title
        except FallowError as error:
            raise FallowError(
                error.title,
                error.detail,
                f"the jobs are marked as exported: coordinator release {title}",
            ) from error


def _manifest(word: str, reply: ExportReply, where: str) -> FolderManifest:
    return FolderManifest(
        schema=export.SCHEMA,
        id=word,
        owner=reply.owner,
        batch=reply.batch,
        contents=reply.contents,
        jobs=tuple(index for index, _ in reply.jobs),
        origin=Origin(reply.uid, where, {index: count for index, count in reply.jobs if count}),
    )


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[BlobStore]:
    above = folder.absolute().parent
    with tempfile.TemporaryDirectory(
        prefix=".fallow-export-", dir=above if above.is_dir() else None
    ) as scratch:
        yield BlobStore(Path(scratch), durable=False)


def _fetch(client: Client, reply: ExportReply, store: BlobStore, quiet: bool) -> None:
    sizes = {each.hash: each.size for held in reply.contents.values() for each in held}
    items = [Item(hash, size) for hash, size in sizes.items() if size]
    _move(client, store, (), items, "fetching", quiet)


def hand_in(
    coordinator: str | None, collection: Collection, folder: Path, *, quiet: bool
) -> str | None:
    """Hand what ended on the cluster in at the coordinator; its words, None where it has nothing.

    What it has already is not sent again. FallowError when the coordinator says no.
    """
    manifest = collection.manifest
    if manifest.origin is None:
        return None
    meta = manifest.batch.meta
    ref = f"{meta.namespace}:{meta.batch_name}"
    note = folder / _HANDED_IN
    known = set(note.read_text().split()) if note.is_file() else set()
    news, killed = _unknown(collection, known)
    if not news and not killed:
        return None
    said = ""
    with Client(coordinator if coordinator is not None else manifest.origin.coordinator) as client:
        client.ask(Status(ref, jobs=False), StatusReply, timeout=_ANSWER)
        for at in range(0, max(len(news), 1), _TOGETHER):
            page = news[at : at + _TOGETHER]
            _send(client, collection, page, quiet)
            ended = tuple(index for index, _ in killed) if at == 0 else ()
            body = Import(
                ref, manifest.id, tuple(_imported(collection, each) for each in page), ended
            )
            said = client.ask(body, Done, timeout=120.0).text
            with note.open("a") as file:
                file.writelines(f"{each.deposit.attempt}\n" for each in page)
                file.writelines(f"{word}\n" for _, word in killed if at == 0)
    return said


def _unknown(collection: Collection, known: set[str]) -> tuple[list[Taken], list[tuple[int, str]]]:
    """What the coordinator has not been told of: last attempts, and jobs that were ended."""
    news: list[Taken] = []
    killed: list[tuple[int, str]] = []
    build = collection.collect_build()
    for index in collection.jobs:
        fate = collection.fate(index, build)
        word = f"killed-{index}"
        if fate.state == "killed" and word not in known:
            killed.append((index, word))
        if fate.state not in {"succeeded", "failed"} or not fate.shown:
            continue
        last = fate.shown[-1]
        if str(collection.id_of(index, last.number)) in known:
            continue
        with contextlib.suppress(Damaged):  # `collect` has said so
            news.append(collection.take(index, last))
    return news, killed


def _imported(collection: Collection, taken: Taken) -> Imported:
    deposit = taken.deposit
    assert deposit.manifest is not None
    # A workstation's crash would send the job elsewhere; what a cluster ended stays ended.
    exit = Signalled(9) if isinstance(deposit.exit, Crashed) else deposit.exit
    listed = decode_manifest(collection.blobs.path(deposit.manifest).read_bytes())
    return Imported(
        index=taken.index,
        number=deposit.attempt.number,
        exit=exit,
        manifest=deposit.manifest,
        size=sum(file.size for file in listed.files),
        started=deposit.started,
        ended=deposit.ended,
        run_seconds=deposit.run_seconds,
    )


def _send(client: Client, collection: Collection, page: Sequence[Taken], quiet: bool) -> None:
    sizes: dict[str, int] = {}
    for each in page:
        assert each.deposit.manifest is not None
        place = collection.blobs.path(each.deposit.manifest)
        sizes[each.deposit.manifest] = place.stat().st_size
        for file in decode_manifest(place.read_bytes()).files:
            if file.size:
                sizes[file.hash] = file.size
    items = [Item(hash, size, collection.blobs.path(hash)) for hash, size in sizes.items()]
    _move(client, collection.blobs, items, (), "handing in", quiet)


def _move(
    client: Client,
    store: BlobStore,
    uploads: Sequence[Item],
    downloads: Sequence[Item],
    what: str,
    quiet: bool,
) -> None:
    total = sum(item.size for item in (*uploads, *downloads))
    with render.byte_progress(what, total, quiet) as moved:
        move(client, store, moved, uploads=uploads, downloads=downloads)
