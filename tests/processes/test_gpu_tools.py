"""GPUs as their vendors' tools tell of them; the tools here are stand-ins, named as such.

Each prints what the real one prints for the words it is called with, and refuses any other. There
is no GPU on the computers where these tests run.
"""

import stat
from pathlib import Path

import pytest

from fallow.shared.work import gpu_tools
from fallow.shared.work.gpus import Gpu

NVIDIA_STAND_IN = """#!/bin/sh
# A stand-in for nvidia-smi: two cards whose device numbers are not in the order of the bus.
[ "$*" = "--query-gpu=index,uuid,pci.bus_id --format=csv,noheader" ] || exit 2
echo "0, GPU-5a2c0b1e-1111-2222-3333-444455556666, 00000000:01:00.0"
echo "1, GPU-0f0e0d0c-aaaa-bbbb-cccc-ddddeeeeffff, 00000000:41:00.0"
"""
AMD_STAND_IN = """#!/bin/sh
# A stand-in for amd-smi.
[ "$*" = "list --json" ] || exit 2
echo '[{"gpu": 0, "bdf": "0000:03:00.0", "uuid": "a8ff"}, {"gpu": 1, "bdf": "0000:83:00.0"}]'
"""
ROCM_STAND_IN = """#!/bin/sh
# A stand-in for rocm-smi.
[ "$*" = "--showbus --json" ] || exit 2
echo '{"card1": {"PCI Bus": "0000:83:00.0"}, "card0": {"PCI Bus": "0000:03:00.0"}, "system": {}}'
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for stand-ins, the only one where programs are looked for (but for a shell)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A computer's /dev, /proc and /sys with two cards of each vendor."""
    root = tmp_path / "root"
    names = ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "kfd")
    for name in (*names, "dri/renderD128", "dri/renderD129"):
        (root / "dev" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "dev" / name).touch()
    for bus, minor in (("0000:01:00.0", 1), ("0000:41:00.0", 0)):
        place = root / "proc/driver/nvidia/gpus" / bus
        place.mkdir(parents=True)
        (place / "information").write_text(f"Model:\t Stand-in\nDevice Minor: \t {minor}\n")
    for bus, node in (("0000:03:00.0", "renderD129"), ("0000:83:00.0", "renderD128")):
        (root / "sys/bus/pci/devices" / bus / "drm" / node).mkdir(parents=True)
    return root


def stand_in(folder: Path, name: str, text: str) -> None:
    place = folder / name
    place.write_text(text)
    place.chmod(place.stat().st_mode | stat.S_IXUSR)


def test_without_tools_there_are_none(tools: Path, root: Path) -> None:
    assert gpu_tools.find(root) == ()


def test_nvidia(tools: Path, root: Path) -> None:
    stand_in(tools, "nvidia-smi", NVIDIA_STAND_IN)
    shared = ("/dev/nvidiactl", "/dev/nvidia-uvm")
    assert gpu_tools.find(root) == (
        Gpu("nvidia", 0, "GPU-5a2c0b1e-1111-2222-3333-444455556666", ("/dev/nvidia1", *shared)),
        Gpu("nvidia", 1, "GPU-0f0e0d0c-aaaa-bbbb-cccc-ddddeeeeffff", ("/dev/nvidia0", *shared)),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("amd-smi", AMD_STAND_IN),
        ("amd-smi", AMD_STAND_IN.replace("'[", '\'{"gpu_data": [').replace("]'", "]}'")),
        ("rocm-smi", ROCM_STAND_IN),
    ],
    ids=["amd-smi", "amd-smi, named", "rocm-smi"],
)
def test_amd(tools: Path, root: Path, name: str, text: str) -> None:
    stand_in(tools, name, text)
    assert gpu_tools.find(root) == (
        Gpu("amd", 0, "", ("/dev/dri/renderD129", "/dev/kfd")),
        Gpu("amd", 1, "", ("/dev/dri/renderD128", "/dev/kfd")),
    )


def test_both_vendors_and_no_devices(tools: Path, tmp_path: Path) -> None:
    stand_in(tools, "nvidia-smi", NVIDIA_STAND_IN)
    stand_in(tools, "rocm-smi", ROCM_STAND_IN)
    found = gpu_tools.find(tmp_path / "nowhere")
    assert [(gpu.name, gpu.devices) for gpu in found] == [
        ("nvidia-0", ()),
        ("nvidia-1", ()),
        ("amd-0", ()),
        ("amd-1", ()),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not talk to the driver'\nexit 9\n",
        "#!/bin/sh\necho 'No devices were found'\n",
        "#!/bin/sh\nprintf '\\377\\376{[,,\\n'\n",
        "not a program",
    ],
    ids=["no driver", "no devices", "rubbish", "no program"],
)
@pytest.mark.parametrize("name", ["nvidia-smi", "amd-smi", "rocm-smi"])
def test_tools_that_do_not_work_find_nothing(tools: Path, root: Path, name: str, text: str) -> None:
    stand_in(tools, name, text)
    assert gpu_tools.find(root) == ()


def test_the_owner_may_say_how_many(tools: Path, root: Path) -> None:
    stand_in(tools, "nvidia-smi", NVIDIA_STAND_IN)
    found = gpu_tools.find(root)
    assert gpu_tools.declared(found, 1) == found[:1]
    assert gpu_tools.declared(found, 0) == ()
    assert [gpu.name for gpu in gpu_tools.declared((), 2)] == ["other-0", "other-1"]
