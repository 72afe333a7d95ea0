"""Whether a job that the coordinator sends is taken, and if not, why. Pure.

Not whether jobs may run at all (`presence`), which is one of the reasons here. The opposite is the
coordinator's `plan`, which tries not to send what would be given back.
"""

from fallow.shared.messages import JobSpec
from fallow.shared.runs import DeclineReason
from fallow.shared.work.workload import Workload, memory_of
from fallow.tray.lookout import Lookout
from fallow.tray.reporting import for_others
from fallow.tray.settings import Settings


def refusal(
    job: JobSpec, settings: Settings, desk: Lookout, work: Workload, *, stopping: bool
) -> tuple[DeclineReason, str] | None:
    """The first reason against it, in a word and a sentence; None when it is taken."""
    if stopping:
        return "stopping", "the agent is being stopped"
    if settings.unable is not None:
        return "sandbox", settings.unable
    if not desk.verdict.accepts:
        return "owner", for_others(desk.verdict).why
    if desk.wishes.finishing:
        return "owner", "the owner of this computer wants no more jobs for now"
    if job.owner in settings.resources.not_from:
        return "owner", f"this computer does not run jobs of {job.owner}"
    return _too_large(job, settings, work)


def _too_large(
    job: JobSpec, settings: Settings, work: Workload
) -> tuple[DeclineReason, str] | None:
    offer = settings.resources
    cpus, memory = work.free(offer)
    if job.cpus > cpus:
        return "does_not_fit", f"{cpus} of {offer.cpus} processors are free"
    if memory_of(job, offer) > memory:
        return "does_not_fit", f"{max(memory, 0)} of {offer.memory} bytes of memory are free"
    gpus, disk = work.free_gpus_and_disk(offer)
    if job.gpus > gpus:
        return "does_not_fit", f"{max(gpus, 0)} of {offer.gpus} GPUs are free"
    if (job.disk or 0) > disk:
        return "does_not_fit", f"{max(disk, 0)} of {offer.disk} bytes of disk are free"
    return None
