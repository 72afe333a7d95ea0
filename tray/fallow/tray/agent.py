"""The agent's shell: one loop that takes in what happens and does what the core says.

Not the decisions (`core`), nor how runs are worked on (`workbench`). Opposite: the coordinator's
`server`. Its data folder holds:

    agent.toml        the owner's rules         agent.lock    who has the folder
    coordinator.json  which coordinator         keys/         our key pair
    pause.json        the owner's wishes        local/        the socket for trays and commands
    runs/, builds/    one folder each, see `files`
    cache/            inputs, by hash           spool/        outputs until they are accepted
    booted            the boot in which the cache was last used
    day.json          what was done in each minute of the last day
"""

import logging
import os
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from fallow.shared.blobs import BlobStore
from fallow.shared.clock import Clock, SystemClock, boot_id, slept
from fallow.shared.ids import AttemptId
from fallow.shared.loop import Loop
from fallow.shared.work import ground, machine, run_words
from fallow.shared.work.build import build_id
from fallow.shared.work.deliveries import Carried
from fallow.shared.work.procfs import descends
from fallow.shared.work.run import Refused
from fallow.shared.work.sandbox import probe
from fallow.shared.work.spool import Spool
from fallow.shared.work.workbench import Workbench
from fallow.tray import core_words as words
from fallow.tray import farewell, records, whereabouts
from fallow.tray.answering import Answers
from fallow.tray.cache import distrust_after_boot
from fallow.tray.config import Config
from fallow.tray.core import Core
from fallow.tray.eyes import Eyes
from fallow.tray.local import NoticeIs
from fallow.tray.local_server import LocalServer
from fallow.tray.membership import join, load_membership
from fallow.tray.offering import gpus as offered_gpus
from fallow.tray.offering import settings_of
from fallow.tray.pausing import pausing
from fallow.tray.promptness import wake_promptly
from fallow.tray.records import Records
from fallow.tray.sensors.shutdown import shutting_down
from fallow.tray.settings import Settings
from fallow.tray.show import Outside, Pids, show
from fallow.tray.status import AgentStatus
from fallow.tray.taking_over import take_over
from fallow.tray.upkeep import Upkeep
from fallow.tray.uplink import Uplink

log = logging.getLogger(__name__)

PUBLISH_EVERY = 0.2
FLUSH_EVERY = 0.5
SHORTEST_SLEEP = 1.0

R = TypeVar("R")


class Moved(Struct, frozen=True):
    """The data thread tells about a blob."""

    event: Carried


Posted: TypeAlias = words.Event | Moved


Serves: TypeAlias = Literal["folder", "computer", "system"]
"""Whose trays find it: those who know its folder, or everybody's on this computer."""


class Agent:
    """One workstation's agent; `run` until SIGTERM. FallowError when it cannot be."""

    def __init__(
        self,
        data_dir: Path,
        config: Config,
        clock: Clock | None = None,
        config_file: Path | None = None,
        serves: Serves = "folder",
    ) -> None:
        self._data_dir = data_dir
        self._config_file = config_file or data_dir / "agent.toml"
        self._clock = clock or SystemClock()
        self._locks = [records.lock(data_dir)]
        shared: Path | None = None
        if serves != "folder":
            self._locks.append(whereabouts.take())
            shared = whereabouts.make_folder(system=serves == "system")
        self._boot_id = boot_id()
        self._records = Records(data_dir, self._boot_id)
        self._cache = BlobStore(data_dir / "cache", durable=False)
        distrust_after_boot(self._cache, data_dir / "booted", self._boot_id)
        self._member = load_membership(data_dir)
        self._config = config
        self._sandbox = config.jobs.sandbox
        now = self._clock.now()
        self._ability, self._ground = ability, groups = probe(), ground.probe()
        self._pausing = pausing(ability, groups)
        self._core = Core(
            self._settings(config),
            now,
            joined=self._member is not None,
        )
        self._facts: deque[tuple[AttemptId, run_words.Event]] = deque()
        self._loop: Loop[Posted] = Loop(
            self._clock, on_event=self._take, on_turn=self._turn, deadline=self._deadline
        )
        self._bench = Workbench(
            folders=self._records,
            cache=self._cache,
            spool=Spool(data_dir / "spool"),
            jobs=config.jobs,
            ability=ability,
            in_place=self._core.settings.in_place,
            boot_id=self._boot_id,
            watcher=self._loop,
            post=lambda attempt, fact: self._loop.post(words.Happened(attempt, fact)),
            tell=lambda attempt, fact: self._facts.append((attempt, fact)),
            ground=groups,
            cores=machine.cores(),
            gpus=offered_gpus(config.offer),
            # Its keys are in there; a folder around it may be one that jobs may read.
            covered=(str(data_dir),),
        )
        self._uplink = Uplink(
            *(self._loop, self._clock, self._cache, self._step),
            moved=lambda event: self._loop.post(Moved(event)),
        )
        self._published_at = now.boot
        self._unpublished = False
        self._upkeep = Upkeep(
            core=self._core,
            bench=self._bench,
            cache=self._cache,
            records=self._records,
            folder=data_dir,
            reserve=lambda: self._config.offer.disk_reserve,
            step=self._step,
            post=self._loop.post,
            now=now,
        )
        self._signals = 0
        self._wishes_kept = True
        self._asleep = slept()
        self._answers = Answers(
            agent=os.geteuid(),
            seated=lambda: self._eyes.seated,
            step=self._step,
            status=self._asked_status,
            kept=lambda: self._wishes_kept,
            file=self._config_file,
            check=self._settings,
            obey=self._obey,
            rejoin=self._rejoin,
        )
        self._local = LocalServer(
            data_dir,
            on_request=self._answers.answer,
            on_gone=self._answers.gone,
            shared=shared,
            may_change=self._answers.may_change,
            is_job=self._is_job,
        )
        self._local.watch(self._loop)
        self._eyes = Eyes(
            self._clock,
            now.boot,
            self._loop.post,
            ours=self._bench.roots,
            exclusive=lambda: self._config.presence.exclusive,
            foreign_cpu=lambda: self._config.presence.foreign_cpu,
        )

    def join(self, token: str) -> None:
        """Join the coordinator that this token names, before `run`; FallowError as `membership`."""
        self._member = join(self._data_dir, token)
        self._core.handle(words.Joined(), self._clock.now())

    def run(self) -> None:
        """Work until a signal says stop; runs go on then, and the next agent adopts them."""
        with self._loop.hearing_signals((signal.SIGTERM, signal.SIGINT), self._signalled):
            self._restore()
            self._connect()
            self._eyes.start()
            # The last before the loop: threads that were made before it are as they were.
            wake_promptly()
            log.info("agent %d in %s", os.getpid(), self._data_dir)
            try:
                self._loop.run()
            finally:
                self._close()

    # --- start and end ---

    def _signalled(self, number: int) -> None:
        """Between any two instructions: only note it."""
        self._signals += 1

    def _obey_signals(self) -> None:
        """End; if the computer shuts down, jobs are given back first, unless we are hurried."""
        if not self._signals:
            return
        hurried = self._signals > 1 or self._core.farewell is not None
        if hurried or not shutting_down():
            self._loop.stop()
            return
        self._signals = 0
        log.info("this computer shuts down")
        self._step(words.LeaveAsked(farewell.LONGEST))

    def _restore(self) -> None:
        runs, builds = take_over(self._records, self._bench, self._boot_id)
        wishes = self._records.load_wishes()
        self._do(self._core.restore(runs, builds, wishes, self._clock.now()))
        self._drain()

    def _connect(self) -> None:
        if self._member is None:
            return
        rate = self._config.offer.bandwidth
        self._uplink.connect(self._data_dir, self._member, rate, self._core.holds_traffic)
        self._bench.deliveries.carry_with(self._uplink.data)

    def _close(self) -> None:
        self._step(words.StopAsked())
        self._upkeep.save()
        self._eyes.stop()
        self._bench.deliveries.carry_with(None)
        self._bench.close()
        self._uplink.close()
        self._local.close()
        self._loop.close()
        for lock in self._locks:
            os.close(lock)

    # --- what happens ---

    def _take(self, event: Posted) -> None:
        if isinstance(event, Moved):
            self._bench.deliveries.moved(event.event)
            self._drain()
            return
        self._step(event)

    def _step(self, event: words.Event) -> None:
        asleep = slept()
        if asleep - self._asleep >= SHORTEST_SLEEP:
            # Before whatever counts the time up to now.
            self._handle(words.Woke(asleep - self._asleep))
        self._asleep = asleep
        self._handle(event)

    def _handle(self, event: words.Event) -> None:
        try:
            effects = self._core.handle(event, self._clock.now())
        except Refused as error:
            # A fault of ours; the rest of the workstation need not suffer for it.
            log.exception("this cannot happen: %s", error)
            return
        self._do(effects)
        self._drain()

    def _drain(self) -> None:
        """What was found out while effects were carried out."""
        while self._facts:
            attempt, fact = self._facts.popleft()
            try:
                effects = self._core.handle(words.Happened(attempt, fact), self._clock.now())
            except Refused as error:
                log.exception("this cannot happen: %s", error)
                continue
            self._do(effects)

    def _turn(self) -> None:
        now = self._clock.now()
        due = self._core.deadline()
        if due is not None and now.boot >= due:
            self._step(words.Expired())
        if self._upkeep.turn(now, watched=self._local.listened_to):
            self._unpublished = True
        self._obey_signals()
        self._drain()
        self._local.flush()
        self._do(self._core.turn(self._clock.now()))
        self._publish()

    def _deadline(self) -> float | None:
        due = [self._core.deadline(), self._upkeep.deadline()]
        if self._local.behind:
            due.append(self._clock.now().boot + FLUSH_EVERY)
        if self._unpublished:
            due.append(self._published_at + PUBLISH_EVERY)
        return min((each for each in due if each is not None), default=None)

    def _rejoin(self) -> None:
        self._bench.deliveries.carry_with(None)
        self._uplink.disconnect()
        self._member = load_membership(self._data_dir)
        self._step(words.Joined())
        self._connect()

    def _obey(self, config: Config) -> str:
        """Go by these rules from now on; what has to be said about that."""
        settings = self._settings(config)
        self._config = config
        other_sandbox = config.jobs.sandbox != self._sandbox
        if other_sandbox:
            # How a built tree is shared between jobs hangs on it.
            old = self._core.settings
            settings = replace(settings, in_place=old.in_place, unable=old.unable)
        self._step(words.Reconfigured(settings))
        self._uplink.limit(config.offer.bandwidth)
        jobs = replace(config.jobs, sandbox=self._sandbox)
        self._bench.obey(jobs, offered_gpus(config.offer))
        log.info("the rules of this computer have changed")
        if other_sandbox:
            return "Saved. The sandbox changes when the agent is started again."
        return "Saved."

    # --- what is done ---

    def _do(self, effects: list[words.Effect]) -> None:
        unsaved: set[AttemptId] = set()
        for effect in effects:
            match effect:
                case words.Order(attempt, order):
                    if attempt in unsaved and isinstance(order, run_words.Spawn):
                        text = "its record cannot be written to this workstation's disk"
                        self._facts.append((attempt, run_words.NotSpawned("staging", text)))
                        continue
                    job = self._core.work.job_of(attempt)
                    if attempt in unsaved and isinstance(order, run_words.Upload):
                        # The record still says that the outputs are in the work folder.
                        job = None
                    if isinstance(order, run_words.Spawn) and not self._bench.roots():
                        self._eyes.look_soon()
                    self._bench.order(attempt, order, job)
                case words.SaveRun(run):
                    if not self._save(self._records.save_run, run):
                        unsaved.add(run.attempt)
                case words.SaveBuild(build):
                    if not self._save(self._records.save_build, build):
                        unsaved.add(build_id(build.batch))
                case words.SaveWishes(wishes):
                    self._wishes_kept = self._save(self._records.save_wishes, wishes)
                case words.HoldTraffic(held, but_checkpoints):
                    if held and not but_checkpoints:
                        self._uplink.hold(True)
                    self._bench.deliveries.move_only_urgent(but_checkpoints)
                    if but_checkpoints or not held:
                        self._uplink.hold(False)
                case words.ForgetInputs():
                    # They stay for other batches, until the disk is short.
                    pass
                case words.Send(message):
                    self._uplink.send(message)
                case words.Reconnect():
                    self._uplink.reconnect()
                case words.ShowTail(question):
                    self._uplink.send(self._bench.tail(question))
                case words.ShowNotice(notice):
                    told = NoticeIs(notice.id, notice.title, notice.text)
                    self._local.show(notice.to, told)
                case words.End():
                    self._loop.stop()
                case words.Publish():
                    self._unpublished = True

    def _publish(self) -> None:
        """Show the newest state to whoever watches, at most a few times a second."""
        now = self._clock.now().boot
        if self._unpublished and now >= self._published_at + PUBLISH_EVERY:
            self._unpublished = False
            self._published_at = now
            if self._local.listened_to:
                # Without the process numbers: they are costly to find, and few ask.
                self._local.publish(self._status(lambda attempt: ()))

    def _status(self, pids: Pids) -> AgentStatus:
        address = ""
        if self._member is not None:
            address = self._uplink.address or self._member.addresses[0]
        now = self._clock.now()
        outside = Outside(
            *(address, pids, os.getpid(), self._pausing),
            *(self._upkeep.meter, self._upkeep.day(now)),
        )
        return show(self._core, outside, now)

    def _asked_status(self) -> AgentStatus:
        """All of it, for somebody who asks once."""
        if self._core.work.runs and not self._local.listened_to:
            self._upkeep.measure(self._clock.now())
        return self._status(self._bench.pids)

    def _is_job(self, pid: int) -> bool:
        """Whatever is below this process is one, too."""
        own = os.getpid()
        return pid != own and (descends(pid, {own}) or self._bench.owns(pid))

    def _settings(self, config: Config) -> Settings:
        return settings_of(
            *(self._data_dir, config, self._ability, self._ground, self._boot_id),
            str(self._config_file),
        )

    def _save(self, write: Callable[[R], None], record: R) -> bool:
        try:
            write(record)
        except OSError as error:
            log.error("a record cannot be written: %s: %s", error.strerror, error.filename)
            return False
        return True
