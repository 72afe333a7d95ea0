"""`coordinator submit`: check everything here, send what is missing there, hand the batch in.

Not the checks (`shared.batchfile`, `shared.inputs`) nor the handing in (`handing_in`).
"""

import sys
from pathlib import Path

import click

from fallow.coordinator import render
from fallow.coordinator.client import Client
from fallow.coordinator.handing_in import hand_in
from fallow.coordinator.verbs.batch_file import (
    load_batch,
    name_option,
    read_inputs,
    set_option,
)
from fallow.coordinator.verbs.options import coordinator_option, example, json_option
from fallow.coordinator.waiting import Waited, wait_for_batch
from fallow.shared.batchfile import LoadedBatch
from fallow.shared.errors import NotAllSucceeded, Unreachable, UsageError
from fallow.shared.messages import Submitted
from fallow.shared.sweep import MANY_JOBS


@click.command(
    epilog=example(
        "coordinator submit sweep.yaml --dry-run",
        "coordinator submit sweep.yaml --name sweep_02 --set sweep.re=[100,200] --wait",
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check everything, show the jobs, send nothing.")
@click.option("--wait", is_flag=True, help="Wait for the end; exit code 4 unless all succeeded.")
@click.option("--follow", is_flag=True, help="Show what the jobs write until the end.")
@name_option
@set_option
@click.option("--yes", is_flag=True, help=f"Do not mind more than {MANY_JOBS:,} jobs.")
@json_option
@coordinator_option
def submit(
    file: Path,
    dry_run: bool,
    wait: bool,
    follow: bool,
    name: str | None,
    options: tuple[str, ...],
    yes: bool,
    as_json: bool,
    coordinator: str | None,
) -> None:
    """Check the batch FILE, send what it needs and hand it in.

    Nothing is sent before every check has passed, and a submit that was cut off leaves no half
    batch: do it again and it goes on.
    """
    loaded = load_batch(file, name, options)
    if not (yes or dry_run):
        _ask_back(file, len(loaded.expansion), quiet=as_json)
    gathered = read_inputs(loaded, quiet=as_json)
    with Client(coordinator) as client:
        try:
            done = hand_in(
                client,
                loaded.batch,
                gathered,
                locate=loaded.locate,
                dry_run=dry_run,
                quiet=as_json,
            )
        except Unreachable as error:
            if not dry_run or coordinator is not None:
                raise
            done = _checked_here_alone(loaded, error)
        for warning in done.warnings:
            click.echo(f"warning: {warning}", err=True)
        try:
            waited = _tell_and_wait(client, done, dry_run, wait, follow, as_json)
        except KeyboardInterrupt:
            ref = _ref(done)
            click.echo(f"\n{ref} goes on without you: coordinator status {ref} --watch", err=True)
            raise
    content = {"namespace": done.namespace, "batch": done.batch, "jobs": done.jobs}
    if dry_run:
        _show_jobs(loaded, content, as_json)
        return
    if waited is None:
        if as_json:
            render.print_json(content)
        return
    if as_json:
        counts = render.every_state(waited.counts)
        render.print_json({**content, "state": waited.state, "counts": counts})
    else:
        print(f"{_ref(done)}: {waited.words()}")
    if not waited.all_succeeded:
        sys.stdout.flush()
        raise NotAllSucceeded(
            f"Not every job of {_ref(done)} succeeded",
            waited.words(),
            f"see: coordinator status {_ref(done)}",
        )


def _ask_back(file: Path, jobs: int, quiet: bool) -> None:
    if jobs <= MANY_JOBS:
        return
    if quiet or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{file} makes {jobs:,} jobs", hint="if that is meant: --yes")
    click.confirm(f"{file} makes {jobs:,} jobs. Submit them?", abort=True, err=True)


def _show_jobs(loaded: LoadedBatch, content: dict[str, object], as_json: bool) -> None:
    from fallow.coordinator.verbs import concrete_jobs

    if as_json:
        jobs = concrete_jobs.every_job(loaded)
        render.print_json({**content, "dry_run": True, "concrete": jobs})
        return
    concrete_jobs.print_jobs(loaded)
    if len(loaded.expansion) > MANY_JOBS:
        click.echo("warning: so many jobs are only submitted with --yes", err=True)


def _checked_here_alone(loaded: LoadedBatch, error: Unreachable) -> Submitted:
    """What a dry run can say where nobody answers: the file and its inputs are right."""
    meta = loaded.batch.meta
    warning = f"checked here alone, since no coordinator answers: {error.title}"
    return Submitted(meta.namespace, meta.batch_name, len(loaded.expansion), (warning,))


def _ref(done: Submitted) -> str:
    return f"{done.namespace}:{done.batch}"


def _tell_and_wait(
    client: Client, done: Submitted, dry_run: bool, wait: bool, follow: bool, as_json: bool
) -> Waited | None:
    if not as_json:
        plural = "" if done.jobs == 1 else "s"
        said = "would be submitted" if dry_run else "submitted"
        print(f"{_ref(done)}: {done.jobs} job{plural} {said}")
        sys.stdout.flush()
    if dry_run or not (wait or follow):
        return None
    return wait_for_batch(client, _ref(done), follow=follow and not as_json, quiet=as_json)
