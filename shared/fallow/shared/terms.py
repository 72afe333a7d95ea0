"""What a batch asks for besides its jobs: limits, endings, owners, people to tell; checked here.

Not the jobs and their inputs (`checks`, which asks here). What the words mean is for those who
act on them: the coordinator and the agent.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from fallow.shared.aliases import Place, check_text
from fallow.shared.batch import Batch, Checkpoint, Scalar
from fallow.shared.errors import BatchError, Mistakes, UsageError
from fallow.shared.ids import alias_problem, parse_ref

SIGNALS: Final = ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "ALRM", "CONT", "WINCH")
"""Signals that a program can take as the word to save itself."""

_LONGEST: Final = 100 * 366 * 86400.0
_LONGEST_GRACE: Final = 86400.0
_MOST_RETRIES: Final = 1000
_MOST_ENTRIES: Final = 100
_MATRIX = re.compile(r"@[^\s:@]+:[^\s/@]+", re.ASCII)
_WEBHOOK = re.compile(r"https?://[^\s/]+(?:/\S*)?", re.ASCII)
_OPTION = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*", re.ASCII)


def check_terms(batch: Batch) -> None:
    """BatchError for a limit, an ending or a name that cannot be."""
    mistakes = Mistakes()
    _check_endings(batch, mistakes)
    if batch.checkpoint is not None:
        _check_checkpoint(batch.checkpoint, mistakes)
    with mistakes:
        _check_after(batch)
    with mistakes:
        _check_people(batch)
    with mistakes:
        check_slurm(batch.slurm, ("slurm",))
    mistakes.tell()


def check_slurm(options: Mapping[str, Scalar], place: Place) -> None:
    """BatchError for an option that would not be one line of a SLURM script."""
    for name, value in options.items():
        here = (*place, name)
        if not _OPTION.fullmatch(name):
            raise BatchError(
                f"{name!r} cannot be an option of sbatch",
                hint="write its long name without the dashes, for example ntasks",
                path=here,
            )
        if isinstance(value, str):
            check_text(value, here)
            if any(ord(char) < 32 or ord(char) == 127 for char in value):
                raise BatchError("An option of sbatch is one line of text", path=here)
        elif value - value != 0:
            raise BatchError("An option of sbatch is a finite number", path=here)


def _check_endings(batch: Batch, mistakes: Mistakes) -> None:
    limits, failure, lost = batch.limits, batch.on_failure, batch.on_lost
    with mistakes:
        _check_duration(limits.run_time, ("limits", "run_time"), above=0.0)
    with mistakes:
        if not 0 <= failure.retries <= _MOST_RETRIES:
            raise BatchError(
                f"0 to {_MOST_RETRIES} retries are possible, not {failure.retries}",
                path=("on_failure", "retries"),
            )
    with mistakes:
        _check_duration(failure.back_off, ("on_failure", "back_off"))
    with mistakes:
        _check_duration(batch.on_owner_return.max_pause, ("on_owner_return", "max_pause"))
    with mistakes:
        _check_duration(lost.after, ("on_lost", "after"), above=0.0)


def _check_duration(
    seconds: float | None, place: Place, *, above: float | None = None, most: float = _LONGEST
) -> None:
    if seconds is None:
        return
    if above is not None and seconds <= above:
        raise BatchError("It has to be longer than nothing", path=place)
    if not 0.0 <= seconds <= most:
        longest = "a hundred years" if most == _LONGEST else "a day"
        raise BatchError(f"It has to be between nothing and {longest}", path=place)


def _check_checkpoint(checkpoint: Checkpoint, mistakes: Mistakes) -> None:
    place = ("checkpoint",)
    with mistakes:
        _check_signal(checkpoint.signal, (*place, "signal"))
    with mistakes:
        _check_duration(checkpoint.grace, (*place, "grace"), most=_LONGEST_GRACE)
    with mistakes:
        _check_saved(checkpoint, place)


def _check_signal(signal: str, place: Place) -> None:
    if signal not in SIGNALS:
        bare = signal.upper().removeprefix("SIG")
        close = get_close_matches(bare, SIGNALS, n=1, cutoff=0.5)
        why = "ends a program at once" if bare in {"KILL", "STOP"} else "is no signal to save on"
        raise BatchError(
            f"{signal!r} {why}",
            f"There are {', '.join(SIGNALS)}.",
            f"did you mean {close[0]}?" if close and bare not in {"KILL", "STOP"} else "",
            path=place,
        )


def _check_saved(checkpoint: Checkpoint, place: Place) -> None:
    for number, name in enumerate(checkpoint.files):
        here = (*place, "files", number)
        check_text(name, here)
        problem = alias_problem(name.removesuffix("/"))
        if problem:
            raise BatchError(
                f"The place {name!r} {problem}",
                hint="write a file or folder/ below the work folder, for example checkpoint/",
                path=here,
            )
        if checkpoint.files.index(name) < number:
            raise BatchError(f"{name!r} is here twice", path=here)


def _check_after(batch: Batch) -> None:
    _check_count(batch.after, "after")
    for number, text in enumerate(batch.after):
        place = ("after", number)
        try:
            ref = parse_ref(text)
        except UsageError as error:
            raise BatchError(error.title, error.detail, error.hint, path=place) from None
        namespace = ref.namespace if ref.namespace is not None else batch.meta.namespace
        if (namespace, ref.batch) == (batch.meta.namespace, batch.meta.batch_name):
            raise BatchError("A batch cannot wait for itself", path=place)


def _check_people(batch: Batch) -> None:
    matrix = batch.meta.matrix
    if matrix is not None and not _MATRIX.fullmatch(matrix):
        raise BatchError(
            f"{matrix!r} is no Matrix user",
            hint='write it like "@ana:example.org"',
            path=("meta", "matrix"),
        )
    _check_count(batch.notify, "notify")
    for number, text in enumerate(batch.notify):
        place = ("notify", number)
        check_text(text, place)
        if text == "desktop" or _WEBHOOK.fullmatch(text):
            continue
        if text.startswith("matrix:") and _MATRIX.fullmatch(text.removeprefix("matrix:")):
            continue
        hint = 'write desktop, "matrix:@ana:example.org" or "https://hooks.example.org/x"'
        if _MATRIX.fullmatch(text):
            hint = f'did you mean "matrix:{text}"?'
        elif get_close_matches(text, ("desktop",), n=1, cutoff=0.6):
            hint = "did you mean `desktop`?"
        raise BatchError(f"{text!r} is nobody who can be told", hint=hint, path=place)


def _check_count(entries: tuple[str, ...], key: str) -> None:
    if len(entries) > _MOST_ENTRIES:
        raise BatchError(f"At most {_MOST_ENTRIES} entries are possible here", path=(key,))
