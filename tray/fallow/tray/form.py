"""The Preferences as a form: every key of `agent.toml` in words, what can be typed, what is sent.

Not which values are right: the agent says that, at the field (`config_keys` and `config`, its
opposites, read what this writes). A value is written here as it stands in the file.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct

Kind = Literal[
    "switch", "duration", "number", "percent", "size", "rate", "list", "choice", "memory"
]
"""How a value is shown and typed: `number` may be a word as well, `choice` is one of its words."""

Values = Mapping[str, Mapping[str, Any]]


class Field(Struct, frozen=True):
    """One key: what it is called, a sentence about it, and what is offered to choose from.

    `words` pairs values of the file with their words here, `offers` are texts that can be typed.
    """

    section: str
    key: str
    kind: Kind
    label: str
    about: str
    words: tuple[tuple[Any, str], ...] = ()
    offers: tuple[str, ...] = ()
    least: int = 0
    most: int = 100

    @property
    def name(self) -> str:
        return f"{self.section}.{self.key}"


class Group(Struct, frozen=True):
    """Fields that belong together."""

    title: str
    fields: tuple[Field, ...]


GROUPS: Final = (
    Group(
        "When jobs may &run",
        (
            Field(
                *("presence", "idle_after", "duration", "The desk is free after"),
                "Nobody has touched keyboard or mouse for so long.",
                offers=("2 minutes", "5 minutes", "10 minutes", "30 minutes", "1 hour"),
            ),
            Field(
                *("presence", "settle", "duration", "and then wait another"),
                "So that nothing starts in the moment in which you only looked away.",
                offers=("0 seconds", "30 seconds", "1 minute", "5 minutes"),
            ),
            Field(
                *("presence", "hours", "list", "Only in these hours"),
                "For example: 18:00-08:00, sat-sun. Empty means at any time.",
            ),
            Field(
                *("presence", "ac_only", "switch", "Not on battery"),
                "Jobs pause while the charger is unplugged.",
            ),
            Field(
                *("presence", "exclusive", "list", "Not while these programs are open"),
                "For example: blender, matlab. Jobs pause while one of them runs.",
            ),
            Field(
                *("presence", "foreign_cpu", "percent", "Others count as busy from"),
                "Jobs pause while other programs use so much of all processors.",
                least=1,
            ),
            Field(
                *("presence", "desk", "switch", "Somebody sits at this computer"),
                "Switch it off for a computer without a desk: nobody is looked for then.",
            ),
        ),
    ),
    Group(
        "What is &offered",
        (
            Field(
                *("offer", "cpus", "number", "Processor cores"),
                "How many of them jobs may use.",
                words=(("all", "all"),),
                offers=("1", "2", "4", "8"),
            ),
            Field(
                *("offer", "memory", "memory", "Memory"),
                "A share such as 80%, or a size such as 16GiB; the rest stays yours.",
                words=(("all", "all"),),
                offers=("50%", "80%", "16GiB"),
            ),
            Field(
                *("offer", "gpus", "number", "Graphics cards"),
                "How many of them jobs may compute on.",
                words=(("all", "all"),),
                offers=("0", "1", "2"),
            ),
            Field(
                *("offer", "disk_reserve", "size", "Disk that stays free"),
                "What jobs ask for has to fit beside this.",
                offers=("5GiB", "10GiB", "50GiB"),
            ),
            Field(
                *("offer", "bandwidth", "rate", "Network"),
                "How fast files of jobs may be sent and fetched.",
                words=(("none", "without a limit"),),
                offers=("1MB/s", "5MB/s", "20MB/s"),
            ),
            Field(
                *("offer", "capabilities", "list", "Programs for jobs"),
                "For example: gfortran, python3. Empty means that Fallow looks for itself.",
            ),
            Field(
                *("offer", "not_from", "list", "No jobs from"),
                "Names of people whose jobs do not run here.",
            ),
        ),
    ),
    Group(
        "&How jobs run",
        (
            Field(
                *("jobs", "sandbox", "choice", "Keep jobs from my files"),
                "In a sandbox a job sees the system and its own folder: not your files or screen.",
                words=(
                    ("auto", "Yes; without a sandbox no job runs"),
                    ("bubblewrap", "Yes, with bubblewrap"),
                    ("none", "No: jobs can read what I can read"),
                ),
            ),
            Field(
                *("jobs", "read_only", "list", "Folders that jobs may read"),
                "For example: /opt/conda. They see the system's own folders anyway.",
            ),
            Field(
                *("jobs", "nice", "number", "How much jobs stand back"),
                "19 is the most: everything else on this computer comes first. 0 is not at all.",
                offers=("0", "10", "19"),
                most=19,
            ),
            Field(
                *("jobs", "max_pause", "duration", "A paused job keeps its memory for"),
                "After that it is sent to another computer.",
                words=(("never", "as long as it takes"),),
                offers=("1 hour", "4 hours", "1 day"),
            ),
        ),
    ),
)
FIELDS: Final = tuple(field for group in GROUPS for field in group.fields)

_UNITS = {"w": "week", "d": "day", "h": "hour", "m": "minute", "s": "second"}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[wdhms])+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.ASCII)


def text_of(field: Field, value: Any) -> str:
    """What stands in the field for this value of the file; None is empty."""
    for known, word in field.words:
        if value == known:
            return word
    if value is None:
        return ""
    if field.kind == "list":
        return ", ".join(value)
    if field.kind == "duration":
        return _in_words(str(value))
    return str(value)


def value_of(field: Field, text: str) -> Any:
    """The value for the file that this text means; what means nothing stays text, to be refused."""
    cleaned = " ".join(text.split())
    for known, word in field.words:
        if cleaned.casefold() in {word.casefold(), str(known)}:
            return known
    if field.kind == "list":
        words = [each.strip() for each in cleaned.split(",")]
        return [each for each in words if each] or None
    if field.kind == "duration":
        return _in_letters(cleaned)
    if field.kind == "number":
        return int(cleaned) if re.fullmatch(r"\d{1,9}", cleaned) else cleaned
    return cleaned


def changes(before: Values, now: Values) -> dict[str, dict[str, Any]]:
    """The keys that differ, with their new values; None where one goes back to its default."""
    found: dict[str, dict[str, Any]] = {}
    for field in FIELDS:
        old = before.get(field.section, {}).get(field.key)
        new = now[field.section][field.key]
        if new != old and not (field.kind == "list" and not new and not old):
            found.setdefault(field.section, {})[field.key] = new
    return found


def field_of(sentence: str) -> Field | None:
    """The field that an error's title is about; of several the first that it names."""
    places = {field: sentence.find(field.name) for field in FIELDS}
    named = [field for field, at in places.items() if at >= 0]
    # `presence.idle` is the beginning of `presence.idle_after`.
    return min(named, key=lambda field: (places[field], -len(field.name)), default=None)


def in_labels(hint: str, section: str) -> str:
    """A hint in which keys of this section are called as they are here."""
    labels = {field.key: field.label for field in FIELDS if field.section == section}
    return re.sub(r"\w+", lambda word: _labelled(labels, word[0]), hint)


def _labelled(labels: Mapping[str, str], word: str) -> str:
    return f"“{labels[word]}”" if word in labels else word


def _in_words(text: str) -> str:
    """ "1h30m" as "1 hour 30 minutes"."""
    cleaned = text.replace(" ", "")
    if not _DURATION.fullmatch(cleaned):
        return text
    parts = _PART.findall(cleaned)
    return " ".join(f"{count} {_UNITS[unit]}{'' if count == '1' else 's'}" for count, unit in parts)


def _in_letters(text: str) -> str:
    """ "1 hour 30 minutes" as "1h30m"; other text as it is."""
    parts = _PART.findall(text.lower())
    rest = _PART.sub("", text.lower()).replace("and", "").replace(",", "").strip()
    letters = [_letter(word) for _, word in parts]
    if not parts or rest or not all(letters):
        return text
    return "".join(f"{count}{letter}" for (count, _), letter in zip(parts, letters, strict=True))


def _letter(word: str) -> str:
    for letter, unit in _UNITS.items():
        if word.removesuffix("s") in {letter, unit, unit[:3]} or word == letter:
            return letter
    return ""
