"""Texts with placeholders: `{re}` stands for a value, `{{re}}` for itself, `${VAR}` passes through.

Not which names exist (`checks`) nor where values come from (`sweep`). In a shell line a value is
quoted for the shell, so it is one word whatever it holds.
"""

import re
import shlex
from collections.abc import Callable

from msgspec import Struct

from fallow.shared.batch import Scalar

_TOKEN = re.compile(r"\$\{|\{\{(?P<literal>[^\W\d]\w*)\}\}|\{(?P<name>[^\W\d]\w*)\}")


class Template(Struct, frozen=True):
    """A text cut at its placeholders: `literals` has one part more than `names`.

    `in_quotes` tells of each placeholder whether it stands inside the shell quotes of the text.
    """

    literals: tuple[str, ...]
    names: tuple[str, ...]
    in_quotes: tuple[bool, ...]


def parse(text: str) -> Template:
    """Cut a text at its placeholders; every text is a template."""
    literals, names, in_quotes = [""], [], []
    quote, at = "", 0
    for match in _TOKEN.finditer(text):
        between = text[at : match.start()]
        quote, at = _quote_after(between, quote), match.end()
        literals[-1] += between
        if match["name"] is not None:
            names.append(match["name"])
            in_quotes.append(bool(quote))
            literals.append("")
        elif match["literal"] is not None:
            literals[-1] += f"{{{match['literal']}}}"
        else:
            literals[-1] += match[0]
    literals[-1] += text[at:]
    return Template(tuple(literals), tuple(names), tuple(in_quotes))


def fill(template: Template, value: Callable[[str], str]) -> str:
    """The text with each placeholder replaced by what `value` says for its name."""
    if not template.names:
        return template.literals[0]
    parts = [template.literals[0]]
    for name, literal in zip(template.names, template.literals[1:], strict=True):
        parts += (value(name), literal)
    return "".join(parts)


def show(value: Scalar) -> str:
    """A value as text; numbers in their shortest form: 0.1, 100, 1e-05."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return repr(value)


def quote(text: str) -> str:
    """The text as one word of a shell line."""
    return shlex.quote(text)


def _quote_after(text: str, quote: str) -> str:
    """Which quote is open after this piece of a shell line: `'`, `"` or none."""
    escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
    return quote
