"""What the files of an exported folder say about its jobs, and what follows: how each one is.

Not the reading of those files nor the results (`collect`). The status files that attempts left are
the truth; SLURM's own word only tells of those that left none.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, get_args

from msgspec import Struct

from fallow.shared.runs import Crashed, Exit, Exited, Signalled, Stopped

How = Literal["exited", "run_time", "timeout", "not_started", "stopped", "requeued"]
_HOWS: Final[dict[str, How]] = {how: how for how in get_args(How)}
State = Literal["exported", "queued", "running", "succeeded", "failed", "killed"]
"""How a job is, in the words of `status`; exported: not handed to SLURM, or nothing is known."""

_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "REQUEUE_FED"}
_RUNNING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING", "RESIZING"}


class Began(Struct, frozen=True, kw_only=True):
    """The first that an attempt says: which SLURM job it is, and on which node."""

    slurm: str = ""
    node: str = ""


class Ended(Struct, frozen=True, kw_only=True):
    """The last that an attempt says. Times are wall-clock seconds; `sums` a hash of `sums`."""

    how: How
    code: int
    text: str
    slurm: str
    node: str
    started: float | None
    ended: float
    run_seconds: float
    sums: str

    @property
    def good(self) -> bool:
        return self.how == "exited" and self.code == 0

    @property
    def final(self) -> bool:
        """Whether it counts as a failure or success of the job: it was not cut off."""
        return self.how in {"exited", "run_time", "timeout", "not_started"}

    @property
    def exit(self) -> Exit:
        """In the words that a workstation has for it."""
        match self.how:
            case "exited" if 128 < self.code <= 128 + 64:
                return Signalled(self.code - 128)
            case "exited":
                return Exited(self.code)
            case "run_time" | "timeout":
                return Stopped("run_time")
            case "not_started":
                return Crashed()
            case "stopped" | "requeued":
                return Stopped("evict")


class Attempt(Struct, frozen=True):
    """One attempt that has begun, by its number from 1; `ended` is None without a status file."""

    number: int
    began: Began
    ended: Ended | None


class Word(Struct, frozen=True):
    """What SLURM said last about a task: its state in capitals, and why."""

    state: str
    reason: str = ""

    @property
    def waits(self) -> bool:
        return self.state in _WAITING

    @property
    def runs(self) -> bool:
        return self.state in _RUNNING

    @property
    def lives(self) -> bool:
        return self.waits or self.runs


class Fate(Struct, frozen=True):
    """How a job is, and why in a sentence where that needs one.

    `shown` are the attempts whose files belong into the results: failures, then what counts.
    """

    state: State
    reason: str = ""
    shown: tuple[Attempt, ...] = ()


def read_began(text: str) -> Began:
    """The file `began`; what is missing in it is left empty."""
    pairs = _pairs(text)
    return Began(slurm=pairs.get("slurm", ""), node=pairs.get("node", ""))


def read_status(text: str) -> Ended | None:
    """The file `status`, None where it is not whole."""
    if not text.endswith("\nend\n"):
        return None
    pairs = _pairs(text)
    how, _, code = pairs.get("how", "").partition(" ")
    if pairs.get("schema") != "1" or how not in _HOWS:
        return None
    try:
        return Ended(
            how=_HOWS[how],
            code=int(code or 0),
            text=pairs.get("text", ""),
            slurm=pairs.get("slurm", ""),
            node=pairs.get("node", ""),
            started=int(pairs["started"]) / 1000 if pairs.get("started") else None,
            ended=int(pairs["ended"]) / 1000,
            run_seconds=int(pairs.get("run") or 0) / 1000,
            sums=pairs.get("sums", ""),
        )
    except (KeyError, ValueError):
        return None


def read_sums(text: str) -> dict[str, str]:
    """What sha256sum wrote: path -> hash. ValueError for a line that is none."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"(\\?)([0-9a-f]{64})  (.+)", line)
        if match is None:
            raise ValueError(f"not a line of sha256sum: {line!r}")
        path = match[3]
        if match[1]:
            path = re.sub(r"\\([\\nr])", lambda each: _ESCAPES[each[1]], path)
        found[path] = match[2]
    return found


_ESCAPES = {"\\": "\\", "n": "\n", "r": "\r"}


class Words(Struct, frozen=True):
    """SLURM's words by (array, task); `asked` is when, in wall-clock seconds, None for never."""

    asked: float | None
    by_task: Mapping[tuple[str, str], Word]
    arrays: Mapping[str, str] = {}
    """By key, the array that was found to have it."""


def read_words(text: str) -> Words:
    """What `status.sh` noted; lines that are none are left out."""
    asked: float | None = None
    found: dict[tuple[str, str], Word] = {}
    arrays: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) == 1 and line.isdigit():
            asked = float(line)
        elif parts[0] == "sacct" and len(parts) == 4:
            array, _, task = parts[1].partition("_")
            # "CANCELLED by 1000": who it was does not matter.
            found[array, task] = Word(parts[2].partition(" ")[0], f"exit code {parts[3]}")
        elif len(parts) == 5:
            found[parts[0], parts[1]] = Word(parts[2], "" if parts[4] == "None" else parts[4])
            arrays[parts[3]] = parts[0]
    return Words(asked, found, arrays)


def decide(
    attempts: Sequence[Attempt], word: Word | None, *, submitted: bool, asked: bool, build: str
) -> Fate:
    """How a job is.

    `word` is SLURM's last one about it; `asked` whether SLURM was asked at all, so that no word
    means that it has forgotten; `build` why the build failed, else empty.
    """
    for attempt in attempts:
        if attempt.ended is not None and attempt.ended.good:
            return Fate("succeeded", "", (*_failures(attempts, attempt.number), attempt))
    failures = _failures(attempts)
    lives = word is not None and word.lives
    if not attempts:
        return _never_began(word, submitted, asked, build)
    last = attempts[-1]
    if lives:
        assert word is not None
        return Fate("running" if word.runs else "queued", _waiting(word), failures)
    if last.ended is None:
        if word is None and not asked:
            return Fate("running", "SLURM was not asked; call status.sh on the cluster", failures)
        said = f"SLURM's last word: {_say(word)}" if word else "SLURM does not know it any more"
        state: State = "killed" if word is not None and word.state == "CANCELLED" else "failed"
        reason = f"it ended on {last.began.node} without leaving a status. {said}"
        return Fate(state, reason, (*failures, last) if state == "failed" else failures)
    if last.ended.final:
        return Fate("failed", _why(last.ended, word), failures)
    if word is not None and word.state in {"TIMEOUT", "DEADLINE"}:
        return Fate("failed", "its time at SLURM was over", (*failures, last))
    if last.ended.how == "requeued" and word is None and not asked:
        return Fate("queued", last.ended.text, failures)
    if last.ended.how == "requeued" and word is None:
        return Fate("failed", "it was to go on, but SLURM does not know it any more", (last,))
    if word is not None and word.state not in {"CANCELLED", "COMPLETED", "FAILED"}:
        return Fate("failed", f"SLURM's last word: {_say(word)}", (*failures, last))
    return Fate("killed", last.ended.text or "it was cancelled", failures)


def _failures(attempts: Iterable[Attempt], before: int | None = None) -> tuple[Attempt, ...]:
    return tuple(
        each
        for each in attempts
        if each.ended is not None
        and each.ended.final
        and not each.ended.good
        and (before is None or each.number < before)
    )


def _never_began(word: Word | None, submitted: bool, asked: bool, build: str) -> Fate:
    if build and not (word is not None and word.runs):
        return Fate("killed", f"it was cancelled, since {build}")
    if word is None:
        if submitted and asked:
            return Fate("failed", "SLURM does not know it any more, and it never began")
        return Fate("queued" if submitted else "exported")
    if word.waits:
        return Fate("queued", _waiting(word))
    if word.runs:
        return Fate("running")
    if word.state == "CANCELLED":
        return Fate("killed", f"it was cancelled before it began: {_say(word)}")
    return Fate("failed", f"it never began. SLURM's last word: {_say(word)}")


def _waiting(word: Word) -> str:
    return word.reason if word.waits else ""


def _why(ended: Ended, word: Word | None) -> str:
    match ended.how:
        case "exited" if ended.code == 137 and word is not None and word.state == "OUT_OF_MEMORY":
            return "it used more memory than it had asked for"
        case "exited":
            shown = ended.exit
            if isinstance(shown, Signalled):
                return f"it was ended by signal {shown.signal}"
            return f"exit code {ended.code}"
        case _:
            return ended.text


def _say(word: Word) -> str:
    return f"{word.state} ({word.reason})" if word.reason else word.state


def _pairs(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, mark, value in pairs if mark}
