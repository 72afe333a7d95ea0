"""The thread that takes messages to Matrix and to webhooks, so that none ever holds up the loop.

Not which messages, nor when again (`notifying`), nor the web (`calling`). Sending twice does no
harm: a Matrix server knows a message by its id, and a webhook is told of one and the same end.
"""

import logging
import queue
import threading
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import quote

from msgspec import Struct

from fallow.coordinator.telling import MATRIX, Message

log = logging.getLogger(__name__)

_GONE = {403, 404}
_LONGEST_ERRAND = 30.0  # seconds
_MOST_LOST = 8  # couriers that wait for an answer which nobody waits for any more
_MATRIX = "/_matrix/client/v3"


class Homeserver(Struct, frozen=True):
    """A Matrix account: its server's address, and the token that lets us write in its name."""

    address: str
    token: str


class Errand(Struct, frozen=True):
    """One message to take away; `room` is the Matrix room in which its person was met before."""

    id: int
    message: Message
    room: str = ""


class Delivered(Struct, frozen=True):
    id: int
    room: str = ""


class Failed(Struct, frozen=True):
    """It was not taken; `final` when trying again cannot help."""

    id: int
    why: str
    final: bool = False
    room: str = ""


Outcome: TypeAlias = Delivered | Failed


class Couriers:
    """Carries errands out one after the other and tells `post` what came of each.

    One that takes longer than `patience` seconds is not waited for any more.
    """

    def __init__(
        self,
        homeserver: Homeserver | None,
        post: Callable[[Outcome], None],
        patience: float = _LONGEST_ERRAND,
    ) -> None:
        self._homeserver = homeserver
        self._patience = patience
        self._post = post
        self._errands: queue.SimpleQueue[Errand | None] = queue.SimpleQueue()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="couriers", daemon=True)
        self._started = False
        self._lost: list[threading.Thread] = []

    def send(self, errand: Errand) -> None:
        if not self._started:  # most coordinators never tell anybody anything
            self._started = True
            self._thread.start()
        self._errands.put(errand)

    def stop(self) -> None:
        """What was not taken away is on disk, and taken later; nobody is waited for."""
        self._stopping = True
        self._errands.put(None)

    def _run(self) -> None:
        while not self._stopping and (errand := self._errands.get()) is not None:
            self._post(self._watched(errand))

    def _watched(self, errand: Errand) -> Outcome:
        """Carry it out, but do not wait for one who answers a letter an hour."""
        self._lost = [each for each in self._lost if each.is_alive()]
        if len(self._lost) >= _MOST_LOST:
            return Failed(errand.id, "too many others do not come to an end", room=errand.room)
        came: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        courier = threading.Thread(
            target=self._go, args=(errand, came.put), name="courier", daemon=True
        )
        courier.start()
        try:
            return came.get(timeout=self._patience)
        except queue.Empty:
            self._lost.append(courier)
            return Failed(errand.id, "the answer takes too long", room=errand.room)

    def _go(self, errand: Errand, tell: Callable[[Outcome], None]) -> None:
        try:
            tell(self._carry(errand))
        except Exception as error:
            log.exception("a courier stumbled")
            tell(Failed(errand.id, f"a fault of Fallow ({type(error).__name__})", True))

    def _carry(self, errand: Errand) -> Outcome:
        from fallow.coordinator.calling import NotDone, call

        message, room = errand.message, errand.room
        try:
            if message.target.startswith(MATRIX):
                if self._homeserver is None:
                    return Failed(errand.id, "no [matrix] homeserver is set any more", True)
                room = room or self._make_room(self._homeserver, message)
                self._write(self._homeserver, room, errand)
            else:
                call("POST", message.target, {**message.content, "id": errand.id})
        except NotDone as error:
            # A room that was left is not used again: then another one is made.
            left = bool(errand.room) and error.status in _GONE
            return Failed(errand.id, str(error), error.final and not left, "" if left else room)
        return Delivered(errand.id, room)

    def _make_room(self, home: Homeserver, message: Message) -> str:
        """A room with this person."""
        from fallow.coordinator.calling import NotDone, call

        wish = {
            "is_direct": True,
            "preset": "trusted_private_chat",
            "name": "Fallow",
            "invite": [message.target.removeprefix(MATRIX)],
        }
        made = call("POST", f"{home.address.rstrip('/')}{_MATRIX}/createRoom", wish, home.token)
        room = str(made.get("room_id", ""))
        if not room:
            raise NotDone("the homeserver made no room", final=False)
        return room

    def _write(self, home: Homeserver, room: str, errand: Errand) -> None:
        from fallow.coordinator.calling import call

        message = errand.message
        place = f"{_MATRIX}/rooms/{quote(room, safe='')}/send/m.room.message/fallow-{errand.id}"
        content = {"msgtype": "m.text", "body": f"{message.title}. {message.text}"}
        call("PUT", home.address.rstrip("/") + place, content, home.token)
