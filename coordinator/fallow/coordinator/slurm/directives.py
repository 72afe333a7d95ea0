"""`#SBATCH` lines: which options there are, and how a value survives the grammar of such a line.

Not shell: white space splits, quotes group, a backslash escapes even inside single quotes, an
unquoted `#` begins a comment, and a newline ends the line. Not which options a batch needs
(`classes`); the opposite is `words`, which writes shell.
"""

import difflib
import re
import unicodedata
from collections.abc import Mapping

from fallow.shared.aliases import Place
from fallow.shared.batch import Scalar
from fallow.shared.errors import BatchError
from fallow.shared.placeholders import show

_OPTION = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*")
_PLAIN = re.compile(r"[a-zA-Z0-9_.,:@%+&|*/-]+")
_OURS = {
    "array": "one task per job is asked for anyway",
    "chdir": "the folder may be copied anywhere",
    "comment": "`submit.sh` finds its jobs again by it",
    "dependency": "jobs wait for the build by it; for other batches use `after`",
    "kill_on_invalid_dep": "a failed build ends the jobs that wait for it",
    "open_mode": "output is appended anyway",
    "parsable": "`submit.sh` needs it",
    "test_only": "`submit.sh` does that first",
    "wrap": "the job is run by a script of its own",
    "wait": "`submit.sh` does not wait; `status.sh` shows how far it is",
    "wait_all_nodes": "a job begins on one node",
}
KNOWN = (
    "account",
    "cpus_per_task",
    "constraint",
    "exclude",
    "exclusive",
    "gpus",
    "gres",
    "hint",
    "job_name",
    "mail_type",
    "mail_user",
    "mem",
    "mem_per_cpu",
    "nice",
    "nodelist",
    "nodes",
    "ntasks",
    "output",
    "partition",
    "qos",
    "reservation",
    "time",
)


def quote(text: str) -> str:
    """The text as one word of an `#SBATCH` line; ValueError where it cannot stand in one."""
    problem = text_problem(text)
    if problem:
        raise ValueError(problem)
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def text_problem(text: str) -> str | None:
    """Why this cannot stand on an `#SBATCH` line, or None."""
    for char in text:
        if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}:
            return f"contains the control character {char!a}"
    if len(text.encode()) > 1000:
        return "is longer than 1000 bytes"
    return None


def options(slurm: Mapping[str, Scalar], place: Place) -> dict[str, str | None]:
    """The options that a `slurm:` section asks for, by their long names; None: without a value.

    BatchError for one that cannot be given, or that Fallow gives itself.
    """
    found: dict[str, str | None] = {}
    for key, value in slurm.items():
        here = (*place, key)
        if not _OPTION.fullmatch(key):
            raise BatchError(f"{key!r} cannot be an option of sbatch", path=here)
        name = key.replace("-", "_")
        if name in _OURS:
            raise BatchError(f"`{key}` is set by Fallow itself: {_OURS[name]}", path=here)
        if len(name) == 1:
            raise BatchError(
                f"{key!r} is the short form of an option", hint="write the long one", path=here
            )
        text = show(value)
        problem = text_problem(text)
        if problem:
            raise BatchError(f"{text!r} {problem}", hint="leave it out", path=here)
        option = name.replace("_", "-")
        if option in found:
            raise BatchError(f"`{option}` stands here twice", path=here)
        if value is True:
            found[option] = None
        elif value is not False:
            found[option] = text
    return found


def likely(key: str) -> str | None:
    """The option that a key was probably meant to be, where it is not one that is often used."""
    name = key.replace("-", "_")
    if name in KNOWN:
        return None
    close = difflib.get_close_matches(name, KNOWN, 1, 0.8)
    return close[0] if close else None


def line(option: str, value: str | None = None) -> str:
    """One directive; ValueError where the value cannot stand in one."""
    return f"#SBATCH --{option}" + ("" if value is None else f"={quote(value)}")


def seconds_of(time: str) -> int | None:
    """The seconds of a time limit as SLURM writes it, None for none and for what it is not.

    `MM`, `MM:SS`, `HH:MM:SS`, `D-HH`, `D-HH:MM`, `D-HH:MM:SS`.
    """
    days, dash, rest = time.strip().rpartition("-")
    parts = rest.split(":")
    try:
        numbers = [int(part) for part in parts]
        day = int(days) if dash else 0
    except ValueError:
        return None
    if len(numbers) > 3 or min(numbers) < 0 or day < 0:
        return None
    if dash:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, (minutes, seconds) = 0, [*numbers, 0][:2]
    return ((day * 24 + hours) * 60 + minutes) * 60 + seconds


def time_of(seconds: int) -> str:
    """So many seconds as a time limit, whole minutes, rounded up."""
    minutes = -(-seconds // 60)
    return f"{minutes // 1440}-{minutes // 60 % 24:02}:{minutes % 60:02}:00"
