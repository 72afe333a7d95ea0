"""The README of an exported folder: what it is, and what to do with it, for whoever finds it.

Not the documentation of Fallow: this must do on a cluster where nobody has heard of it.
"""

from fallow.coordinator.slurm.script import Exported

_TEXT = """\
{title}
{rule}

{jobs} job{s} of the batch {title}, as `coordinator export slurm` made this folder
from it. It holds all that the jobs need and can be copied anywhere. On the
cluster it needs bash and SLURM's own commands, no Python and no Fallow.

    ./upload.sh USER@HOST:FOLDER    here: copy it to the cluster
    ./submit.sh                     there: hand the jobs to SLURM
    ./status.sh                     there: how far they are
    ./download.sh                   here: bring back what there is so far
    coordinator collect THIS_FOLDER here: put the results in order

Every one of them may be called again at any time. ./submit.sh goes on where it
was cut off and submits nothing twice; with --check it only looks whether the
cluster can run the jobs. ./cancel.sh ends all that waits or runs. Once all has
ended, `./submit.sh --again` submits what has not succeeded.

Where things are
    runs/JOB/ATTEMPT/   what a job left: distribute_save/, stdout.txt, stderr.txt,
                        and in `status` how it ended. JOB is its number in the batch from
                        0, with six digits; tasks/ has the names
    build/              what was built before the jobs, and log.txt of it
    logs/               what SLURM itself says about the tasks
    results/            what `coordinator collect` has made of it

Classes of jobs (equal resources, one script each)
{classes}"""


def readme(exported: Exported) -> str:
    """The text of README."""
    meta = exported.batch.meta
    title = f"{meta.namespace}:{meta.batch_name}"
    count = sum(len(each.jobs) for each in exported.classes.jobs)
    rows = []
    for each in exported.classes.jobs:
        asks = " ".join(
            f"--{name}" + ("" if value is None else f"={value}")
            for name, value in each.options.items()
            if name not in {"job-name", "open-mode", "output", "requeue", "no-requeue"}
        )
        rows.append(f"    class{each.number}.sbatch  {len(each.jobs):>7}   {asks}\n")
    return _TEXT.format(
        title=title,
        rule="=" * len(title),
        jobs=count,
        s="" if count == 1 else "s",
        classes="".join(rows),
    )
