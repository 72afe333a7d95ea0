"""Which GPUs this computer has, asked of the tools that their vendors install.

Not which of them a run gets (`gpus`). A tool that is not there, fails, hangs or says something else
than it used to finds nothing: then the owner can still declare how many there are.
"""

import glob
import json
import logging
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Any

from fallow.shared.work.gpus import Gpu

log = logging.getLogger(__name__)

_PATIENCE = 10.0  # seconds: waking a sleeping card takes some
_NVIDIA_SHARED = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
_AMD_SHARED = ("kfd",)
_BUS = re.compile(r"(?:0000)?([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", re.IGNORECASE)


def find(root: Path = Path("/")) -> tuple[Gpu, ...]:
    """The GPUs that are installed, by vendor and number; `root` is where /dev, /proc, /sys are."""
    return (*_nvidia(root), *_amd(root))


def declared(found: Sequence[Gpu], count: int) -> tuple[Gpu, ...]:
    """As many as the owner says there are, of those that were found first.

    What no tool has found has no device of its own.
    """
    unknown = (Gpu("other", index) for index in range(count - len(found)))
    return (*found[:count], *unknown)


def _nvidia(root: Path) -> list[Gpu]:
    text = _ask("nvidia-smi", "--query-gpu=index,uuid,pci.bus_id", "--format=csv,noheader")
    found = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 3 or not fields[0].isdigit():
            continue
        minor = _nvidia_minor(root, fields[2])
        own = f"nvidia{fields[0] if minor is None else minor}"
        devices = _there(root, (own, *_NVIDIA_SHARED))
        found.append(Gpu("nvidia", int(fields[0]), fields[1], devices))
    return sorted(found, key=lambda gpu: gpu.index)


def _nvidia_minor(root: Path, bus: str) -> str | None:
    """The number of its device, which is not always its own: that one follows the bus."""
    match = _BUS.fullmatch(bus)
    if match is None:
        return None
    place = root / "proc/driver/nvidia/gpus" / match[1].lower() / "information"
    try:
        minor = re.search(r"^Device Minor:\s*(\d+)", place.read_text(), re.MULTILINE)
    except OSError:
        return None
    return minor[1] if minor is not None else None


def _amd(root: Path) -> list[Gpu]:
    buses = _amd_smi() or _rocm_smi()
    return [
        Gpu("amd", index, "", _there(root, (*_render_nodes(root, bus), *_AMD_SHARED)))
        for index, bus in sorted(buses.items())
    ]


def _amd_smi() -> dict[int, str]:
    said = _json(_ask("amd-smi", "list", "--json"))
    if isinstance(said, dict):  # some versions name the list
        said = next((each for each in said.values() if isinstance(each, list)), [])
    if not isinstance(said, list):
        return {}
    return {
        each["gpu"]: str(each.get("bdf", ""))
        for each in said
        if isinstance(each, dict) and isinstance(each.get("gpu"), int)
    }


def _rocm_smi() -> dict[int, str]:
    said = _json(_ask("rocm-smi", "--showbus", "--json"))
    if not isinstance(said, dict):
        return {}
    found = {}
    for name, facts in said.items():
        match = re.fullmatch(r"card(\d+)", name)
        if match is not None and isinstance(facts, dict):
            found[int(match[1])] = str(facts.get("PCI Bus", ""))
    return {place: found[card] for place, card in enumerate(sorted(found))}


def _render_nodes(root: Path, bus: str) -> list[str]:
    match = _BUS.fullmatch(bus)
    if match is None:
        return []
    folder = root / "sys/bus/pci/devices" / match[1].lower() / "drm"
    nodes = glob.glob("renderD*", root_dir=folder)
    return [f"dri/{node}" for node in sorted(nodes)]


def _there(root: Path, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"/dev/{name}" for name in names if (root / "dev" / name).exists())


def _ask(program: str, *words: str) -> str:
    """What the tool prints; nothing when it is not there, or does not end well in time."""
    path = which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s cannot say which GPUs there are: %s", program, error)
        return ""
    if done.returncode:
        log.info("%s ended with %d: no GPUs of its kind", program, done.returncode)
        return ""
    return done.stdout.decode("utf-8", "replace")


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
