"""`coordinator run`: the batch on this computer, shown while it runs.

Not the running (`local_run`). The opposite is `submit`, which hands the same file in.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fallow.coordinator import render
from fallow.coordinator.local_words import (
    Advanced,
    Began,
    Building,
    Built,
    Counted,
    Fact,
    GaveUp,
    Interrupted,
    Over,
    Summary,
    Unhidden,
)
from fallow.coordinator.verbs.batch_file import (
    load_batch,
    name_option,
    read_inputs,
    set_option,
)
from fallow.coordinator.verbs.options import example, json_option
from fallow.shared.errors import NotAllSucceeded

if TYPE_CHECKING:
    from rich.progress import Progress

_SHOWN = 20  # jobs without a success that are named at the end


@click.command(
    epilog=example(
        "coordinator run sweep.yaml",
        "coordinator run sweep.yaml --output results --jobs 4 --set sweep.re=[100]",
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="Where results go: DIR/NAMESPACE/BATCH/JOB/… Default: here.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="So many jobs side by side. Default: as many as the processors they ask for allow.",
)
@click.option(
    "--read-only",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    metavar="DIR",
    help="A folder that jobs may read besides the system, such as a conda environment.",
)
@name_option
@set_option
@json_option
def run(
    file: Path,
    output: Path,
    jobs: int | None,
    read_only: tuple[Path, ...],
    name: str | None,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run the batch FILE on this computer: no coordinator, no keys, no workstations.

    Jobs get the same work folders, environment and sandbox as on a workstation, and the results
    have the same layout. The same command again goes on where it was cut off: what has succeeded
    and is unchanged is not run again. Ctrl-C ends every job.
    """
    from fallow.coordinator import local_start

    loaded = load_batch(file, name, options)
    for note in local_start.notes_here(loaded.batch, loaded.expansion, loaded.folder, output):
        click.echo(f"warning: {note}", err=True)
    gathered = read_inputs(loaded, quiet=as_json)
    meta = loaded.batch.meta
    with Shown(f"{meta.namespace}:{meta.batch_name}", quiet=as_json) as shown:
        try:
            summary = local_start.run_here(
                loaded.batch,
                loaded.expansion,
                gathered,
                output,
                side_by_side=jobs,
                read_only=read_only,
                tell=shown.tell,
            )
        except Interrupted as interrupted:
            shown.close()
            click.echo("all jobs were ended; the same command goes on from here", err=True)
            local_start.pass_on(interrupted)
    _print(summary, as_json)
    if summary.not_done:
        sys.stdout.flush()
        raise NotAllSucceeded(
            f"Not every job of {meta.namespace}:{meta.batch_name} succeeded",
            _words(summary),
            f"what they wrote is in {summary.folder}",
        )


class Shown:
    """A local run on a terminal's stderr: a bar and what runs; elsewhere a line for each job."""

    def __init__(self, what: str, quiet: bool) -> None:
        self._what = what
        self._quiet = quiet
        self._bar: Progress | None = None
        self._running: dict[str, None] = {}
        self._shares: dict[str, float] = {}
        self._jobs = 0
        self._over = 0

    def __enter__(self) -> "Shown":
        if not self._quiet and sys.stderr.isatty():
            self._bar = _bar(self._what)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def tell(self, fact: Fact) -> None:
        match fact:
            case Counted(jobs, unchanged):
                self._jobs, self._over = jobs, unchanged
                if unchanged and not self._quiet:
                    self._line(f"{unchanged} of {jobs} jobs are done and unchanged")
            case Unhidden(why):
                self._line(f"warning: jobs are not kept from your own files: {why}")
            case Building():
                self._line("building")
            case Built(log, problem):
                self._line(f"{problem}: see {log}" if problem else "built")
            case Began(job):
                self._running[job] = None
            case Advanced(job, share):
                self._shares[job] = share
            case Over(job, how, why, seconds, again):
                self._running.pop(job, None)
                self._shares.pop(job, None)
                self._over += not again
                self._ended(job, how, why, seconds, again)
            case GaveUp(jobs, why):
                self._over += jobs
                self._line(f"{jobs} jobs are not run: {why}")
        if self._bar is not None:
            names = ", ".join(map(self._named, list(self._running)[:3]))
            more = f" and {len(self._running) - 3} more" if len(self._running) > 3 else ""
            self._bar.update(
                self._bar.task_ids[0],
                total=self._jobs,
                completed=self._over,
                description=names + more,
            )

    def _named(self, job: str) -> str:
        share = self._shares.get(job)
        return job if share is None else f"{job} {render.percent(share)}"

    def _ended(self, job: str, how: str, why: str, seconds: float, again: bool) -> None:
        if how == "succeeded" and self._bar is not None:
            return
        what = "not run" if how == "not_run" else how
        words = f"{job}: {what}" + (f", {why}" if why else "")
        words += f" ({render.duration(seconds)})" if how != "not_run" else ""
        self._line(words + ("; it is tried again" if again else ""))

    def _line(self, words: str) -> None:
        if self._quiet:
            return
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(words))
        else:
            print(words, file=sys.stderr, flush=True)


def _bar(what: str) -> "Progress":
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    bar = Progress(
        TextColumn(escape(what)),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
    bar.add_task("", total=None)
    return bar


def _words(summary: Summary) -> str:
    parts = {
        "succeeded": summary.succeeded,
        "failed": summary.failed,
        "not run": summary.not_run,
    }
    return ", ".join(f"{number} {what}" for what, number in parts.items() if number) or "no jobs"


def _print(summary: Summary, as_json: bool) -> None:
    if as_json:
        render.print_json(
            {
                "namespace": summary.namespace,
                "batch": summary.batch,
                "folder": str(summary.folder.absolute()),
                "counts": {
                    "succeeded": summary.succeeded,
                    "failed": summary.failed,
                    "not_run": summary.not_run,
                },
                "unchanged": summary.unchanged,
                "not_done": summary.not_done,
            }
        )
        return
    for each in summary.not_done[:_SHOWN]:
        print(f"{each.job}: {'not run' if each.state == 'not_run' else each.state}, {each.why}")
    if len(summary.not_done) > _SHOWN:
        print(f"and {len(summary.not_done) - _SHOWN} more")
    print(f"{summary.namespace}:{summary.batch}: {_words(summary)}, in {summary.folder}")
