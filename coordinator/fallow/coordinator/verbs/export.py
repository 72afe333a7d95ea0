"""`coordinator export slurm`: a batch as a folder that a cluster can run.

Not the folder (`slurm.export`). The opposite is `collect`, the way back.
"""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fallow.coordinator import render
from fallow.coordinator.verbs.batch_file import load_batch, name_option, read_inputs, set_option
from fallow.coordinator.verbs.options import coordinator_option, example, json_option
from fallow.shared.errors import BatchError, FallowError, UsageError

if TYPE_CHECKING:
    from fallow.coordinator.slurm.export import Written
    from fallow.coordinator.slurm.site import Site
    from fallow.shared.batchfile import LoadedBatch


@click.group(epilog=example("coordinator export slurm sweep.yaml sweep_on_cluster --site uni.toml"))
def export() -> None:
    """Take a batch elsewhere. There is one place so far: SLURM."""


@export.command(
    epilog=example(
        "coordinator export slurm sweep.yaml sweep_on_cluster --site uni.toml",
        "coordinator export slurm ana_cfd:sweep_01 sweep_on_cluster",
        "coordinator export slurm --detect --site uni.toml",
    )
)
@click.argument("what", metavar="FILE|REF", required=False)
@click.argument("out_dir", type=click.Path(path_type=Path), required=False)
@click.option(
    "--site",
    "site_file",
    type=click.Path(path_type=Path),
    metavar="F",
    help="What the group knows of its cluster (TOML): partition, account, modules …",
)
@click.option(
    "--detect", is_flag=True, help="On a login node: write what the cluster says to --site F."
)
@name_option
@set_option
@json_option
@coordinator_option
def slurm(
    what: str | None,
    out_dir: Path | None,
    site_file: Path | None,
    detect: bool,
    name: str | None,
    options: tuple[str, ...],
    as_json: bool,
    coordinator: str | None,
) -> None:
    """Write a batch into the new folder OUT_DIR, with all that a SLURM cluster needs to run it.

    FILE is a batch file, REF a batch that the coordinator has: its jobs that wait are then
    `exported` there and not run twice, until `coordinator release`. The folder's README says how
    to go on; `coordinator collect OUT_DIR` is the way back.
    """
    if detect:
        if what is not None:
            raise UsageError("--detect takes no batch", hint="export with the site file afterwards")
        _detect(site_file, as_json)
        return
    if what is None or out_dir is None:
        raise UsageError(
            "A batch and a folder to make are needed",
            hint="coordinator export slurm sweep.yaml sweep_on_cluster",
        )
    from fallow.coordinator.slurm import sitefile
    from fallow.coordinator.slurm.site import Site

    site = Site() if site_file is None else sitefile.load(site_file)
    if Path(what).is_file() or Path(what).suffix in {".yaml", ".yml"}:
        _export_file(load_batch(Path(what), name, options), out_dir, site, as_json)
    elif name is not None or options:
        raise UsageError(
            f"{what} is a batch of the coordinator; --name and --set are for batch files",
            hint="export the batch file, or leave them out",
        )
    else:
        from fallow.coordinator.slurm.exchange import export_ref

        written, title = export_ref(coordinator, what, out_dir, site, quiet=as_json)
        _tell(written, title, out_dir, as_json)


def _export_file(loaded: "LoadedBatch", folder: Path, site: "Site", as_json: bool) -> None:
    import getpass

    from fallow.coordinator.slurm.export import SCHEMA, FolderManifest, write

    gathered = read_inputs(loaded, quiet=as_json)
    try:
        manifest = FolderManifest(
            schema=SCHEMA,
            id=secrets.token_hex(4),
            owner=getpass.getuser(),
            batch=loaded.batch,
            contents=gathered.contents,
        )
        written = write(manifest, loaded.expansion, gathered.files, site, folder)
    except BatchError as error:
        raise loaded.locate(error) from None
    meta = loaded.batch.meta
    _tell(written, f"{meta.namespace}:{meta.batch_name}", folder, as_json)


def _tell(written: "Written", title: str, folder: Path, as_json: bool) -> None:
    for warning in written.warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        namespace, _, batch = title.partition(":")
        render.print_json(
            {
                "namespace": namespace,
                "batch": batch,
                "jobs": written.jobs,
                "classes": written.classes,
                "bytes": written.size,
                "folder": str(folder.absolute()),
                "warnings": written.warnings,
            }
        )
        return
    plural = "" if written.jobs == 1 else "s"
    print(f"{title}: {written.jobs} job{plural} exported to {folder} ({render.size(written.size)})")
    print(f"next: {folder}/upload.sh USER@HOST:FOLDER, and there ./submit.sh (see {folder}/README)")


def _detect(site_file: Path | None, as_json: bool) -> None:
    from fallow.coordinator.slurm import client, detect

    seen = detect.read_sinfo(client.ask(*detect.SINFO))
    text = detect.site_text(seen, detect.read_config(client.ask(*detect.CONFIG)))
    if site_file is not None:
        try:
            with site_file.open("x") as file:
                file.write(text)
        except FileExistsError:
            raise UsageError(
                f"{site_file} is there already", hint="name another --site, and compare the two"
            ) from None
        except OSError as error:
            raise FallowError(f"{site_file} cannot be written: {error.strerror}") from None
    if as_json:
        nodes = len({each.node for each in seen})
        place = str(site_file) if site_file is not None else None
        render.print_json({"site": place, "nodes": nodes, "text": text})
    elif site_file is None:
        print(text, end="")
    else:
        print(f"{site_file}: written; look through it, above all partition and account")
