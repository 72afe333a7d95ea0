"""Who is logged in at the seats of this computer, asked of systemd-logind over the system bus.

It can say that nobody is: then the desk is free, the login screen included. It cannot say when a
person who is logged in last typed (`IdleHint` is never set on some desktops): `pynput_input` can.
"""

import logging
from typing import NamedTuple

from fallow.shared.moments import Moment
from fallow.tray.coverage import Desk
from fallow.tray.presence import Reading
from fallow.tray.sensors.bus import PATIENCE, Bus, Unanswered, why

log = logging.getLogger(__name__)

SERVICE = "org.freedesktop.login1"
PATH = "/org/freedesktop/login1"
PROPERTIES = "org.freedesktop.DBus.Properties"
# A login is followed by typing, and a logout frees nothing at once: no need to ask more often.
ASK_EVERY = 2.0
LONGEST_WAIT = 60.0
GRAPHICAL = {"x11", "wayland", "mir"}


class Session(NamedTuple):
    """One login: `seat` is empty for ssh; `kind` is logind's class, such as user or greeter.

    `screen` is logind's type, such as x11, wayland or tty; `idle` what its desktop says of it.
    """

    number: str
    user: str
    seat: str
    kind: str
    state: str
    remote: bool
    locked: bool
    uid: int = 0
    screen: str = ""
    display: str = ""
    idle: bool = False

    @property
    def somebody(self) -> bool:
        """Is a person logged in here? Not the login screen, nor what a logout leaves behind."""
        return bool(self.seat) and self.kind.startswith("user") and self.state != "closing"

    @property
    def desk(self) -> Desk | None:
        """The graphical session of a person, in the background or not; None for any other."""
        if not self.somebody or self.screen not in GRAPHICAL:
            return None
        return Desk(self.number, self.user, self.uid, self.seat, self.display)


class Logind:
    """Asks logind at most every `ASK_EVERY` seconds; a read waits `patience` seconds at most.

    `woke` is when the computer last told that it woke from sleep, None when it has not slept.
    """

    name = "logind"

    def __init__(self, address: str | None = None, patience: float = PATIENCE) -> None:
        self._bus = Bus("system", address)
        self._patience = patience
        self._ask_at = 0.0
        self._wait = ASK_EVERY
        self._occupied_at: float | None = None
        self._seen_at: float | None = None
        self._reading = Reading(self.name, "session", False, "it has not been asked yet")
        self.sessions: tuple[Session, ...] = ()
        self.woke: float | None = None

    def read(self, now: Moment) -> Reading:
        if now.boot >= self._ask_at:
            self._reading = self._ask(now)
        return self._reading

    def close(self) -> None:
        self._bus.hang_up()

    def _ask(self, now: Moment) -> Reading:
        before = self.sessions
        try:
            self.sessions = self._list(now)
        except Exception as error:
            # Whatever is wrong with the bus, the answer is the same: nothing was seen.
            self._bus.hang_up()
            self.sessions = ()
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            self._ask_at = now.boot + self._wait
            reason = why(error, "system", "logind")
            log.debug("logind: %s", reason)
            return Reading(self.name, "session", False, reason, self._occupied_at)
        self._wait = ASK_EVERY
        self._ask_at = now.boot + ASK_EVERY
        people = [session for session in self.sessions if session.somebody]
        if not people:
            return Reading(self.name, "session", True, "", self._occupied_at, vacant=True)
        self._occupied_at = now.boot
        if _came_back(before, people):
            self._seen_at = now.boot
        desks = tuple(each.desk for each in people if each.desk is not None)
        who = " and ".join(sorted({_says(each) for each in people}))
        return Reading(self.name, "session", True, who, self._seen_at, desks=desks)

    def _list(self, now: Moment) -> tuple[Session, ...]:
        if self._bus.turn(self._patience):
            self._bus.listen(f"{SERVICE}.Manager", "PrepareForSleep")
        found: list[Session] = []
        (listed,) = self._bus.ask(SERVICE, PATH, f"{SERVICE}.Manager.ListSessions")
        for number, uid, user, seat, path in listed:
            try:
                (values,) = self._bus.ask(
                    *(SERVICE, path, f"{PROPERTIES}.GetAll", "s"), f"{SERVICE}.Session"
                )
            except Unanswered:
                continue  # The session ended since it was listed.
            found.append(
                Session(
                    number=number,
                    user=user,
                    seat=seat,
                    kind=values.get("Class", "user"),
                    state=values.get("State", "active"),
                    remote=values.get("Remote", False),
                    locked=values.get("LockedHint", False),
                    uid=uid,
                    screen=values.get("Type", ""),
                    display=values.get("Display", ""),
                    idle=values.get("IdleHint", False),
                )
            )
        # What logind told of sleep has waited in the socket until now.
        for signal in self._bus.signals():
            if signal.member == "PrepareForSleep" and signal.body == [False]:
                log.info("this computer woke up")
                self.woke = now.boot
        return tuple(found)


def _came_back(before: tuple[Session, ...], after: list[Session]) -> bool:
    """Has anybody unlocked a screen, or has a desktop told that its person is no longer idle?"""
    was = {each.number: each for each in before}
    return any(
        (old.locked and not new.locked) or (old.idle and not new.idle)
        for new in after
        if (old := was.get(new.number)) is not None
    )


def _says(session: Session) -> str:
    hints = [*(["locked"] if session.locked else []), *(["idle"] if session.idle else [])]
    text = f"{session.user} is logged in at {session.seat}"
    return f"{text} ({' and '.join(hints)})" if hints else text
