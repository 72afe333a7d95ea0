"""What a workstation's agent decides: presence, session, runs and builds, composed.

Not the doing: `agent` carries out the effects, in their order. Pure: no clock, socket, file or
process. Opposite: the coordinator's `core`, to which it is one node.

When the desk is no longer free: refuse new work first, then freeze everything, then save, then
report; so nothing starts in between.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec.structs import replace

from fallow.shared.ids import AttemptId
from fallow.shared.messages import (
    Accepted,
    Ack,
    Assign,
    Bye,
    JobSpec,
    Missing,
    Notice,
    Noticed,
    Rejected,
    Report,
    Tail,
    Welcome,
    Withdraw,
)
from fallow.shared.moments import Moment
from fallow.shared.runs import Verdict
from fallow.shared.work import phases, run, run_words
from fallow.shared.work.build import Build, build_id, is_build
from fallow.shared.work.phases import Run
from fallow.shared.work.workload import Workload
from fallow.tray import core_words as words
from fallow.tray import farewell as farewells
from fallow.tray import reporting
from fallow.tray import session as sessions
from fallow.tray import wishes as by_hand
from fallow.tray.admitting import refusal
from fallow.tray.farewell import Farewell
from fallow.tray.lookout import Lookout
from fallow.tray.session import Open, Session
from fallow.tray.settings import Settings
from fallow.tray.wishes import Wishes

REPORT_WITHIN = 0.05  # seconds; of a short job only its end is reported


class Core:
    """One workstation. `handle` for each event, then one `turn` at the end of a loop turn."""

    def __init__(self, settings: Settings, now: Moment, *, joined: bool = True) -> None:
        self.settings = settings
        self.session = Session(sessions.Away() if joined else sessions.Unjoined())
        self.desk = Lookout(settings.policy, settings.boot_id, now)
        self._people: dict[str, tuple[str, ...]] = {}
        self.work = Workload(settings.in_place, not self.verdict.runs, settings.max_pause)
        self.stopping = False
        self.farewell: Farewell | None = None
        self._shown = True
        self._report_at: float | None = None
        self._said_verdict = self.verdict
        self._told: dict[int, tuple[AttemptId, ...]] = {}
        self._held: words.HoldTraffic | None = None

    @property
    def verdict(self) -> Verdict:
        return self.desk.verdict

    @property
    def accepting(self) -> bool:
        """Whether a job that came now would be taken, as far as one can say without seeing it."""
        return self.desk.accepts and self.settings.unable is None and not self.stopping

    @property
    def holds_traffic(self) -> bool:
        """Whether no file may come or go: the desk is in use, or it is not known what is wanted.

        What was killed while this workstation was away is withdrawn by the time the first Report
        is acknowledged, and so not a byte of its result goes out.
        """
        return not self.verdict.runs or not self._is_told

    @property
    def _is_told(self) -> bool:
        link = self.session.link
        return isinstance(link, Open) and bool(link.acked)

    # --- at the start ---

    def restore(
        self,
        saved_runs: Iterable[tuple[Run, bool]],
        saved_builds: Iterable[tuple[Build, bool]],
        wishes: Wishes,
        now: Moment,
    ) -> list[words.Effect]:
        """Take over what an earlier agent left; every run is judged anew before it may go on.

        With each comes whether its record is of this boot of the computer.
        """
        self.desk.wish(wishes, now)
        self.desk.look(now)
        effects: list[words.Effect] = []
        recent: dict[AttemptId, bool] = {}
        for each, same_boot in saved_runs:
            self.work.runs[each.attempt] = each
            recent[each.attempt] = same_boot
        for build, same_boot in saved_builds:
            self.work.builds[build.batch] = build
            recent[build_id(build.batch)] = same_boot
        for attempt, same_boot in recent.items():
            effects += self.work.happened(attempt, run_words.Restarted(same_boot), now)
        desk = self.work.thaw if self.verdict.runs else self.work.freeze
        effects += [*desk(now), *self._traffic()]
        return effects + self.work.reconcile(now)

    # --- while it runs ---

    def handle(self, event: words.Event, now: Moment) -> list[words.Effect]:
        """What is to be done about this event, in this order."""
        effects: list[words.Effect] = []
        if isinstance(event, words.Woke):
            # Before anything else counts the time up to now.
            self.work.slept(event.slept, now)
        speaks = event.source if isinstance(event, words.Seen) else ""
        self.desk.drop_silent(now, speaks)
        if self.desk.drop_over(now):
            effects.append(words.SaveWishes(self.desk.wishes))
        # By what was seen before, what is told this moment might be judged wrongly for a moment.
        due = [] if speaks else self._judge(now)
        match event:
            case words.Seen(source, readings):
                self.desk.saw(source, readings, now)
                self.desk.around(event.on_battery, event.exclusive, event.foreign_cpu)
            case words.SourceGone(source):
                self.desk.lost(source)
                self._people.pop(source, None)
            case words.Woke():
                self.desk.woke(now)
            case (
                words.PauseAsked()
                | words.LendAsked()
                | words.EjectAsked()
                | words.FinishAsked()
                | words.ResumeAsked()
            ):
                effects += self._wished(event, now)
            case words.Reconfigured(settings):
                effects += self._reconfigured(settings, now)
            case words.Joined():
                self.session = Session()
                self._shown = True
            case words.Connected():
                self.session = sessions.connected(self.session, now)
                effects.append(words.Send(reporting.hello(self.settings)))
                self._shown = True
            case words.Lost():
                self.session = sessions.lost(self.session)
                self._shown = True
            case words.Denied(reason):
                self.session = sessions.turned_away(self.session, reason, now)
                self._shown = True
            case words.Said(message):
                effects += self._said(message, now)
            case words.PeopleCame(source, keys):
                self._people[source] = keys
                self.work.changed = True
            case words.NoticeShown(number):
                if isinstance(self.session.link, Open):
                    effects.append(words.Send(Noticed(number)))
            case words.Happened(attempt, fact):
                effects += self.work.happened(attempt, fact, now)
                effects += self.work.reconcile(now)
            case words.MemorySeen(available, total, held):
                effects += self.work.make_room(held, available, total, now)
            case words.DiskSeen(used, short):
                effects += self.work.free_the_disk(used, short, now)
            case words.Expired():
                effects += self.work.expired(now)
                effects += self._keep_connected(now)
            case words.StopAsked():
                self.stopping = True
                effects += self._goodbye()
            case words.LeaveAsked(within):
                self.stopping = True
                self.farewell = farewells.begun(now, within)
                effects += self.work.evict_all(now)
                self.work.changed = self.work.urgent = True
        # A freeze waits for nothing else that this event asks for.
        return due + self._judge(now) + effects + self._traffic()

    def turn(self, now: Moment) -> list[words.Effect]:
        """What is sent and shown at the end of a turn: at most one Report, the whole truth."""
        effects: list[words.Effect] = []
        if self.work.changed:
            self._shown = True
            if self._report_at is None:
                self._report_at = now.boot + REPORT_WITHIN
        if self.work.urgent:
            self._report_at = now.boot
        self.work.changed = self.work.urgent = False
        if isinstance(self.session.link, Open) and (
            sessions.report_due(self.session, now)
            or (self._report_at is not None and now.boot >= self._report_at)
        ):
            effects.append(words.Send(self._next_report(now)))
        if self.farewell is not None and self._may_end(self.farewell, now):
            # Nobody would watch over what is left; it knows already why it ends.
            effects += [
                words.Order(attempt, run_words.Kill())
                for attempt, each in self.work.runs.items()
                if isinstance(each.phase, phases.WITH_A_PROCESS)
            ]
            effects += [*self._goodbye(), words.End()]
        if self._shown:
            effects.append(words.Publish())
            self._shown = False
        return effects

    def _may_end(self, farewell: Farewell, now: Moment) -> bool:
        return farewells.over(farewell, self.work, isinstance(self.session.link, Open), now)

    def _goodbye(self) -> list[words.Effect]:
        """Whoever leaves gives back what it had; whoever stops lets it run on."""
        link = self.session.link
        if not isinstance(link, Open):
            return []
        self.session = replace(self.session, link=sessions.Away())
        why: Literal["stop", "shutdown"] = "stop" if self.farewell is None else "shutdown"
        return [words.Send(Bye(link.session, why))]

    def _next_report(self, now: Moment) -> Report:
        self.session = sessions.reported(self.session, now)
        self._report_at = None
        self._said_verdict = self.verdict
        link = self.session.link
        assert isinstance(link, Open)
        people = (key for keys in self._people.values() for key in keys)
        report = reporting.report(link, self.verdict, self.accepting, self.work, people, now)
        self._told[report.seq] = tuple(
            attempt
            for attempt, each in self.work.runs.items()
            if isinstance(each.phase, phases.Over | phases.GivenBack)
        )
        return report

    def deadline(self) -> float | None:
        """When `Expired` is due, in boot-clock seconds."""
        candidates = [self.desk.deadline(), sessions.deadline(self.session)]
        candidates += self.work.deadlines()
        candidates.append(self.farewell.until if self.farewell is not None else None)
        if isinstance(self.session.link, Open):
            candidates.append(self._report_at)
        return min((each for each in candidates if each is not None), default=None)

    # --- the desk ---

    def _wished(
        self,
        event: words.PauseAsked
        | words.LendAsked
        | words.EjectAsked
        | words.FinishAsked
        | words.ResumeAsked,
        now: Moment,
    ) -> list[words.Effect]:
        before, boot = self.desk.wishes, self.settings.boot_id
        effects: list[words.Effect] = []
        match event:
            case words.PauseAsked(seconds):
                wishes = by_hand.pausing(before, seconds, now, boot)
            case words.LendAsked(seconds):
                wishes = by_hand.lending(before, seconds, now, boot)
            case words.EjectAsked():
                wishes = by_hand.ejecting(before, self.desk.policy.idle_after, now, boot)
                effects += self.work.evict_all(now)
            case words.FinishAsked():
                wishes = by_hand.finishing(before)
            case words.ResumeAsked():
                wishes = Wishes()
        self.desk.wish(wishes, now)
        # Whether new jobs may come is told at once.
        self.work.changed = self.work.urgent = True
        return [words.SaveWishes(wishes), *effects]

    def _judge(self, now: Moment) -> list[words.Effect]:
        """Judge anew; when the answer changes for the runs, all of them follow."""
        if not self.desk.outdated(now):
            return []
        before = self.verdict
        self.desk.look(now)
        after = self.verdict
        if reporting.differs(self._said_verdict, after):
            self.work.changed = self.work.urgent = True
        if before.runs == after.runs:
            return []
        if after.runs:
            return [*self._traffic(), *self.work.thaw(now)]
        return [*self.work.freeze(now), *self._traffic()]

    def _traffic(self) -> list[words.Effect]:
        held = self.holds_traffic
        traffic = words.HoldTraffic(held, held and self._is_told and self.work.delivers_checkpoint)
        if self._held == traffic:
            return []
        self._held = traffic
        return [traffic]

    # --- what its owner sets anew ---

    def _reconfigured(self, settings: Settings, now: Moment) -> list[words.Effect]:
        before, self.settings = self.settings, settings
        self.desk.obey(settings.policy)
        self.work.max_pause = settings.max_pause
        self.work.changed = self._shown = True
        if before.resources == settings.resources or not isinstance(self.session.link, Open):
            return []
        # What is offered is said at the beginning of a session.
        self.session = sessions.connected(self.session, now)
        return [words.Send(reporting.hello(self.settings))]

    # --- what the coordinator says ---

    def _said(
        self,
        message: Welcome | Assign | Withdraw | Accepted | Missing | Ack | Tail | Notice | Rejected,
        now: Moment,
    ) -> list[words.Effect]:
        match message:
            case Welcome(number, report_every, name):
                self.session = sessions.welcomed(self.session, number, report_every, name, now)
                self._told.clear()
                self.work.changed = True
                return []
            case Rejected(reason):
                self.session = sessions.turned_away(self.session, reason, now)
                self._shown = True
                return []
            case Assign(n, attempt, job):
                self.session = sessions.heard(self.session, n)
                # Even if nothing follows: what was heard must be said.
                self.work.changed = True
                return self._assigned(attempt, job, now)
            case Withdraw(n, attempt, why, grace):
                self.session = sessions.heard(self.session, n)
                self.work.changed = True
                withdrawn = run_words.Withdrawn(why, grace)
                effects = self.work.happened(attempt, withdrawn, now)
                return [*effects, *self.work.reconcile(now)]
            case Accepted(attempt):
                return [*self.work.happened(attempt, run_words.Accepted(), now)]
            case Missing(attempt):
                return [*self.work.happened(attempt, run_words.Lacking(), now)]
            case Ack(seq, forget):
                return self._acknowledged(seq, forget, now)
            case Tail():
                return [words.ShowTail(message)]
            case Notice():
                return [words.ShowNotice(message)]

    def _assigned(self, attempt: AttemptId, job: JobSpec, now: Moment) -> list[words.Effect]:
        if attempt in self.work.runs or is_build(attempt):
            return []
        against = refusal(job, self.settings, self.desk, self.work, stopping=self.stopping)
        if against is not None:
            return [*self.work.add(run.give_back(attempt, job, *against))]
        return [*self.work.add(run.start(attempt, job, now))]

    def _acknowledged(self, seq: int, forget: tuple[str, ...], now: Moment) -> list[words.Effect]:
        effects: list[words.Effect] = []
        self.session = sessions.acknowledged(self.session, seq, now)
        for told in [number for number in self._told if number <= seq]:
            for attempt in self._told.pop(told):
                effects += self.work.happened(attempt, run_words.Heard(), now)
        for batch in forget:
            effects += self.work.forget(batch)
        return effects

    def _keep_connected(self, now: Moment) -> list[words.Effect]:
        if not sessions.must_reconnect(self.session, now):
            return []
        self.session = sessions.retrying(self.session, now)
        self._shown = True
        return [words.Reconnect()]
