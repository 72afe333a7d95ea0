"""The thread that moves results into their tree, so that a big one never delays a heartbeat.

Not the moving itself (`results`) nor the rows about it (`store`, which is the loop's alone).
Tasks are done in order; those that wait together are committed together.
"""

import logging
import queue
import threading
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from fallow.coordinator.deposits import Deposit, Deposited, Unusable
from fallow.coordinator.results import Results
from fallow.shared.runs import OutputFile

log = logging.getLogger(__name__)

_TOGETHER = 64


class PutBuildOutput(Struct, frozen=True):
    """Write this blob beside the jobs of the batch."""

    uid: str
    namespace: str
    batch: str
    workstation: str
    log: str
    size: int


class RemoveBatch(Struct, frozen=True):
    uid: str
    namespace: str
    batch: str


class Tidy(Struct, frozen=True):
    """The rows of these commits are saved: what they left in the staging folder can go."""

    deposits: tuple[Deposit, ...]


Task: TypeAlias = Deposit | PutBuildOutput | RemoveBatch | Tidy


class BuildOutputPut(Struct, frozen=True):
    uid: str
    file: OutputFile


class BatchRemoved(Struct, frozen=True):
    uid: str


class Broken(Struct, frozen=True):
    """The disk said no. What is on it is the truth, so the process must end."""

    error: Exception


Outcome: TypeAlias = Deposited | Unusable | BuildOutputPut | BatchRemoved | Broken


class Archive:
    """Does tasks in a thread of its own and tells `post` what came of each."""

    def __init__(self, results: Results, post: Callable[[Outcome], None]) -> None:
        self._results = results
        self._post = post
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def do(self, task: Task) -> None:
        self._tasks.put(task)

    def stop(self) -> None:
        """End after the task that is being done; what was not begun is in rows, and done later."""
        self._stopping = True
        self._tasks.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping:
                tasks = [self._tasks.get()]
                while len(tasks) < _TOGETHER and not self._tasks.empty():
                    tasks.append(self._tasks.get())
                self._do(tasks)
        except Exception as error:
            # Whatever it is, nothing more would be committed: better to end and say so.
            if not isinstance(error, OSError):
                log.exception("the archive thread ended")
            self._post(Broken(error))

    def _do(self, tasks: list[Task | None]) -> None:
        deposits: list[Deposit] = []
        for task in tasks:
            if isinstance(task, Deposit):
                deposits.append(task)
                continue
            # A removal must not overtake a commit.
            self._commit(deposits)
            deposits = []
            match task:
                case PutBuildOutput():
                    name = self._results.put_build_output(
                        task.namespace, task.batch, task.workstation, task.log
                    )
                    file = OutputFile(name, task.log, task.size)
                    self._post(BuildOutputPut(task.uid, file))
                case RemoveBatch():
                    self._results.remove_batch(task.uid, task.namespace, task.batch)
                    self._post(BatchRemoved(task.uid))
                case Tidy():
                    self._results.tidy(task.deposits)
                case None:
                    return
        self._commit(deposits)

    def _commit(self, deposits: list[Deposit]) -> None:
        for outcome in self._results.commit(deposits) if deposits else ():
            self._post(outcome)
