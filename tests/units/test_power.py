"""Which power supplies count, by folders laid out as the kernel does."""

from pathlib import Path

import pytest

from fallow.tray.sensors.power import on_battery

MAINS_ON = {"type": "Mains", "online": "1"}
MAINS_OFF = {"type": "Mains", "online": "0"}
EMPTIES = {"type": "Battery", "status": "Discharging"}
FULL = {"type": "Battery", "status": "Full"}
MOUSE = {"type": "Battery", "status": "Discharging", "scope": "Device"}
USB_C_ON = {"type": "USB", "online": "1"}
UPS_EMPTIES = {"type": "UPS", "status": "Discharging"}


@pytest.mark.parametrize(
    ("supplies", "expected"),
    [
        ([], False),
        ([MAINS_ON, EMPTIES], False),
        ([MAINS_OFF, EMPTIES], True),
        ([EMPTIES], True),
        ([FULL], False),
        ([MOUSE], False),
        ([MAINS_ON, MOUSE], False),
        ([EMPTIES, MAINS_OFF, USB_C_ON], False),
        ([UPS_EMPTIES], True),
        ([FULL, EMPTIES, MAINS_OFF], True),
    ],
)
def test_on_battery(supplies: list[dict[str, str]], expected: bool, tmp_path: Path) -> None:
    for number, supply in enumerate(supplies):
        folder = tmp_path / f"supply{number}"
        folder.mkdir()
        for name, word in supply.items():
            (folder / name).write_text(word + "\n")
    assert on_battery(tmp_path) is expected


def test_a_computer_without_that_folder(tmp_path: Path) -> None:
    assert on_battery(tmp_path / "nothing") is False
