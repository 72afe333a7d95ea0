"""The life of one batch's build on this machine: absent -> working -> built | failed.

Not a job: it has no attempt, costs nobody a failure, and many runs wait for it. While its process
lives it is a run in all but name, so `run` moves it; its opposite are the runs that wait.
"""

from typing import NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from fallow.shared.ids import AttemptId
from fallow.shared.messages import BuildReport, JobSpec
from fallow.shared.moments import Moment
from fallow.shared.runs import Crashed, DeclineReason, Exit, Exited, Signalled
from fallow.shared.work import phases, run
from fallow.shared.work.run_words import (
    Damaged,
    Drop,
    Effect,
    Event,
    Forget,
    Lacking,
    Place,
    Restarted,
    Upload,
    Uploaded,
)


def build_id(batch: str) -> AttemptId:
    """The name a batch's build goes by among the runs: number 0, which no attempt ever has."""
    return AttemptId(batch, 0, 0)


def is_build(attempt: AttemptId) -> bool:
    """Whether this names a build and no attempt of a job."""
    return attempt.number == 0


class Working(Struct, frozen=True, tag="working"):
    """It is being placed, run or saved."""

    run: phases.Run


class Built(Struct, frozen=True, tag="built"):
    """The built tree is here; `log` is the hash of its output, `stored` at the coordinator."""

    log: str
    size: int
    stored: bool = False


class Failed(Struct, frozen=True, tag="failed"):
    """It ended badly by itself; `text` says how."""

    log: str
    size: int
    text: str
    stored: bool = False


class Impossible(Struct, frozen=True, tag="impossible"):
    """It could not even be tried; this is told to those who wait, and then forgotten."""

    reason: DeclineReason
    text: str


class Abandoned(Struct, frozen=True, tag="abandoned"):
    """Nobody wanted it any more, or the computer died under it: as if it had never been."""


State: TypeAlias = Working | Built | Failed | Impossible | Abandoned


class Build(Struct, frozen=True):
    """One batch's build here; `job` is the one that asked first, `frozen` as for a run."""

    batch: str
    key: str
    job: JobSpec
    state: State
    frozen: bool = False


class Step(NamedTuple):
    """The build after an event, and what is to be done, in this order."""

    build: Build
    effects: tuple[Effect, ...] = ()


def start(batch: str, job: JobSpec, frozen: bool) -> Step:
    """A build whose inputs are all here."""
    assert job.build is not None
    working = Working(phases.Run(build_id(batch), job, phases.Placing(), frozen=frozen))
    return Step(Build(batch, job.build.key, job, working, frozen), (Place(),))


def handle(build: Build, event: Event, now: Moment) -> Step:
    """The next state of the build; `run.Refused` where the event cannot happen."""
    match build.state:
        case Working(inner):
            if isinstance(event, Restarted) and isinstance(
                inner.phase, phases.Placing | phases.Held
            ):
                # Its inputs are in the cache: unlike a run it has nothing to fetch.
                placing = replace(inner, phase=phases.Placing())
                return Step(replace(build, state=Working(placing)), (Place(),))
            if isinstance(event, Restarted) and not event.same_boot:
                # The computer died under it, which says nothing about whether it can be built.
                return Step(replace(build, state=Abandoned()), (Forget(),))
            return _settle(build, run.handle(inner, event, now))
        case Built() | Failed():
            return _ended(build, build.state, event)
        case Impossible() | Abandoned():
            return Step(build, (Forget(),))


def deadline(build: Build) -> float | None:
    """When `Expired` is due, in boot-clock seconds, or None."""
    return phases.deadline(build.state.run) if isinstance(build.state, Working) else None


def report(build: Build) -> BuildReport | None:
    """The build in the words of the wire; None when there is nothing to say."""
    match build.state:
        case Working():
            return BuildReport(build.batch, build.key, "building")
        case Built(log, size, stored):
            return BuildReport(build.batch, build.key, "built", log if stored else None, size)
        case Failed(log, size, text, stored):
            known = log if stored else None
            return BuildReport(build.batch, build.key, "failed", known, size, text)
        case Impossible() | Abandoned():
            return None


def _settle(build: Build, step: run.Step) -> Step:
    """What the process's end means for the build."""
    if step.run is None:
        return Step(replace(build, state=Abandoned()), step.effects)
    state: State
    match step.run.phase:
        case phases.Spooled(exit, log, size):
            if isinstance(exit, Exited) and exit.code == 0:
                state = Built(log, size)
            else:
                state = Failed(log, size, _say(exit))
        case phases.GivenBack(reason, text):
            state = Impossible(reason, text)
        case phases.Over(Crashed()):
            state = Impossible("staging", "what was built cannot be saved on this computer")
        case phases.Over():
            state = Abandoned()
        case _:
            state = Working(step.run)
    effects = step.effects
    if isinstance(state, Impossible | Abandoned):
        effects = (*(each for each in effects if not isinstance(each, Drop)), Forget())
    return Step(replace(build, state=state, frozen=step.run.frozen), effects)


def _ended(build: Build, state: Built | Failed, event: Event) -> Step:
    match event:
        case Uploaded():
            return Step(replace(build, state=replace(state, stored=True)))
        case Lacking():
            return Step(replace(build, state=replace(state, stored=False)), (Upload(state.log),))
        case Restarted():
            return Step(build, () if state.stored else (Upload(state.log),))
        case Damaged():
            return Step(replace(build, state=Abandoned()), (Forget(),))
        case _:
            return Step(build)


def _say(exit: Exit) -> str:
    match exit:
        case Exited(code):
            return f"the build ended with exit code {code}"
        case Signalled(signal):
            return f"the build was ended by signal {signal}"
        case Crashed():
            return "the build's process vanished"
        case _:
            return "the build was stopped"
