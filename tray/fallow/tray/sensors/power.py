"""Does this computer run on its battery? A fact beside the sensors: it says nothing of people."""

import os
from pathlib import Path

SUPPLIES = Path("/sys/class/power_supply")


def on_battery(supplies: Path = SUPPLIES) -> bool:
    """True while a battery of the computer itself empties and no other supply is connected.

    A mouse has a battery too (scope `Device`), and a computer without any runs on the mains.
    """
    discharging = False
    for supply in [supplies / name for name in _list(supplies)]:
        if _word(supply / "scope") == "Device":
            continue
        match _word(supply / "type"):
            case "Battery" | "UPS":
                discharging = discharging or _word(supply / "status") == "Discharging"
            case "Mains" | "USB" | "Wireless":
                if _word(supply / "online") == "1":
                    return False
    return discharging


def _list(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _word(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
