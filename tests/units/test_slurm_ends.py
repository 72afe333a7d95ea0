"""How a job of an export is: from what its attempts left, and from SLURM's last word.

Pure; on a real SLURM it is in tests/slurm/test_endings.py.
"""

import pytest

from fallow.coordinator.slurm.ends import (
    Attempt,
    Began,
    Ended,
    Word,
    decide,
    read_status,
    read_sums,
    read_words,
)

BEGAN = Began(slurm="7", node="node1")


def attempt(number: int, how: str | None, code: int = 0, text: str = "") -> Attempt:
    if how is None:
        return Attempt(number, BEGAN, None)
    ended = Ended(
        how=how,  # type: ignore[arg-type]
        code=code,
        text=text,
        slurm="7",
        node="node1",
        started=1.0,
        ended=2.0,
        run_seconds=1.0,
        sums="",
    )
    return Attempt(number, BEGAN, ended)


GOOD = attempt(1, "exited")
BAD = attempt(1, "exited", 3)
AGAIN = attempt(2, "exited", 4)
DEAD = attempt(1, None)
CUT = attempt(1, "stopped")
LATER = attempt(1, "requeued", text="it goes on")
SLOW = attempt(1, "run_time", text="too long")

CASES = [
    # attempts, SLURM's word, whether it was asked -> state, words of the reason, shown attempts
    ((), None, True, "failed", "never began", ()),
    ((), None, False, "queued", "", ()),
    ((), "PENDING", True, "queued", "", ()),
    ((), "RUNNING", True, "running", "", ()),
    ((), "CANCELLED", True, "killed", "before it began", ()),
    ((), "NODE_FAIL", True, "failed", "NODE_FAIL", ()),
    ((GOOD,), None, False, "succeeded", "", (1,)),
    ((GOOD,), "FAILED", True, "succeeded", "", (1,)),
    ((BAD,), "RUNNING", True, "running", "", (1,)),
    ((BAD,), "FAILED", True, "failed", "exit code 3", (1,)),
    ((BAD, AGAIN), None, True, "failed", "exit code 4", (1, 2)),
    ((BAD, attempt(2, "exited")), None, True, "succeeded", "", (1, 2)),
    ((SLOW,), "FAILED", True, "failed", "too long", (1,)),
    ((DEAD,), None, False, "running", "SLURM was not asked", ()),
    ((DEAD,), None, True, "failed", "does not know it any more", (1,)),
    ((DEAD,), "PENDING", True, "queued", "", ()),
    ((DEAD,), "OUT_OF_MEMORY", True, "failed", "OUT_OF_MEMORY", (1,)),
    ((DEAD,), "CANCELLED", True, "killed", "CANCELLED", ()),
    ((CUT,), "CANCELLED", True, "killed", "cancelled", ()),
    ((CUT,), "TIMEOUT", True, "failed", "its time at SLURM was over", (1,)),
    ((CUT,), "PREEMPTED", True, "failed", "PREEMPTED", (1,)),
    ((CUT,), None, True, "killed", "cancelled", ()),
    ((LATER,), "PENDING", True, "queued", "", ()),
    ((LATER,), None, False, "queued", "goes on", ()),
    ((LATER,), None, True, "failed", "was to go on", (1,)),
    ((LATER,), "CANCELLED", True, "killed", "goes on", ()),
    ((attempt(1, "exited", 137),), "OUT_OF_MEMORY", True, "failed", "more memory", (1,)),
    ((attempt(1, "exited", 139),), None, True, "failed", "signal 11", (1,)),
]


@pytest.mark.parametrize(("attempts", "word", "asked", "state", "reason", "shown"), CASES)
def test_how_a_job_is(
    attempts: tuple[Attempt, ...],
    word: str | None,
    asked: bool,
    state: str,
    reason: str,
    shown: tuple[int, ...],
) -> None:
    told = Word(word) if word is not None else None
    fate = decide(attempts, told, submitted=True, asked=asked, build="")
    assert fate.state == state, fate
    assert reason in fate.reason
    assert tuple(each.number for each in fate.shown) == shown


def test_what_was_never_submitted() -> None:
    assert decide((), None, submitted=False, asked=True, build="").state == "exported"


def test_a_failed_build_is_the_reason() -> None:
    fate = decide((), Word("CANCELLED"), submitted=True, asked=True, build="the build failed")
    assert (fate.state, fate.reason) == ("killed", "it was cancelled, since the build failed")


STATUS = "schema=1\nhow=exited 3\ntext=\nslurm=7\nnode=n=1\nstarted=1500\nended=2500\nrun=1000\n"


def test_a_status_file_counts_only_when_it_is_whole() -> None:
    whole = STATUS + "sums=ab\nend\n"
    found = read_status(whole)
    assert found is not None
    assert (found.how, found.code, found.node, found.started) == ("exited", 3, "n=1", 1.5)
    assert not found.good
    for cut in range(len(whole)):
        assert read_status(whole[:cut]) is None
    for bad in ("how=exploded", "how=exited x", "schema=2"):
        name = bad.partition("=")[0]
        lines = [bad if line.startswith(name + "=") else line for line in whole.splitlines()]
        assert read_status("\n".join((*lines, ""))) is None


def test_sums_of_odd_names() -> None:
    line = "0" * 64
    text = f"{line}  a b\n\\{line}  back\\\\slash\\nnew\\rline\n"
    assert read_sums(text) == {"a b": line, "back\\slash\nnew\rline": line}
    with pytest.raises(ValueError, match="not a line"):
        read_sums("x  y\n")


def test_words_of_squeue_and_sacct() -> None:
    words = read_words(
        "1795363520\n16|0|COMPLETED|fallow-e-1-0-0|None\n16|1|PENDING|fallow-e-1-0-0|Priority\n"
        "sacct|16_0|CANCELLED by 1000|0:15\nodd\n"
    )
    assert words.asked == 1795363520.0
    assert words.by_task["16", "0"] == Word("CANCELLED", "exit code 0:15")
    assert words.by_task["16", "1"] == Word("PENDING", "Priority")
    assert words.arrays == {"fallow-e-1-0-0": "16"}
