"""What a job says of itself in the file FALLOW_PROGRESS: how far it is, and a few words.

Not the reading of the file (`files`). A job may be writing while it is read, may append a line each
time, and may write anything at all: what is no share says nothing.
"""

from fallow.shared.runs import Progress

_LONGEST = 200  # characters of its words


def parse(text: str) -> Progress | None:
    """The last line that is `0.43` or `0.43 text`, None where there is none."""
    for line in reversed(text.splitlines()):
        said = _parse_line(line)
        if said is not None:
            return said
    return None


def _parse_line(line: str) -> Progress | None:
    share, *rest = line.split(maxsplit=1)[:2] or ("",)
    try:
        value = float(share)
    except ValueError:
        return None
    if not 0.0 <= value <= 1.0:
        return None
    words = "".join(rest).strip()[:_LONGEST]
    return Progress(value, "".join(each if each.isprintable() else " " for each in words))
