"""How sbatch reads a line of a script: its own tokenizer, ported for tests.

Not ours: `fallow.coordinator.slurm.directives` writes such lines; that this reads them as the real
one does is tested beside it. After SLURM's src/sbatch/opt.c, `_get_next_token` and around.
"""

_SPACE = " \t\n\v\f\r"


class Unreadable(Exception):
    """A quote that is never closed: sbatch ends with an error."""


def tokens(line: str) -> list[str]:
    """The words of one `#SBATCH` line; empty when it is none."""
    if not line.startswith("#SBATCH"):
        return []
    rest = line.removeprefix("#SBATCH")
    found: list[str] = []
    while True:
        rest = rest.lstrip(_SPACE)
        if not rest or rest[0] == "#":
            return found
        word, rest, ended = _next(rest)
        found.append(word)
        if ended:
            return found


def _next(text: str) -> tuple[str, str, bool]:
    word, quote, escaped = "", "", False
    for at, char in enumerate(text):
        if escaped:
            word, escaped = word + char, False
        elif char == "\\":
            escaped = True
        elif quote:
            if char == quote:
                quote = ""
            else:
                word += char
        elif char in "'\"":
            quote = char
        elif char == "#":
            return word, "", True
        elif char in _SPACE:
            return word, text[at:], False
        else:
            word += char
    if quote:
        raise Unreadable(text)
    return word, "", True
