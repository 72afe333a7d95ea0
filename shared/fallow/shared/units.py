"""Durations and sizes as people write them: "2h30m", "4GiB" <-> float seconds, int bytes.

Not clock times nor SLURM's "10:00:00". What a workstation counts and what a file says meet here;
`batchfile` is where such texts come from.
"""

import re
from fractions import Fraction

_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_BYTES = {
    "B": 1,
    **{prefix + "B": 1000**power for power, prefix in enumerate("KMGTP", start=1)},
    **{prefix + "iB": 1024**power for power, prefix in enumerate("KMGTP", start=1)},
    # As in SLURM and systemd, a bare letter counts in 1024s.
    **{prefix: 1024**power for power, prefix in enumerate("KMGTP", start=1)},
}
_BYTES_ANY_CASE = {name.lower(): count for name, count in _BYTES.items()}
_NUMBER = r"\d{1,18}(?:\.\d{1,9})?"
_DURATION = re.compile(rf"(?:{_NUMBER}\s*[wdhms]\s*)+", re.ASCII)
_DURATION_PART = re.compile(rf"({_NUMBER})\s*([wdhms])", re.ASCII)
_SIZE = re.compile(rf"({_NUMBER})\s*([A-Za-z]*)", re.ASCII)
_BARE = re.compile(_NUMBER, re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds of "2h30m", "90s", "1.5d", or of a bare number; ValueError says what is wrong."""
    cleaned = text.strip()
    if _BARE.fullmatch(cleaned):
        return float(cleaned)
    if not _DURATION.fullmatch(cleaned):
        raise ValueError(f"{text!r} is not a duration; write it like 90s, 2h30m or 1d")
    parts = _DURATION_PART.findall(cleaned)
    units = [unit for _, unit in parts]
    if units != sorted(set(units), key=list(_SECONDS).index):
        raise ValueError(f"{text!r} is not a duration; write its units once each, largest first")
    return float(sum(Fraction(number) * _SECONDS[unit] for number, unit in parts))


def parse_size(text: str) -> int:
    """Bytes of "4GiB", "20MB", "512K" or a bare number of bytes; ValueError says what is wrong."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it like 500MB or 4GiB")
    unit = _BYTES_ANY_CASE.get(match[2].lower(), 1 if not match[2] else 0)
    if not unit:
        raise ValueError(
            f"{match[2]!r} is not a unit of size; use B, KB, MB, GB, TB, KiB, MiB, GiB, TiB"
        )
    count = Fraction(match[1]) * unit
    if count.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number of bytes")
    return int(count)


def format_duration(seconds: float) -> str:
    """The exact text of so many seconds, without parts that are zero: "2h30m", "1m30s", "0.5s"."""
    whole, rest = divmod(Fraction(repr(float(seconds))), 1)
    text = ""
    for unit in "dhm":
        count, whole = divmod(whole, _SECONDS[unit])
        text += f"{count}{unit}" if count else ""
    last = whole + rest
    if last or not text:
        text += f"{_decimal(last)}s"
    return text


def format_size(count: int) -> str:
    """The shortest exact text of so many bytes: "4GiB", "20MB", "1234B"."""
    exact = [name for name, unit in _BYTES.items() if "B" in name and count % unit == 0]
    texts = [f"{count // _BYTES[name]}{name}" for name in exact]
    return min(texts, key=len) if count else "0B"


def about_size(count: int) -> str:
    """About so many bytes, for people: "6.4 GiB"."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, 4)
    return f"{count / 1024**power:.1f} {'KMGT'[power - 1]}iB"


def _decimal(value: Fraction) -> str:
    if value.denominator == 1:
        return str(int(value))
    return f"{float(value):.9f}".rstrip("0")
