"""What one run or build is started with: its words, its variables, its sandbox, its bounds.

Not the starting (`processes`), nor who decides that it starts. The opposite is `files`, which makes
the folders that this names.
"""

from collections.abc import Sequence
from pathlib import Path

from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId
from fallow.shared.messages import JobSpec
from fallow.shared.work import checkpoint, files, gpus, processes
from fallow.shared.work.build import is_build
from fallow.shared.work.gpus import Gpu
from fallow.shared.work.sandbox import SandboxPlan
from fallow.shared.work.staging import words_of


def order_of(
    attempt: AttemptId,
    job: JobSpec,
    plan: SandboxPlan,
    folder: Path,
    nice: int,
    installed: Sequence[Gpu] = (),
    given: Sequence[Gpu] = (),
) -> processes.Spawn:
    """How the run, or the build, of this folder is started; FallowError for a hostile command.

    `installed` are all GPUs of the computer, `given` those that it may use.
    """
    building = is_build(attempt)
    action, extra = job.action, job.env
    if building:
        assert job.build is not None
        action, extra = job.build.action, job.build.env
    saved = files.OWN if job.checkpoint is None else checkpoint.folder(job.checkpoint)
    env = {
        "FALLOW_BATCH": job.batch,
        "FALLOW_JOB": "" if building else job.job,
        "FALLOW_ATTEMPT": str(attempt.number),
        "FALLOW_CPUS": str(job.cpus),
        "FALLOW_GPUS": str(len(given)),
        "FALLOW_INPUT": plan.path_inside("input"),
        "FALLOW_OUTPUT": plan.path_inside("distribute_save"),
        "FALLOW_CHECKPOINT": plan.path_inside(saved),
        "FALLOW_PROGRESS": plan.path_inside(files.PROGRESS),
        **gpus.variables(installed, given, hidden=plan.layout == "hidden"),
    }
    order = processes.Spawn(
        argv=words_of(action),
        sandbox=plan,
        stdout=folder / ("log.txt" if building else "stdout.txt"),
        stderr=folder / ("log.txt" if building else "stderr.txt"),
        status=folder / files.STATUS,
        env={**env, **extra},
        nice=nice,
    )
    _refuse_nul(order)
    return order


def _refuse_nul(order: processes.Spawn) -> None:
    """No program can be given one, and in the options of the sandbox it would begin another."""
    if any("\0" in word for word in (*order.argv, *order.env, *order.env.values())):
        raise FallowError("the coordinator sent a command with a NUL character in it")
