"""Every cell of the table of one batch's build on a workstation: where it stands by event.

While its process lives a build goes by the table of a run; here is what that means for the build.
A cell is written as in test_run_table.py: `~` stays, `-` stale, `!` refused.
"""

import pytest

from fallow.shared.ids import AttemptId
from fallow.shared.messages import Argv, BuildSpec, JobSpec
from fallow.shared.moments import Moment
from fallow.shared.runs import Crashed, Exited, Signalled
from fallow.shared.work import build as builds
from fallow.shared.work import phases, run_words
from fallow.shared.work.build import Build, build_id, handle, is_build
from fallow.shared.work.phases import Process, Run
from fallow.shared.work.run import Refused
from fallow.shared.work.run_words import Event

NOW = Moment(1000.0, 5000.0)
PROCESS = Process("boot", 77, 4711)
JOB = JobSpec("ana", "sweep", "j", "ana", Argv(("true",)), 1, build=BuildSpec("key", Argv(("m",))))
LOG = "ab" * 32


def working(phase: phases.Phase) -> builds.State:
    return builds.Working(Run(build_id("b"), JOB, phase))


STATES: dict[str, builds.State] = {
    "Placing": working(phases.Placing()),
    "Held": working(phases.Held()),
    "Starting": working(phases.Starting()),
    "Alive": working(phases.Alive(PROCESS, 4990.0)),
    "Stopping": working(phases.Stopping(PROCESS, 4990.0, "kill", 999.0)),
    "Collecting": working(phases.Collecting(Exited(0), 4990.0, 4999.0)),
    "Collecting-bad": working(phases.Collecting(Exited(2), 4990.0, 4999.0)),
    "Built": builds.Built(LOG, 5),
    "Failed": builds.Failed(LOG, 5, "exit code 2"),
    "Impossible": builds.Impossible("staging", "disk full"),
    "Abandoned": builds.Abandoned(),
}
EVENTS: dict[str, Event] = {
    "StagingFailed": run_words.StagingFailed("disk full"),
    "Placed": run_words.Placed(),
    "Spawned": run_words.Spawned(PROCESS),
    "NotSpawned": run_words.NotSpawned("sandbox", "no bwrap"),
    "Ended": run_words.Ended(Exited(0)),
    "OutputsHashed": run_words.OutputsHashed(LOG, 5),
    "CollectFailed": run_words.CollectFailed("disk full"),
    "Uploaded": run_words.Uploaded(),
    "Damaged": run_words.Damaged(),
    "Lacking": run_words.Lacking(),
    "Withdrawn": run_words.Withdrawn("kill", 0.0),
    "Frozen": run_words.Frozen(),
    "Thawed": run_words.Thawed(),
    "Restarted": run_words.Restarted(),
    "Rebooted": run_words.Restarted(same_boot=False),
    "Expired": run_words.Expired(),
}
TABLE = """
StagingFailed | Impossible/Forget ! ! ! ! ! ! - - ~/Forget ~/Forget
Placed        | Starting/Spawn ! ~/Spawn ! ! ! ! - - ~/Forget ~/Forget
Spawned       | ! ! Alive ! ! ! ! - - ~/Forget ~/Forget
NotSpawned    | ! ! Impossible/Forget Impossible/Forget Abandoned/Forget ! ! - - ~/Forget ~/Forget
Ended         | ! ! Collecting/Collect Collecting/Collect Abandoned/Kill+Forget - - - - ~/Forget ~/Forget
OutputsHashed | ! ! ! ! ! Built/Upload Failed/Upload - - ~/Forget ~/Forget
CollectFailed | ! ! ! ! ! Impossible/Forget Impossible/Forget - - ~/Forget ~/Forget
Uploaded      | ! ! ! ! ! ! ! ~ ~ ~/Forget ~/Forget
Damaged       | ! ! ! ! ! ! ! Abandoned/Forget Abandoned/Forget ~/Forget ~/Forget
Lacking       | - - - - - - - ~/Upload ~/Upload ~/Forget ~/Forget
Withdrawn     | Abandoned/Forget Abandoned/Forget Aborting Stopping/Kill ~ Abandoned/Forget Abandoned/Forget - - ~/Forget ~/Forget
Frozen        | ~ ~ ~ ~/Freeze ~/Freeze+Kill ~ ~ - - ~/Forget ~/Forget
Thawed        | ~ Starting/Spawn ~ ~/Thaw ~ ~ ~ - - ~/Forget ~/Forget
Restarted     | ~/Place Placing/Place ~/Find ~/Adopt ~/Adopt+Kill ~/Collect ~/Collect ~/Upload ~/Upload ~/Forget ~/Forget
Rebooted      | ~/Place Placing/Place Abandoned/Forget Abandoned/Forget Abandoned/Forget Abandoned/Forget Abandoned/Forget ~/Upload ~/Upload ~/Forget ~/Forget
Expired       | - - - - ~/Kill - - - - ~/Forget ~/Forget
"""  # noqa: E501


def cell_of(event: str, state: str) -> str:
    frozen = event == "Thawed"
    start = STATES[state]
    if isinstance(start, builds.Working):
        start = builds.Working(Run(build_id("b"), JOB, start.run.phase, frozen=frozen))
    before = Build("b", "key", JOB, start, frozen)
    try:
        after, effects = handle(before, EVENTS[event], NOW)
    except Refused:
        return "!"
    if after == before and not effects:
        return "-"
    done = "+".join(type(effect).__name__ for effect in effects)
    name, was = _where(after.state), _where(start)
    return f"{'~' if name == was else name}{'/' if done else ''}{done}"


def _where(state: builds.State) -> str:
    return type(state.run.phase if isinstance(state, builds.Working) else state).__name__


def parse_table() -> dict[tuple[str, str], str]:
    cells = {}
    for line in TABLE.strip().splitlines():
        name, _, rest = line.partition("|")
        for state, cell in zip(STATES, rest.split(), strict=True):
            cells[name.strip(), state] = cell
    return cells


CELLS = parse_table()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_cell(event: str, state: str) -> None:
    assert cell_of(event, state) == CELLS[event, state]


def test_its_name_is_no_attempt() -> None:
    assert is_build(build_id("b"))
    assert not is_build(AttemptId("b", 0, 1))


@pytest.mark.parametrize(
    ("exit", "text"),
    [
        (Exited(2), "the build ended with exit code 2"),
        (Signalled(11), "the build was ended by signal 11"),
        (Crashed(), "the build's process vanished"),
    ],
)
def test_how_it_failed_is_said(exit: Exited | Signalled | Crashed, text: str) -> None:
    collecting = working(phases.Collecting(exit, 4990.0, 4999.0))
    after, _ = handle(Build("b", "key", JOB, collecting), EVENTS["OutputsHashed"], NOW)
    assert after.state == builds.Failed(LOG, 5, text)


def test_its_log_is_named_once_it_is_stored() -> None:
    built = Build("b", "key", JOB, builds.Built(LOG, 5))
    first = builds.report(built)
    assert first is not None
    assert (first.state, first.log) == ("built", None)
    second = builds.report(handle(built, run_words.Uploaded(), NOW).build)
    assert second is not None
    assert second.log == LOG
    assert builds.report(Build("b", "key", JOB, builds.Abandoned())) is None
