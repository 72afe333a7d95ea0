"""`agent.toml`: what the desk's owner allows, read once and checked whole.

Not the keys one by one (`config_keys`), nor the Preferences that write the same file
(`preferences`), nor what the computer has (`machine`).
"""

import difflib
import tomllib
from pathlib import Path
from typing import Any

from msgspec import Struct

from fallow.shared import units
from fallow.shared.errors import FallowError
from fallow.shared.work.settings import Jobs
from fallow.tray.config_keys import KEYS, Wrong
from fallow.tray.presence import Policy


class Offer(Struct, frozen=True):
    """What of this computer jobs may have; None stands for all (cpus, gpus) or what is installed.

    `memory` is bytes or, up to 1.0, a share of all; `bandwidth` bytes per second each way, None
    without a bound. Jobs of the people in `not_from` do not run here.
    """

    capabilities: tuple[str, ...] | None = None
    cpus: int | None = None
    memory: float = 0.8
    gpus: int | None = None
    disk_reserve: int = 10 << 30
    bandwidth: int | None = None
    not_from: tuple[str, ...] = ()


class Config(Struct, frozen=True):
    """The whole of agent.toml."""

    presence: Policy = Policy()
    offer: Offer = Offer()
    jobs: Jobs = Jobs()


class Computer(Struct, frozen=True):
    """What there is to offer: bytes of memory, bytes of the whole disk, GPUs if known."""

    memory: int
    disk: int
    gpus: int | None = None


def load(path: Path) -> Config:
    """Read the file, all defaults when there is none; FallowError names a key that is wrong."""
    return loads(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The file's text, empty when there is none; FallowError when it cannot be read."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise FallowError(f"The configuration {path} cannot be read", str(error)) from None


def loads(text: str, name: str = "agent.toml") -> Config:
    """As `load`, from text."""
    return _Reader(name).read(parse(text, name))


def parse(text: str, name: str = "agent.toml") -> dict[str, Any]:
    """The file's values as they are written; FallowError when it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FallowError(f"{name} is not TOML", f"{error}.") from None


def check_offer(offer: Offer, computer: Computer, name: str = "agent.toml") -> None:
    """FallowError when more is offered than this computer has.

    More cores than it has are a wish: jobs that mostly wait may well share them.
    """

    def refuse(key: str, has: str, hint: str) -> FallowError:
        return FallowError(f"{name}: offer.{key} is more than this computer has", has, hint)

    if offer.memory > max(computer.memory, 1):
        sizes = units.format_size(int(offer.memory)), _about(computer.memory)
        has = f"{sizes[0]} are offered, and {sizes[1]} are installed."
        raise refuse("memory", has, 'a smaller size, or a share such as memory = "80%"')
    if offer.gpus is not None and computer.gpus is not None and offer.gpus > computer.gpus:
        has = f"{offer.gpus} are offered, and {computer.gpus} were found."
        raise refuse("gpus", has, 'a smaller number, or gpus = "all"')
    if offer.disk_reserve > computer.disk:
        raise refuse(
            "disk_reserve",
            f"{units.format_size(offer.disk_reserve)} are to stay free, on a disk of "
            f"{_about(computer.disk)}: no job would ever fit.",
            "a smaller size",
        )


def _about(size: int) -> str:
    return f"{size / (1 << 30):.1f}GiB"


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, content: dict[str, Any]) -> Config:
        values: dict[str, dict[str, Any]] = {section: {} for section in KEYS}
        for section, keys in content.items():
            if section not in KEYS:
                raise self._unknown(section, list(KEYS), "section")
            if not isinstance(keys, dict):
                raise FallowError(
                    f"{self._name}: {section} is a section, not a value",
                    hint=f"write a line [{section}] and its keys below it",
                )
            values[section] = self._section(section, keys)
        presence = Policy(**values["presence"])
        return Config(presence, Offer(**values["offer"]), Jobs(**values["jobs"]))

    def _section(self, section: str, keys: dict[str, Any]) -> dict[str, Any]:
        values = {}
        for key, value in keys.items():
            known = KEYS[section].get(key)
            if known is None:
                raise self._unknown(key, list(KEYS[section]), f"key of [{section}]")
            try:
                values[key] = known.read(value)
            except Wrong as wrong:
                raise FallowError(
                    f"{self._name}: {section}.{key} = {value!r} cannot be",
                    f"It must be {wrong}.",
                ) from None
        return values

    def _unknown(self, word: str, known: list[str], what: str) -> FallowError:
        near = difflib.get_close_matches(word, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(sorted(known))}"
        return FallowError(f"{self._name}: {word!r} is not a {what}", hint=hint)
