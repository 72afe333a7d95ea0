"""From what the owner allows and what the computer has to what it offers: its Settings.

Not the owner's rules (`config`), nor what the computer has (`machine`); what they come to together.
"""

import shutil
from functools import cache
from pathlib import Path

from fallow.shared.messages import Resources
from fallow.shared.release import installed_version
from fallow.shared.work import gpu_tools, ground, machine
from fallow.shared.work.gpus import Gpu
from fallow.shared.work.sandbox import SandboxAbility
from fallow.tray.config import Computer, Config, Offer, check_offer
from fallow.tray.settings import Settings


def computer(data_dir: Path) -> Computer:
    """What this computer has."""
    return Computer(
        memory=machine.total_memory(),
        disk=shutil.disk_usage(_existing(data_dir)).total,
        gpus=len(_found_gpus()) or None,
    )


@cache
def _found_gpus() -> tuple[Gpu, ...]:
    """Asked once: the tools are slow, and nobody changes cards while the computer runs."""
    return gpu_tools.find()


def gpus(offer: Offer) -> tuple[Gpu, ...]:
    """Those that jobs may have; what no tool found is there when the owner says so."""
    found = _found_gpus()
    return found if offer.gpus is None else gpu_tools.declared(found, offer.gpus)


def settings_of(
    data_dir: Path,
    config: Config,
    ability: SandboxAbility,
    groups: ground.Ground,
    boot: str,
    name: str = "agent.toml",
) -> Settings:
    """What holds under these rules; FallowError when they offer more than there is."""
    offer = config.offer
    check_offer(offer, computer(data_dir), name)
    memory = machine.total_memory()
    share = offer.memory * memory if offer.memory <= 1 else offer.memory
    known = machine.capabilities()
    if offer.capabilities is not None:
        known = machine.true_ones(offer.capabilities)
    cards = len(gpus(offer))
    if cards and "gpu" not in known:
        known = (*known, "gpu")
    unable = None
    if ability.kind == "none" and config.jobs.sandbox != "none":
        unable = (
            f"jobs cannot be kept from this computer's files: {ability.why}. Install bubblewrap, "
            'or allow jobs without it: sandbox = "none" under [jobs] in agent.toml'
        )
    return Settings(
        host=machine.host_name(),
        boot_id=boot,
        version=installed_version(),
        resources=Resources(
            cpus=offer.cpus or machine.physical_cores(),
            memory=int(min(share, memory)),
            gpus=cards,
            disk=max(machine.free_disk(data_dir) - offer.disk_reserve, 0),
            capabilities=known,
            not_from=offer.not_from,
        ),
        policy=config.presence,
        in_place=ability.kind == "none" or (config.jobs.sandbox == "none" and bool(groups.folder)),
        unable=unable,
        max_pause=config.jobs.max_pause,
    )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)
