"""What one run or build is started with: its words, its variables, its sandbox, its bounds.

Not the starting (`processes`), nor who decides that it starts. The opposite is `files`, which makes
the folders that this names.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from fallow.shared.errors import FallowError
from fallow.shared.ids import AttemptId
from fallow.shared.messages import Container, JobSpec
from fallow.shared.work import checkpoint, container, files, gpus, processes
from fallow.shared.work.build import is_build
from fallow.shared.work.gpus import Gpu
from fallow.shared.work.sandbox import SandboxPlan
from fallow.shared.work.settings import Jobs
from fallow.shared.work.staging import words_of


def order_of(
    attempt: AttemptId,
    job: JobSpec,
    plan: SandboxPlan,
    folder: Path,
    settings: Jobs,
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
    if isinstance(action, Container):
        argv, extra, path_inside = _container(job, action, plan, settings, installed)
    else:
        argv, path_inside = words_of(action), plan.path_inside
    saved = files.OWN if job.checkpoint is None else checkpoint.folder(job.checkpoint)
    env = {
        "FALLOW_BATCH": job.batch,
        "FALLOW_JOB": "" if building else job.job,
        "FALLOW_ATTEMPT": str(attempt.number),
        "FALLOW_CPUS": str(job.cpus),
        "FALLOW_GPUS": str(len(given)),
        "FALLOW_INPUT": path_inside("input"),
        "FALLOW_OUTPUT": path_inside("distribute_save"),
        "FALLOW_CHECKPOINT": path_inside(saved),
        "FALLOW_PROGRESS": path_inside(files.PROGRESS),
        **gpus.variables(installed, given, hidden=plan.layout == "hidden"),
    }
    order = processes.Spawn(
        argv=argv,
        sandbox=plan,
        stdout=folder / ("log.txt" if building else "stdout.txt"),
        stderr=folder / ("log.txt" if building else "stderr.txt"),
        status=folder / files.STATUS,
        env={**env, **extra},
        nice=settings.nice,
        own_keys=settings.sandbox != "none",
    )
    _refuse_nul(order)
    return order


def _container(
    job: JobSpec, action: Container, plan: SandboxPlan, settings: Jobs, installed: Sequence[Gpu]
) -> tuple[tuple[str, ...], dict[str, str], Callable[[str], str]]:
    if plan.contained:
        raise FallowError("only a job can be a container, not a build")
    runtime = container.find_or_refuse()
    hidden = settings.sandbox != "none"
    container.check_mounts(action, settings.read_only, hidden)
    vendors = {each.vendor for each in installed}
    work, scratch = Path(plan.work), Path(plan.scratch)
    argv = container.words(
        runtime, job, action, work, scratch, nvidia=bool(vendors & {"nvidia", "other"})
    )
    own = container.variables(
        runtime, scratch, job.env, hidden=hidden, network=job.network, amd="amd" in vendors
    )
    return argv, own, container.path_inside


def _refuse_nul(order: processes.Spawn) -> None:
    """No program can be given one, and in the options of the sandbox it would begin another."""
    if any("\0" in word for word in (*order.argv, *order.env, *order.env.values())):
        raise FallowError("the coordinator sent a command with a NUL character in it")
