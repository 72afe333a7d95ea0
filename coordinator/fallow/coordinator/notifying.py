"""Messages about ended batches, kept on disk until their people have them: when to try, and again.

Not the words (`telling`) nor the sending (`couriers`). Messages for a desktop wait here for a
workstation that reports their person, and for its word that they were shown.
"""

import logging
from collections.abc import Callable, Iterable

import msgspec
from msgspec import Struct

from fallow.coordinator import telling
from fallow.coordinator.couriers import Delivered, Errand, Failed, Outcome
from fallow.coordinator.records import EventRecord
from fallow.coordinator.store import AnySave, Kept, NoticeGone, NoticeKept, RoomKept
from fallow.coordinator.telling import DESKTOP, MATRIX, Message
from fallow.shared.messages import Notice
from fallow.shared.moments import Moment

log = logging.getLogger(__name__)

_SHOWN_WITHIN = 60.0  # seconds after which a desktop that said nothing is told again


class _Waiting(Struct):
    kept: Kept
    due: float  # boot-clock seconds; for a desktop, when it may be told again
    away: bool = False
    told: str = ""  # the workstation whose word about it counts


class Notifying:
    """All messages that are not delivered yet.

    `save` keeps, `send` hands an errand to the couriers, `tell` a Notice to a workstation;
    `name_of` says whom a workstation means by such a word of its Report.
    """

    def __init__(
        self,
        save: Callable[[AnySave], None],
        send: Callable[[Errand], None],
        tell: Callable[[str, Notice], None],
        name_of: Callable[[str, str], str | None],
    ) -> None:
        self._save = save
        self._send = send
        self._tell = tell
        self._name_of = name_of
        self._waiting: dict[int, _Waiting] = {}
        self._rooms: dict[str, str] = {}
        self._last = 0

    def restore(self, kept: Iterable[Kept], rooms: dict[str, str], last: int, now: Moment) -> None:
        """What the store holds; `last` is the highest number ever given."""
        for each in kept:
            wait = min(max(each.next_try - now.wall, 0.0), telling.back_off(each.tries))
            self._waiting[each.id] = _Waiting(each, now.boot + wait)
        self._rooms = dict(rooms)
        self._last = last

    def take(self, message: Message, now: Moment) -> None:
        """Keep this message, saved with the turn in which its batch ended."""
        self._last += 1
        kept = Kept(self._last, message, now.wall, 0, now.wall)
        self._waiting[kept.id] = _Waiting(kept, now.boot)
        self._save(NoticeKept(kept))

    def go(self, now: Moment) -> None:
        """Send off what is due; give up what nobody can be told any more."""
        for waiting in list(self._waiting.values()):
            kept = waiting.kept
            target = kept.message.target
            longest = telling.KEEP if target == DESKTOP else telling.GIVE_UP
            if now.wall - kept.made > longest and not waiting.away:
                self._drop(kept, now, "trouble", "could not be told in time")
            elif target != DESKTOP and not waiting.away and waiting.due <= now.boot:
                waiting.away = True
                self._send(Errand(kept.id, kept.message, self._rooms.get(target, "")))

    def deadline(self) -> float | None:
        """The boot-clock second of the next try, None when nothing waits for one."""
        due = (
            each.due
            for each in self._waiting.values()
            if not each.away and each.kept.message.target != DESKTOP
        )
        return min(due, default=None)

    def came_back(self, outcome: Outcome, now: Moment) -> None:
        """A courier is back."""
        waiting = self._waiting.get(outcome.id)
        if waiting is None:
            return
        kept = waiting.kept
        target = kept.message.target
        if target.startswith(MATRIX) and self._rooms.get(target, "") != outcome.room:
            self._rooms[target] = outcome.room
            self._save(RoomKept(target, outcome.room))
        match outcome:
            case Delivered():
                self._drop(kept, now, "told", "")
            case Failed(_, why, True):
                self._drop(kept, now, "trouble", why)
            case Failed(_, why):
                tries = kept.tries + 1
                wait = telling.back_off(tries)
                log.info("could not tell of %s: %s; again in %g s", kept.message.ref, why, wait)
                waiting.kept = msgspec.structs.replace(kept, tries=tries, next_try=now.wall + wait)
                waiting.due, waiting.away = now.boot + wait, False
                self._save(NoticeKept(waiting.kept))

    def at_desk(self, node: str, people: Iterable[str], now: Moment) -> None:
        """These people are at a workstation: show them what is theirs."""
        waiting = [w for w in self._waiting.values() if w.kept.message.target == DESKTOP]
        if not waiting:
            return
        for key in people:
            name = self._name_of(node, key)
            for each in waiting:
                message = each.kept.message
                if name == message.person and each.due <= now.boot:
                    each.due, each.told = now.boot + _SHOWN_WITHIN, node
                    self._tell(node, Notice(each.kept.id, key, message.title, message.text))

    def shown(self, node: str, id: int, now: Moment) -> None:
        """A workstation says that it was shown."""
        waiting = self._waiting.get(id)
        if waiting is not None and waiting.told == node:
            self._drop(waiting.kept, now, "told", "")

    def _drop(self, kept: Kept, now: Moment, kind: str, why: str) -> None:
        del self._waiting[kept.id]
        self._save(NoticeGone(kept.id))
        whom = telling.said(kept.message.target)
        text = f"{kept.message.person}, by {whom}" if not why else f"{whom} was not told: {why}"
        self._save(EventRecord(wall=now.wall, kind=kind, ref=kept.message.ref, text=text))
