"""Values as words of bash, and as assignments and arrays of them.

Not `#SBATCH` lines, whose grammar is another (`directives`). Whatever the value holds, it is one
word and one line.
"""

from collections.abc import Iterable


def quote(text: str) -> str:
    """The text as one word of bash, on one line; a text of programs holds no NUL."""
    inner = text.replace("'", "'\\''").replace("\n", "'$'\\n''").replace("\r", "'$'\\r''")
    return f"'{inner}'"


def assign(name: str, value: str | int) -> str:
    """An assignment of one value."""
    return f"{name}={value}" if isinstance(value, int) else f"{name}={quote(value)}"


def array(name: str, values: Iterable[str | int]) -> str:
    """An assignment of an array."""
    words = (str(each) if isinstance(each, int) else quote(each) for each in values)
    return f"{name}=({' '.join(words)})"
