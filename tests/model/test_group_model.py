"""A coordinator and two workstations over a network that loses, delays and cuts, with crashes.

Both sides are the real cores. After every step the whole group is checked; in the end the network
heals, everybody goes home, and all that was submitted must come to its end.
"""

from collections.abc import Iterator
from itertools import islice

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from fakes import AWAY, GIB, sweep_batch
from fallow.coordinator.events import Caller, NodeJoined
from fallow.coordinator.live_batch import LiveBatch
from fallow.coordinator.records import Active, Done, Ended
from fallow.coordinator.why import why
from fallow.shared.batch import Checkpoint, Limits, OnFailure, OnLost, OnOwnerReturn
from fallow.shared.ids import AttemptId, JobId
from fallow.shared.messages import (
    Drain,
    Hold,
    Kill,
    Release,
    Remove,
    Retry,
    Submitted,
    Undrain,
)
from fallow.shared.runs import Exit, Exited, Signalled
from fallow.tray import core_words as words
from model.desk import ModelCoordinator, ModelDesk, succeeded_by_itself

EXITS = st.sampled_from([Exited(0), Exited(0), Exited(0), Exited(3), Signalled(11)])
WHICH = st.integers(0, 1)
OVER = {"succeeded", "failed", "killed", "held"}
LONG = 1900.0
ADMIN = Caller("root", "admin")


class Group(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.office = ModelCoordinator()
        self.desks = [ModelDesk(self.office, "desk", 2), ModelDesk(self.office, "loft", 1)]
        self.batches = 0
        # By job, and by the attempt after which it was last tried anew.
        self.won: dict[tuple[str, int, int], int] = {}
        self.tried_anew: dict[JobId, set[int]] = {}
        for desk in self.desks:
            self.office.turn(NodeJoined(desk.name))

    # --- people ---

    @initialize(
        jobs=st.integers(1, 3),
        cpus=st.sampled_from([None, 1]),
        build=st.booleans(),
        saves=st.booleans(),
        retries=st.integers(0, 2),
    )
    def begin(self, jobs: int, cpus: int | None, build: bool, saves: bool, retries: int) -> None:
        for desk in self.desks:
            desk.connect()
        self.elapse(40.0)
        self.submit(jobs, cpus, build, saves, retries, None, False)
        self.exchange()

    @rule(
        jobs=st.integers(1, 3),
        cpus=st.sampled_from([None, 1]),
        build=st.booleans(),
        saves=st.booleans(),
        retries=st.integers(0, 2),
        follows=st.sampled_from([None, None, 0, 1, 2]),
        waits=st.booleans(),
    )
    def submit(
        self,
        jobs: int,
        cpus: int | None,
        build: bool,
        saves: bool,
        retries: int,
        follows: int | None,
        waits: bool,
    ) -> None:
        if self.batches >= 4:
            return
        saved = Checkpoint(grace=5.0, files=("state",)) if saves else None
        name = f"b{self.batches}"
        batch = sweep_batch(name, jobs, cpus=cpus, build=build, checkpoint=saved)
        batch = replace(
            batch,
            on_failure=OnFailure(retries=retries, back_off=5.0),
            limits=Limits(run_time=25.0 if jobs == 3 else None),
            on_owner_return=OnOwnerReturn(do="evict" if retries == 2 else None, max_pause=15.0),
            on_lost=OnLost(then="wait" if waits else "rerun"),
            after=() if follows is None else (f"b{follows}",),
        )
        if isinstance(self.office.submit(batch), Submitted):
            self.batches += 1

    @rule(batch=st.integers(0, 3), job=st.sampled_from([None, 0, 1]), remove=st.booleans())
    def kill(self, batch: int, job: int | None, remove: bool) -> None:
        ref = f"b{batch % self.batches}"
        if remove:
            self.office.ask(Remove(ref))
        else:
            self.office.ask(Kill(ref if job is None else f"{ref}/j{job}"))

    @rule(
        batch=st.integers(0, 3),
        job=st.sampled_from([None, 0, 1]),
        what=st.sampled_from(["hold", "release", "retry", "all", "lost", "rebuild"]),
    )
    def think_again(self, batch: int, job: int | None, what: str) -> None:
        ref = f"b{batch % self.batches}" + ("" if job is None else f"/j{job}")
        match what:
            case "hold":
                self.office.ask(Hold(ref))
            case "release":
                self.office.ask(Release(ref))
            case "retry":
                self.office.ask(Retry(ref))
            case "all":
                self.office.ask(Retry(ref, "all"))
            case "lost":
                self.office.ask(Retry(ref, "lost"))
            case "rebuild":
                self.office.ask(Retry(ref, rebuild=True))

    @rule(which=WHICH, what=st.sampled_from(["drain", "now", "undrain"]))
    def drain(self, which: int, what: str) -> None:
        name = self.desks[which].name
        undrains = what == "undrain"
        self.office.ask(Undrain(name) if undrains else Drain(name, what == "now"), ADMIN)

    @rule(which=WHICH, what=st.sampled_from(["touch", "touch", "pause", "resume", "eject"]))
    def somebody_is_there(self, which: int, what: str) -> None:
        desk = self.desks[which]
        match what:
            case "touch":
                desk.touch()
            case "pause":
                desk.tell(words.PauseAsked(60.0))
            case "resume":
                desk.tell(words.ResumeAsked())
            case "eject":
                desk.tell(words.EjectAsked())

    @rule(which=WHICH)
    def memory_is_short(self, which: int) -> None:
        desk = self.desks[which]
        held = dict.fromkeys(desk.core.work.runs, GIB)
        desk.tell(words.MemorySeen(0, 8 * GIB, held))

    @rule(which=WHICH, how=st.sampled_from(["touch", "eject", "memory"]), actions=st.integers(0, 9))
    def the_owner_needs_the_desk(self, which: int, how: str, actions: int) -> None:
        """Jobs run, their computer is wanted, and what comes next comes in the middle of it."""
        self.all_goes_well(1, ends=False)
        self.somebody_is_there(which, "eject" if how == "eject" else "touch")
        if how == "memory":
            self.memory_is_short(which)
        for _ in islice(self.a_good_day(ends=True), actions):
            pass

    # --- the work ---

    @rule(which=WHICH, task=st.integers(0, 3))
    def work(self, which: int, task: int) -> None:
        self.desks[which].work(task)

    @rule(which=WHICH, proc=st.integers(0, 3), exit=EXITS)
    def process_ends(self, which: int, proc: int, exit: Exit) -> None:
        desk = self.desks[which]
        able = [each for each in desk.living() if not each.frozen]
        if able:
            desk.ends(able[proc % len(able)], exit)

    @rule(rounds=st.integers(1, 3), ends=st.booleans())
    def all_goes_well(self, rounds: int, ends: bool) -> None:
        """Everything arrives and is worked on for a while, as on most days."""
        for _ in range(rounds):
            for _ in self.a_good_day(ends):
                pass
            self.elapse(3.0)

    @rule(actions=st.integers(1, 25), ends=st.booleans())
    def it_goes_well_so_far(self, actions: int, ends: bool) -> None:
        """The same, but what comes next comes in the middle of it."""
        for _ in islice(self.a_good_day(ends), actions):
            pass

    def a_good_day(self, ends: bool) -> Iterator[None]:
        """One small action after the other until there is no more to do."""
        for desk in self.desks:
            desk.connect()
        busy = True
        while busy:
            busy = False
            for desk in self.desks:
                while desk.office_hears() or desk.hears() or desk.work(0):
                    busy = True
                    yield
                for proc in desk.living():
                    if ends and not proc.frozen and proc.exit is None:
                        desk.ends(proc, Exited(0))
                        busy = True
                        yield

    # --- the network ---

    @rule(which=WHICH)
    def up(self, which: int) -> None:
        self.desks[which].office_hears()

    @rule(which=WHICH)
    def down(self, which: int) -> None:
        self.desks[which].hears()

    @rule()
    def exchange(self) -> None:
        """All that is on its way arrives, and the answers too."""
        for _ in range(6):
            for desk in self.desks:
                desk.office_hears_all()
                while desk.hears():
                    pass

    @rule(which=WHICH, upward=st.booleans())
    def lose(self, which: int, upward: bool) -> None:
        desk = self.desks[which]
        desk.fetch_post()
        line = desk.up if upward else desk.down
        if line:
            line.popleft()

    @rule(which=WHICH, again=st.booleans())
    def cut(self, which: int, again: bool) -> None:
        self.desks[which].cut()
        if again:
            self.desks[which].connect()

    # --- crashes and time ---

    @rule(which=WHICH, how=st.sampled_from(["killed", "killed", "crash", "stop", "soon"]))
    def agent_dies(self, which: int, how: str) -> None:
        desk = self.desks[which]
        match how:
            case "killed" | "crash":
                desk.die(with_computer=how == "crash")
            case "stop":
                desk.stop()
            case "soon":
                desk.patience = 3

    @rule(which=WHICH, effects=st.integers(1, 12))
    def agent_will_be_killed(self, which: int, effects: int) -> None:
        self.desks[which].patience = effects

    @rule()
    def coordinator_dies(self) -> None:
        for desk in self.desks:
            desk.cut()
        self.office.restart()

    @rule(what=st.sampled_from(["wait", "finish", "finish", "lose blobs"]))
    def commits(self, what: str) -> None:
        match what:
            case "wait":
                self.office.commits_wait = True
            case "finish":
                self.office.finish_commits()
            case "lose blobs":
                self.office.blobs.clear()

    @rule(seconds=st.sampled_from([0.1, 3.0, 3.0, 11.0, 40.0]))
    def elapse(self, seconds: float) -> None:
        self.office.pass_time(seconds)
        for desk in self.desks:
            desk.expire()

    @rule(which=WHICH)
    def long_silence(self, which: int) -> None:
        """One workstation is out of reach for half an hour, the other is not."""
        self.desks[which].cut()
        other = self.desks[1 - which]
        other.connect()
        for _ in range(20):
            self.elapse(10.0)
            self.exchange()
        self.office.pass_time(LONG)
        self.elapse(0.0)
        other.connect()
        self.exchange()

    # --- what must hold ---

    @invariant()
    def group_is_sound(self) -> None:
        assert self.office.core.check() == []
        for desk in self.desks:
            assert desk.breaches() == []

    @invariant()
    def why_always_has_an_answer(self) -> None:
        office = self.office
        for batch in office.core.world.batches.values():
            for job in batch.jobs:
                said = why(office.core.world, batch.ref(job), office.now)
                assert said.text
                if said.state in {"queued", "waiting", "held"}:
                    assert said.fix, f"{said.ref} is {said.text}, and nothing helps"

    @invariant()
    def at_most_one_result_and_a_true_one(self) -> None:
        for job, kept in self.office.on_disk.items():
            results = [number for number, outcome in kept if outcome == "result"]
            ends = self.tried_anew.get(job, set())
            tries = [sum(number > end for end in ends) for number in results]
            assert len(set(tries)) == len(tries), f"{job} was committed more than once: {results}"
            for number in results:
                attempt = AttemptId(job.batch, job.index, number)
                assert succeeded_by_itself(self.desks, attempt), f"{attempt} did not succeed"

    @invariant()
    def done_is_final(self) -> None:
        for batch in self.office.core.world.batches.values():
            for job in batch.jobs:
                key = (job.id.batch, job.id.index, job.earlier)
                self.tried_anew.setdefault(job.id, set()).add(job.earlier)
                if type(job.state) is Done and job.state.outcome == "succeeded":
                    assert self.won.setdefault(key, job.state.attempt or 0) == job.state.attempt
                else:
                    assert key not in self.won, f"{job.id} had succeeded, and is {job.state}"

    @invariant()
    def a_lost_attempt_is_nowhere(self) -> None:
        """What was started again because it was absent must not turn up after all."""
        for record in self.office.core.world.attempts.values():
            state = record.state
            if type(state) is not Ended or state.text != "its workstation does not have it":
                continue
            for desk in self.desks:
                run = desk.core.work.runs.get(record.id)
                assert run is None, f"{record.id} was absent, and is {run}"

    def teardown(self) -> None:
        self.heal()
        for batch in self.office.core.world.batches.values():
            assert set(batch.shown) <= self.may_stay(batch), f"{batch.ref()}: {batch.shown}"
            for job in batch.jobs:
                assert type(job.state) is not Active
                assert (job.killed and type(job.state) is Done) or not job.killed
        for desk in self.desks:
            assert desk.is_empty(), f"{desk.name} keeps {desk.core.work.runs} {desk.disk.runs}"
            kept = {build.batch for build, _ in desk.disk.builds.values()}
            assert kept <= self.may_go_on(), f"{desk.name} keeps the builds of {kept}"
        self.group_is_sound()
        self.at_most_one_result_and_a_true_one()
        self.done_is_final()

    def heal(self) -> None:
        """The network is good, nobody is at a desk, and every process comes to its end."""
        self.office.finish_commits()
        for desk in self.desks:
            desk.patience = None
            self.office.ask(Undrain(desk.name), ADMIN)
        for _ in range(400):
            for _ in self.a_good_day(ends=True):
                pass
            if self.is_quiet():
                return
            self.elapse(3.0)

    def may_stay(self, batch: LiveBatch) -> set[str]:
        """What may become of its jobs: what follows something that does not end waits."""
        batches = self.office.core.world.batches.values()
        followed = [each for each in batches if each.ref() in batch.record.after]
        waits = any(set(each.shown) & {"held", "waiting"} for each in followed)
        return OVER | {"waiting"} if waits else OVER

    def may_go_on(self) -> set[str]:
        """Batches of which something is left to do, some day."""
        batches = self.office.core.world.batches
        return {uid for uid, each in batches.items() if set(each.shown) & {"held", "waiting"}}

    def is_quiet(self) -> bool:
        batches = self.office.core.world.batches.values()
        if not all(set(batch.shown) <= self.may_stay(batch) for batch in batches):
            return False
        may_go_on = self.may_go_on()
        return all(
            desk.is_empty()
            and {build.batch for build, _ in desk.disk.builds.values()} <= may_go_on
            and desk.core.verdict.kind == AWAY.kind
            for desk in self.desks
        )


Group.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestGroup = Group.TestCase
