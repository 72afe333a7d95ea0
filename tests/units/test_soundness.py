"""What a workstation says is looked at before anybody acts on it."""

import math

import pytest

from fallow.coordinator.soundness import check_said
from fallow.shared.ids import AttemptId
from fallow.shared.messages import (
    PROTOCOL,
    BuildReport,
    Hello,
    Malformed,
    Report,
    Resources,
    RunReport,
    Tailed,
)
from fallow.shared.runs import (
    Crashed,
    Exited,
    Finished,
    Progress,
    Reason,
    Running,
    RunState,
    Signalled,
    Staging,
    Verdict,
)

HASH = "ab" * 32
ATTEMPT = AttemptId("abcd1234", 0, 1)


def hello(cpus: int = 4, memory: int = 1 << 33, words: tuple[str, ...] = ("gfortran",)) -> Hello:
    return Hello("dino", "boot", PROTOCOL, "1.0", Resources(cpus, memory, capabilities=words))


def report(
    state: RunState | None = None,
    seconds: float = 1.5,
    progress: Progress | None = None,
    build: BuildReport | None = None,
    until: float | None = None,
) -> Report:
    run = RunReport(ATTEMPT, state or Running(), False, seconds, 0.0, progress)
    verdict = Verdict("present", (Reason("input", "you are here", until),))
    return Report(1, 1, 0, verdict, True, (build,) if build is not None else (), (run,))


GOOD = [
    hello(),
    hello(cpus=0, words=()),
    report(until=1.7e9),
    report(Staging(5, 10)),
    report(Finished(Exited(0), HASH, 10, True, 1.7e9, 1.7e9 + 5)),
    report(Finished(Crashed())),
    report(Finished(Signalled(9))),
    report(progress=Progress(0.5, "half")),
    report(build=BuildReport("abcd1234", "key", "built", HASH, 3)),
    Tailed(1, b"x", 0, 1),
]
BAD: dict[str, Hello | Report | Tailed] = {
    "processors below zero": hello(cpus=-1),
    "more processors than a database can hold": hello(cpus=1 << 63),
    "more memory than a database can hold": hello(memory=(1 << 64) - 1),
    "no end of capabilities": hello(words=("x",) * 5000),
    "a text without end": hello(words=("x" * 200_000,)),
    "a manifest that is a path": report(Finished(Exited(0), "../../x")),
    "a manifest with a newline": report(Finished(Exited(0), HASH + "\n")),
    "outputs of less than nothing": report(Finished(Exited(0), HASH, -1)),
    "an exit code of nobody": report(Finished(Exited(1 << 60), HASH)),
    "a start after all time": report(Finished(Exited(0), HASH, 1, True, 1e300)),
    "a start that is no number": report(Finished(Exited(0), HASH, 1, True, math.nan)),
    "an end before all time": report(Finished(Exited(0), HASH, 1, True, 1.0, -1e300)),
    "seconds without end": report(seconds=math.inf),
    "seconds below zero": report(seconds=-1.0),
    "progress that is no number": report(progress=Progress(math.nan)),
    "bytes below zero": report(Staging(-1, 10)),
    "an instant after all time": report(until=math.inf),
    "a log that is no hash": report(build=BuildReport("abcd1234", "key", "built", "../x", 3)),
    "a log of all the bytes": report(build=BuildReport("abcd1234", "k", "built", HASH, 1 << 63)),
    "an output that ends before it begins": Tailed(1, b"", 0, -1),
}


@pytest.mark.parametrize("said", GOOD, ids=str)
def test_what_a_workstation_says_passes(said: Hello | Report | Tailed) -> None:
    check_said(said)


@pytest.mark.parametrize("case", sorted(BAD))
def test_what_no_workstation_says_is_refused(case: str) -> None:
    with pytest.raises(Malformed):
        check_said(BAD[case])
