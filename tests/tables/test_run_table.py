"""Every cell of the table of one attempt on a workstation: phase by event.

A cell is the phase it leads to and, after a slash, the effects; `-` is stale (nothing changes),
`!` is refused, `~` stays in the phase.
"""

from typing import get_args

import pytest
from msgspec.structs import replace

from fallow.shared.batch import Checkpoint
from fallow.shared.ids import AttemptId
from fallow.shared.messages import Argv, Input, JobSpec
from fallow.shared.moments import Moment
from fallow.shared.runs import Crashed, Exited, Progress, Stopped
from fallow.shared.work import phases, run_words
from fallow.shared.work.phases import PHASES, Phase, Process, Run
from fallow.shared.work.run import RULES, Refused, handle
from fallow.shared.work.run_rules import KILL_AGAIN_AFTER
from fallow.shared.work.run_words import Event

NOW = Moment(1000.0, 5000.0)
ATTEMPT = AttemptId("b1", 3, 1)
JOB = JobSpec(
    namespace="ana",
    batch="sweep",
    job="j3",
    owner="ana",
    action=Argv(("true",)),
    cpus=1,
    shared=(Input("mesh", "00" * 32, 10),),
)
SAVES = replace(JOB, checkpoint=Checkpoint(signal="USR1", grace=60.0, files=("state",)))
PROCESS = Process("boot", 77, 4711)
ORDER = ("evict", "run_time", "memory", "disk", "lost", "superseded", "kill")

SAMPLES: dict[type[Phase], Phase] = {
    phases.Fetching: phases.Fetching(0, 10),
    phases.AwaitingBuild: phases.AwaitingBuild(),
    phases.Placing: phases.Placing(),
    phases.Held: phases.Held(),
    phases.Starting: phases.Starting(),
    phases.Aborting: phases.Aborting("evict"),
    phases.Alive: phases.Alive(PROCESS, 4990.0),
    phases.Stopping: phases.Stopping(PROCESS, 4990.0, "evict", 999.0),
    phases.Leaving: phases.Leaving(PROCESS, 4990.0),
    phases.Saving: phases.Saving(PROCESS, 4990.0, 999.0),
    phases.Collecting: phases.Collecting(Exited(0), 4990.0, 4999.0),
    phases.Spooled: phases.Spooled(Exited(0), "ab" * 32, 7, False, 4990.0, 4999.0),
    phases.Over: phases.Over(Stopped("kill"), None, None),
    phases.GivenBack: phases.GivenBack("owner"),
}
EVENTS: dict[str, Event] = {
    "Received": run_words.Received(5, 10),
    "Staged": run_words.Staged(built=True),
    "Staged unbuilt": run_words.Staged(built=False),
    "StagingFailed": run_words.StagingFailed("disk full"),
    "BuildReady": run_words.BuildReady(),
    "BuildFailed": run_words.BuildFailed("make: 2"),
    "Placed": run_words.Placed(),
    "Spawned": run_words.Spawned(PROCESS),
    "NotSpawned": run_words.NotSpawned("sandbox", "no bwrap"),
    "Ended": run_words.Ended(Exited(0)),
    "Progressed": run_words.Progressed(Progress(0.5)),
    "OutputsHashed": run_words.OutputsHashed("cd" * 32, 9),
    "CollectFailed": run_words.CollectFailed("disk full"),
    "Uploaded": run_words.Uploaded(),
    "Damaged": run_words.Damaged(),
    "Lacking": run_words.Lacking(),
    "Withdrawn evict": run_words.Withdrawn("evict", 10.0),
    "Withdrawn kill": run_words.Withdrawn("kill", 10.0),
    "Accepted": run_words.Accepted(),
    "Heard": run_words.Heard(),
    "Turn": run_words.Turn(),
    "Frozen": run_words.Frozen(),
    "Thawed": run_words.Thawed(),
    "Restarted": run_words.Restarted(),
    "Expired": run_words.Expired(),
}

HEAD = """
Fetching AwaitingBuild Placing Held Starting Aborting Alive Stopping Leaving Saving Collecting Spooled Over GivenBack
"""  # noqa: E501
TABLE = """
Received        | ~ - - ! ! ! ! ! ! ! ! ! - -
Staged          | Placing/Place ! ! ! ! ! ! ! ! ! ! ! - -
Staged unbuilt  | AwaitingBuild ! ! ! ! ! ! ! ! ! ! ! - -
StagingFailed   | GivenBack/Drop ! GivenBack/Drop ! ! ! ! ! ! ! ! ! - -
BuildReady      | - Placing/Place - - - - - - - - - - - -
BuildFailed     | - GivenBack/Drop - - - - - - - - - - - -
Placed          | ! ! Starting/Spawn ! ~/Spawn Over/Drop ! ! ! ! ! ! - -
Spawned         | ! ! ! ! Alive Stopping/Kill ! ! ! ! ! ! ! !
NotSpawned      | ! ! ! ! GivenBack/Drop Over/Drop GivenBack/Drop Over/Drop Over/Drop Over/Drop ! ! ! !
Ended           | ! ! ! ! Collecting/Collect Over/Drop Collecting/Collect Over/Kill+Drop Collecting/Collect Collecting/Collect - - - -
Progressed      | ! ! ! ! ! ! ~ - - ~ - - - -
OutputsHashed   | ! ! ! ! ! ! ! ! ! ! Spooled/Upload ! - -
CollectFailed   | ! ! ! ! ! ! ! ! ! ! Over/Drop ! - -
Uploaded        | ! ! ! ! ! ! ! ! ! ! ! ~ - -
Damaged         | ! ! ! ! ! ! ! ! ! ! ! Over/Drop - -
Lacking         | - - - - - - - - - - - ~/Upload - -
Withdrawn evict | Over/Drop Over/Drop Over/Drop Over/Drop Aborting - Stopping/Terminate ~ - - - - - -
Withdrawn kill  | Over/Drop Over/Drop Over/Drop Over/Drop Aborting ~ Stopping/Terminate ~ Stopping/Kill Stopping/Kill Over/Drop Over/Drop - -
Accepted        | - - - - - - - - - - - gone/Forget gone/Forget gone/Forget
Heard           | - - - - - - - - - - - - gone/Forget gone/Forget
Turn            | ! ! ! ! ! ! ! ! Saving/Terminate ! ! ! ! !
Frozen          | ~ ~ ~ ~ ~ ~ ~/Freeze ~/Freeze+Kill ~ ~ ~ ~ ~ ~
Thawed          | ~ ~ ~ Starting/Spawn ~ ~ ~/Thaw ~ Saving/Terminate ~ ~ ~ ~ ~
Restarted       | ~/Fetch Fetching/Fetch Fetching/Fetch Fetching/Fetch ~/Find ~/Find ~/Adopt ~/Adopt+Kill ~/Adopt ~/Adopt ~/Collect ~/Upload ~/Drop ~/Drop
Expired         | - - - - - - - ~/Kill - ~/Kill - - - -
"""  # noqa: E501


def parse_table() -> dict[tuple[str, str], str]:
    cells = {}
    for line in TABLE.strip().splitlines():
        name, _, rest = line.partition("|")
        for phase, cell in zip(HEAD.split(), rest.split(), strict=True):
            cells[name.strip(), phase] = cell
    return cells


def cell_of(event: str, phase: type[Phase], frozen: bool) -> str:
    job = SAVES if phase in {phases.Leaving, phases.Saving} else JOB
    before = Run(ATTEMPT, job, SAMPLES[phase], frozen=frozen)
    try:
        after, effects = handle(before, EVENTS[event], NOW)
    except Refused:
        return "!"
    done = "+".join(type(effect).__name__ for effect in effects)
    if after == before and not effects:
        return "-"
    if after is None:
        name = "gone"
    else:
        name = "~" if type(after.phase) is phase else type(after.phase).__name__
    return f"{name}/{done}" if done else name


CELLS = parse_table()


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
@pytest.mark.parametrize("event", EVENTS)
def test_cell(event: str, phase: type[Phase]) -> None:
    # A freeze or thaw of what is so already changes nothing: start from the other side.
    frozen = event == "Thawed"
    assert cell_of(event, phase, frozen) == CELLS[event, phase.__name__]


def test_the_table_is_whole() -> None:
    assert set(PHASES) == set(get_args(Phase)) == set(SAMPLES)
    assert {type(event) for event in EVENTS.values()} == set(get_args(Event))
    assert len(CELLS) == len(EVENTS) * len(PHASES)
    assert {key[0] for key in RULES} <= set(get_args(Event))


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
def test_what_the_coordinator_says_is_never_refused(phase: type[Phase]) -> None:
    for event in ("Withdrawn kill", "Withdrawn evict", "Accepted", "Lacking", "Heard"):
        assert cell_of(event, phase, frozen=False) != "!"
        assert cell_of(event, phase, frozen=True) != "!"


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.__name__)
@pytest.mark.parametrize("event", EVENTS)
def test_nothing_starts_or_goes_on_while_frozen(event: str, phase: type[Phase]) -> None:
    if event in {"Thawed", "Turn"}:
        return
    cell = cell_of(event, phase, frozen=True)
    for word in ("Spawn", "Thaw", "Terminate"):
        assert word not in cell.partition("/")[2].split("+")


@pytest.mark.parametrize("first", ORDER)
@pytest.mark.parametrize("second", [why for why in ORDER if why != "run_time"])
def test_the_stronger_reason_stays(first: str, second: str) -> None:
    stopping = Run(ATTEMPT, JOB, phases.Alive(PROCESS, 4990.0))
    for why in (first, second):
        step = handle(stopping, run_words.Withdrawn(why, 10.0), NOW)  # type: ignore[arg-type]
        assert step.run is not None
        stopping = step.run
    over = handle(stopping, run_words.Ended(Exited(0)), NOW).run
    assert over is not None
    strongest = max(first, second, key=ORDER.index)
    if strongest in {"run_time", "memory"}:
        # It has failed, and what it did so far is a result.
        assert over.phase == phases.Collecting(Stopped(strongest), 4990.0, NOW.wall)  # type: ignore[arg-type]
        return
    assert over.phase == phases.Over(Stopped(strongest), 4990.0, NOW.wall)  # type: ignore[arg-type]


def test_paused_time_is_not_run_time() -> None:
    now = Moment(0.0, 0.0)
    it: Run | None = Run(ATTEMPT, JOB, phases.Starting())
    for event, length in (
        (run_words.Spawned(PROCESS), 7.0),
        (run_words.Frozen(), 100.0),
        (run_words.Frozen(), 1.0),
        (run_words.Thawed(), 3.0),
    ):
        assert it is not None
        it = handle(it, event, now).run
        now = now.plus(length)
    assert it is not None
    assert phases.seconds(it, now) == (10.0, 101.0)
    it = handle(it, run_words.Ended(Exited(0)), now).run
    assert it is not None
    assert phases.seconds(it, now.plus(50.0)) == (10.0, 101.0)


def test_grace_then_kill_then_kill_again() -> None:
    alive = Run(ATTEMPT, JOB, phases.Alive(PROCESS, 4990.0))
    step = handle(alive, run_words.Withdrawn("kill", 10.0), NOW)
    assert step.run is not None
    assert step.effects == (run_words.Terminate(),)
    assert phases.deadline(step.run) == NOW.boot + 10.0
    early = handle(step.run, run_words.Expired(), NOW.plus(9.9))
    assert early.effects == ()
    late = handle(step.run, run_words.Expired(), NOW.plus(10.0))
    assert late.effects == (run_words.Kill(),)
    assert late.run is not None
    assert phases.deadline(late.run) == NOW.boot + 10.0 + KILL_AGAIN_AFTER


def test_a_process_that_vanished_is_collected_as_crashed() -> None:
    alive = Run(ATTEMPT, JOB, phases.Alive(PROCESS, 4990.0))
    step = handle(alive, run_words.Ended(Crashed()), NOW)
    assert step.run is not None
    assert step.run.phase == phases.Collecting(Crashed(), 4990.0, NOW.wall)


def test_after_a_reboot_no_success_is_believed() -> None:
    collecting = Run(ATTEMPT, JOB, SAMPLES[phases.Collecting])
    step = handle(collecting, run_words.Restarted(same_boot=False), NOW)
    assert step.run is not None
    assert step.run.phase == phases.Collecting(Crashed(), 4990.0, 4999.0)
    assert step.effects == (run_words.Collect(Crashed()),)
