"""Keyboard and mouse of a Wayland session, told by its compositor (ext-idle-notify-v1).

KDE, sway, labwc, Hyprland and others have it; on GNOME there is `mutter`. It tells a second late
when somebody stops, and at once when somebody comes back; what it is that moved it never tells.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping

from fallow.shared.clock import Clock, SystemClock
from fallow.shared.moments import Moment
from fallow.tray.coverage import Cover
from fallow.tray.presence import Reading
from fallow.tray.sensors import wayland
from fallow.tray.sensors.wayland import Connection, Event

log = logging.getLogger(__name__)

NOTIFIER, SEAT = "ext_idle_notifier_v1", "wl_seat"
_ERROR, _DELETE = 0, 1
_GLOBAL = 0
_NOTIFY, _NOTIFY_INPUT = 1, 2
_IDLED, _RESUMED = 0, 1
QUIET = 1.0
# What a compositor takes to tell that the time is over.
GRACE = 0.5
PATIENCE = 2.0
PROBE_EVERY = 10.0
LONGEST_WAIT = 60.0


class IdleNotify:
    """Watches every seat of the compositor; `on_activity` is called from a thread of its own.

    `first_wait` is the pause in seconds before a lost compositor is looked for again; it doubles.
    """

    name = "idle_notify"

    def __init__(
        self,
        on_activity: Callable[[], None],
        clock: Clock | None = None,
        cover: Cover | None = None,
        environment: Mapping[str, str] = os.environ,
        first_wait: float = 1.0,
        probe_every: float = PROBE_EVERY,
    ) -> None:
        self._on_activity = on_activity
        self._clock = clock or SystemClock()
        self._cover = cover
        self._place = wayland.place(environment)
        self._wait = self._first_wait = first_wait
        self._probe_every = probe_every
        self._why = "it has not looked yet"
        self._seen_at: float | None = None
        self._watched_since: float | None = None
        self._busy: dict[int, float] = {}
        self._was_watching = False
        self._connection: Connection | None = None
        self._closing = threading.Event()
        threading.Thread(target=self._serve, name="idle-notify", daemon=True).start()

    def read(self, now: Moment) -> Reading:
        if self._watched_since is None:
            return Reading(self.name, "input", False, self._why, self._seen_at)
        if any(now.boot - since > QUIET + GRACE for since in list(self._busy.values())):
            self._seen_at = now.boot
        return Reading(self.name, "input", True, "", self._seen_at, covers=self._cover)

    def close(self) -> None:
        self._on_activity = lambda: None
        self._closing.set()
        if self._connection is not None:
            self._connection.hang_up()

    # -- in its own thread

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                self._watch()
            except OSError as error:
                self._lost(wayland.why(error))
            except Exception as error:
                log.exception("the compositor said what cannot be understood")
                self._lost(f"the compositor said what cannot be understood: {error}")
            self._closing.wait(self._wait)
            self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _lost(self, why: str) -> None:
        if why != self._why:
            log.info("idle_notify cannot watch: %s", why)
        self._why = why
        self._watched_since = None
        self._busy = {}

    def _watch(self) -> None:
        if self._place is None:
            raise ConnectionError("this is no Wayland session (WAYLAND_DISPLAY is not set)")
        connection = self._connection = Connection(self._place, PATIENCE)
        try:
            talk = _Talk(connection)
            talk.offers(PATIENCE)
            self._busy = dict.fromkeys(talk.notifications, self._clock.now().boot)
            self._watched_since = self._clock.now().boot
            self._wait = self._first_wait
            if self._was_watching:
                # Nobody knows who typed while it was blind.
                self._seen_at = self._watched_since
            self._was_watching = True
            log.info("idle_notify watches %d seats", len(talk.notifications))
            while not self._closing.is_set():
                for event in talk.events(self._probe_every, PATIENCE):
                    self._told(talk, event)
        finally:
            connection.close()

    def _told(self, talk: "_Talk", event: Event) -> None:
        now = self._clock.now().boot
        for made in talk.notifications:
            # A seat that came later; nobody has moved anything of it yet.
            self._busy.setdefault(made, now)
        if event.thing not in talk.notifications:
            return
        if event.opcode == _IDLED:
            since = self._busy.get(event.thing, now)
            # The first second is over in silence: what was before, nobody knows.
            if now - since > QUIET + GRACE:
                self._seen_at = max(self._seen_at or 0.0, now - QUIET)
            self._busy[event.thing] = float("inf")
        elif event.opcode == _RESUMED:
            self._busy[event.thing] = self._seen_at = now
            try:
                self._on_activity()
            except Exception:
                log.exception("what follows from activity failed")


class _Talk:
    """The requests and answers of one connection; `notifications` has one object per seat."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._notifier: tuple[int, int] | None = None
        self._seats: list[int] = []
        self._alive: int | None = None
        self.notifications: set[int] = set()

    def offers(self, patience: float) -> None:
        """Takes what the compositor offers; ConnectionError where it cannot tell of idleness."""
        done = self._connection.sync()
        while not any(event.thing == done for event in self._take(patience)):
            pass
        if self._notifier is None:
            raise ConnectionError(
                "this compositor does not tell when nobody is there (ext-idle-notify-v1)"
            )
        if not self.notifications:
            raise ConnectionError("this compositor has no seat")

    def events(self, patience: float, answer_within: float) -> list[Event]:
        """What comes within `patience`; a silent compositor is asked whether it lives."""
        try:
            return self._take(patience if self._alive is None else answer_within)
        except TimeoutError:
            if self._alive is not None:
                raise
            self._alive = self._connection.sync()
            return []

    def _take(self, patience: float) -> list[Event]:
        events = list(self._connection.events(patience))
        for event in events:
            if event.thing == wayland.REGISTRY and event.opcode == _GLOBAL:
                self._offered(event.body)
            elif event.thing == wayland.DISPLAY and event.opcode == _ERROR:
                text, _ = wayland.read_text(event.body, 8)
                raise ConnectionError(f"the compositor refuses: {text}")
            elif event.thing == wayland.DISPLAY and event.opcode == _DELETE:
                self._connection.let_go(wayland.read_word(event.body, 0))
            elif event.thing == self._alive:
                self._alive = None
        return events

    def _offered(self, body: bytes) -> None:
        offer = wayland.read_global(body)
        if offer.interface == NOTIFIER and self._notifier is None:
            version = min(offer.version, 2)
            self._notifier = (self._connection.bind(offer, version), version)
            for seat in self._seats:
                self._notify(seat)
        elif offer.interface == SEAT:
            seat = self._connection.bind(offer, 1)
            self._seats.append(seat)
            self._notify(seat)

    def _notify(self, seat: int) -> None:
        if self._notifier is None:
            return
        notifier, version = self._notifier
        made = self._connection.new()
        # Of input alone where it can: a film is another matter (`inhibitors`).
        opcode = _NOTIFY_INPUT if version >= 2 else _NOTIFY
        asked = wayland.word(made) + wayland.word(int(1000 * QUIET)) + wayland.word(seat)
        self._connection.send(notifier, opcode, asked)
        self.notifications.add(made)
