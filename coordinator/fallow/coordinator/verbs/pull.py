"""`coordinator pull`: fetch the results of a batch or job into a folder of one's own.

Not the list of files, which the coordinator gives. The layout below DEST is that of the
coordinator's own results tree.
"""

from pathlib import Path

import click

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.verbs.options import coordinator_option, example, json_option
from fallow.shared.errors import UsageError


@click.command(
    epilog=example(
        "coordinator pull sweep_01 --dest results",
        r"coordinator pull sweep.yaml --include '\.vtk$' --exclude '^re100/'",
    )
)
@click.argument("ref", metavar="REF|FILE")
@click.option("--include", multiple=True, metavar="RE", help="Only files that match one of these.")
@click.option("--exclude", multiple=True, metavar="RE", help="No files that match one of these.")
@click.option(
    "--dest",
    type=click.Path(path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Where to: DIR/NAMESPACE/BATCH/JOB/… Default: here.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be fetched.")
@json_option
@coordinator_option
def pull(
    ref: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    dest: Path,
    dry_run: bool,
    as_json: bool,
    coordinator: str | None,
) -> None:
    """Fetch results. REF is [NAMESPACE:]BATCH[/JOB], FILE the batch file it was submitted from.

    What is here already and unchanged is skipped, so the same command goes on after a cut.
    Expressions are looked for in JOB/PATH of each file.
    """
    from fallow.coordinator import fetching

    wanted = fetching.Filter.of(include, exclude)
    with Client(coordinator) as client:
        if Path(ref).suffix in (".yaml", ".yml") and Path(ref).is_file():
            ref = _ref_of(Path(ref))
        with render.byte_progress("fetching", None, as_json or dry_run) as moved:
            done = fetching.fetch(client, ref, dest, wanted, dry_run=dry_run, moved=moved)
    if as_json:
        render.print_json(
            {
                "namespace": done.namespace,
                "batch": done.batch,
                "dest": str(dest.absolute()),
                "dry_run": dry_run,
                "files": done.files,
                "bytes": done.bytes,
                "unchanged": done.unchanged,
                "unfinished_jobs": done.unfinished,
            }
        )
        return
    if dry_run:
        for path in done.files:
            print(path)
    verb = "would be fetched" if dry_run else "fetched"
    print(
        f"{len(done.files)} file{'' if len(done.files) == 1 else 's'} {verb}"
        f" ({render.size(done.bytes)}), {done.unchanged} already here,"
        f" in {dest.absolute() / done.namespace / done.batch}"
    )
    if done.unfinished:
        click.echo(f"{done.unfinished} jobs have no results yet", err=True)


def _ref_of(file: Path) -> str:
    from fallow.shared import batchfile

    meta = batchfile.load(file).batch.meta
    if not meta.batch_name:
        raise UsageError(f"{file} names no batch")
    return f"{meta.namespace}:{meta.batch_name}"
