"""The agent's shell by itself: what it does when its own sensors or its disk fail.

Not what it decides (tests/transcripts) nor a whole workstation (tests/main_job).
"""

from collections.abc import Generator
from pathlib import Path

import pytest
from msgspec.structs import replace

from fallow.shared.clock import boot_id
from fallow.shared.ids import AttemptId
from fallow.shared.messages import Argv, JobSpec
from fallow.shared.moments import Moment
from fallow.shared.runs import Exited
from fallow.shared.work.phases import Alive, Collecting, Process, Run, Spooled, seconds
from fallow.tray import core_words as words
from fallow.tray.agent import Agent
from fallow.tray.config import Config
from fallow.tray.lookout import SILENT_AFTER
from fallow.tray.presence import Policy, Reading
from fallow.tray.records import Records
from waiting import wait_until

ATTEMPT = AttemptId("abcd1234", 0, 1)
VACANT = Reading("logind", "session", True, vacant=True)


class ManualClock:
    def __init__(self) -> None:
        self.boot = 1000.0

    def now(self) -> Moment:
        return Moment(self.boot, 1.7e9 + self.boot)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def agent(tmp_path: Path, clock: ManualClock) -> Generator[Agent]:
    made = Agent(tmp_path, Config(presence=Policy(idle_after=1.0, settle=1.0)), clock)
    yield made
    made._close()


def why(agent: Agent) -> str:
    status = agent._status(lambda attempt: ())
    return status.verdict + (f": {status.reasons[0].kind}" if status.reasons else "")


def test_sensors_that_say_nothing_any_more_are_not_believed(
    agent: Agent, clock: ManualClock
) -> None:
    agent._take(words.Seen("agent", (VACANT,)))
    clock.boot += 5
    agent._turn()
    assert why(agent) == "away"
    clock.boot += SILENT_AFTER + 1
    agent._turn()
    assert why(agent) == "barred: blind"
    agent._take(words.Seen("agent", (VACANT,)))
    assert why(agent) == "away"


def test_a_pause_holds_although_it_cannot_be_written(
    agent: Agent, clock: ManualClock, tmp_path: Path
) -> None:
    (tmp_path / "pause.new").mkdir()
    agent._take(words.PauseAsked(3600.0))
    agent._turn()
    assert why(agent) == "barred: pause"


def test_a_sleep_is_told_before_anything_counts_it(agent: Agent, clock: ManualClock) -> None:
    run = Run(ATTEMPT, JobSpec("ana", "sweep", "j", "ana", Argv(("true",)), 1))
    alive = Alive(Process("boot", 1, 1), 1.0)
    agent._core.work.runs[ATTEMPT] = replace(run, phase=alive, since=clock.boot)
    # As if the kernel had counted an hour of sleep since.
    agent._asleep -= 3600.0
    clock.boot += 3605.0
    agent._take(words.SourceGone("nobody"))
    assert seconds(agent._core.work.runs[ATTEMPT], clock.now()) == pytest.approx((5.0, 3600.0))


def test_a_work_folder_stays_while_the_record_needs_it(agent: Agent, tmp_path: Path) -> None:
    run = Run(ATTEMPT, JobSpec("ana", "sweep", "j", "ana", Argv(("true",)), 1))
    records = Records(tmp_path, boot_id())
    records.save_run(replace(run, phase=Collecting(Exited(0), None, 1.0)))
    result = records.folder(ATTEMPT) / "work" / "distribute_save" / "result"
    result.parent.mkdir(parents=True)
    result.write_text("a result")
    # A folder in the way, as a full disk would be: the record can be read and not be replaced.
    place = records.folder(ATTEMPT) / "run.json"
    place.write_bytes(place.read_bytes().ljust(5000))
    place.with_suffix(".json.new").mkdir()
    agent._restore()

    def spooled() -> bool:
        while agent._loop._posted:
            agent._take(agent._loop._posted.popleft())
        return isinstance(agent._core.work.runs[ATTEMPT].phase, Spooled)

    wait_until(spooled, 10, "the outputs to be spooled")
    agent._bench.clear_spent()
    agent._bench.close()
    assert result.exists()
