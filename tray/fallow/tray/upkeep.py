"""What the agent looks after now and then: progress, memory, room on the disk, the day's diary.

Not what follows from what is seen (`core`), and nothing that cannot wait for some seconds. For the
loop's thread.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from fallow.shared.blobs import BlobStore
from fallow.shared.ids import AttemptId
from fallow.shared.moments import Moment
from fallow.shared.work import files, machine
from fallow.shared.work.eviction import LITTLE
from fallow.shared.work.workbench import Workbench
from fallow.tray import core_words as words
from fallow.tray.cache import make_room
from fallow.tray.core import Core
from fallow.tray.diary import Diary
from fallow.tray.metering import Meter, Used
from fallow.tray.records import Records
from fallow.tray.show import day_state
from fallow.tray.status import Span

log = logging.getLogger(__name__)

PROGRESS_EVERY = 3.0
RETRY_UPLOADS_EVERY = 30.0
MAKE_ROOM_EVERY = 15.0
SAVE_DIARY_EVERY = 2  # minutes


class Upkeep:
    """`reserve` is how many bytes are to stay free on the disk of `folder`, asked at each look.

    `step` is for what is found out in the loop's thread, `post` for other threads.
    """

    def __init__(
        self,
        *,
        core: Core,
        bench: Workbench,
        cache: BlobStore,
        records: Records,
        folder: Path,
        reserve: Callable[[], int],
        step: Callable[[words.Event], None],
        post: Callable[[words.Event], None],
        now: Moment,
    ) -> None:
        self._core = core
        self._bench = bench
        self._cache = cache
        self._records = records
        self._folder = folder
        self._reserve = reserve
        self._step = step
        self._post = post
        self._measuring = threading.Thread()
        self._diary = Diary(records.load_diary())
        self._progress_at = self._retry_at = self._room_at = now.boot
        self.meter = Meter()

    def turn(self, now: Moment, *, watched: bool) -> bool:
        """Do what is due; whether people who watch would see something new."""
        news = False
        if now.boot >= self._progress_at:
            self._progress_at = now.boot + PROGRESS_EVERY
            self._bench.look_at_progress()
            self._look_at_memory()
            self._look_at_disk(now)
            if not self._core.work.frozen:
                self._bench.yield_processors()
                self._bench.look_at_memory(self._core.work.memory_asked())
                if watched and self._core.work.runs:
                    self.measure(now)
                    news = True
        if now.boot >= self._retry_at:
            self._retry_at = now.boot + RETRY_UPLOADS_EVERY
            self._bench.deliveries.offer_again()
            self._bench.clear_spent()
        self._diary.note(day_state(self._core), now.wall)
        if not 0 <= self._diary.last - self._diary.saved < SAVE_DIARY_EVERY:
            self.save()
        return news

    def deadline(self) -> float | None:
        """When there is something to look at that changes by the second; boot-clock seconds."""
        work = self._core.work
        return self._progress_at if work.runs or work.builds else None

    def measure(self, now: Moment) -> None:
        """Look how much each run uses; it costs some milliseconds."""
        memory, seconds = self._bench.memory(), self._bench.seconds()
        self.meter.look({each: Used(seconds[each], memory[each]) for each in memory}, now.boot)

    def day(self, now: Moment) -> tuple[Span, ...]:
        """The last day, in stretches."""
        return self._diary.spans(now.wall)

    def save(self) -> None:
        """Write the day down."""
        self._diary.saved = self._diary.last
        try:
            self._records.save_diary(self._diary.kept())
        except OSError as error:
            log.warning("the diary cannot be written: %s", error)

    def _look_at_memory(self) -> None:
        """What pauses keeps its memory, which the person at the desk may need."""
        work, total = self._core.work, machine.total_memory()
        if work.frozen and work.runs:
            available = machine.available_memory()
            if available < LITTLE * total:
                self._step(words.MemorySeen(available, total, self._bench.memory()))

    def _look_at_disk(self, now: Moment) -> None:
        """What is to stay free: inputs that were kept go first, then a job that fills the disk."""
        short = self._reserve() - machine.free_disk(self._folder)
        if short <= 0 or now.boot < self._room_at:
            return
        self._room_at = now.boot + MAKE_ROOM_EVERY
        work = self._core.work
        jobs = [each.job for each in work.runs.values()]
        jobs += [each.job for each in work.builds.values()]
        kept = {hash for job in jobs for hash in files.blobs_of(job)}
        short -= make_room(self._cache, short, kept)
        if short > 0 and work.runs and not self._measuring.is_alive():
            folders = {each: self._records.folder(each) for each in work.runs}
            self._measuring = threading.Thread(
                target=self._measure_disk, args=(folders, short), name="disk", daemon=True
            )
            self._measuring.start()

    def _measure_disk(self, folders: Mapping[AttemptId, Path], short: int) -> None:
        used = {attempt: machine.used_disk(folder) for attempt, folder in folders.items()}
        self._post(words.DiskSeen(used, short))
