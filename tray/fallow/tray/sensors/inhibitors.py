"""A film, a presentation or a call: a program that has asked the desktop not to fall idle.

Whoever watches presses no key, so no other sensor sees them. This one asks logind, and, with a
session's bus, GNOME's, KDE's and freedesktop's services; it does not see who asks X11 itself.
"""

import logging
from collections.abc import Callable

from fallow.shared.moments import Moment
from fallow.tray.presence import Reading
from fallow.tray.sensors.bus import PATIENCE, Bus, Kind, Unanswered, why

log = logging.getLogger(__name__)

ASK_EVERY = 5.0
LONGEST_WAIT = 60.0

LOGIN1 = "org.freedesktop.login1"
GNOME = "org.gnome.SessionManager"
KDE = "org.kde.Solid.PowerManagement.PolicyAgent"
POWER = "org.freedesktop.PowerManagement"
_GNOME_IDLE = 8
_KDE_SCREEN = 4

_Ask = Callable[[Bus], list[str]]


class Inhibitors:
    """Asks every `ASK_EVERY` seconds at most; a read waits `patience` seconds at most.

    While a program keeps the desktop awake, `last_activity` is the last time it was asked.
    """

    def __init__(self, kind: Kind, address: str | None = None, patience: float = PATIENCE) -> None:
        self.name = "inhibitors" if kind == "session" else "logind inhibitors"
        self._bus = Bus(kind, address)
        self._asks: tuple[_Ask, ...] = (_gnome, _kde, _power) if kind == "session" else (_login1,)
        self._patience = patience
        self._ask_at = 0.0
        self._wait = ASK_EVERY
        self._seen_at: float | None = None
        self._reading = Reading(self.name, "inhibitor", False, "it has not been asked yet")

    def read(self, now: Moment) -> Reading:
        if now.boot >= self._ask_at:
            self._reading = self._ask(now)
        return self._reading

    def close(self) -> None:
        self._bus.hang_up()

    def _ask(self, now: Moment) -> Reading:
        try:
            who = self._all()
        except Exception as error:
            self._bus.hang_up()
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            self._ask_at = now.boot + self._wait
            reason = why(error, self._bus.kind, "the desktop")
            log.debug("%s: %s", self.name, reason)
            return Reading(self.name, "inhibitor", False, reason, self._seen_at)
        self._wait = ASK_EVERY
        self._ask_at = now.boot + ASK_EVERY
        if who:
            self._seen_at = now.boot
        text = " and ".join(sorted(who))
        return Reading(self.name, "inhibitor", True, text, self._seen_at)

    def _all(self) -> set[str]:
        self._bus.turn(self._patience)
        who: set[str] = set()
        answered, refusal = False, Unanswered("no service knows")
        for ask in self._asks:
            try:
                who.update(ask(self._bus))
                answered = True
            except Unanswered as error:
                refusal = error
        if not answered and self._bus.kind == "system":
            raise refusal
        # A session without any such service has nobody to ask, and nobody who was asked.
        return who


def _login1(bus: Bus) -> list[str]:
    (rows,) = bus.ask(LOGIN1, "/org/freedesktop/login1", f"{LOGIN1}.Manager.ListInhibitors")
    return [
        _says(who, why)
        for what, who, why, mode, _uid, _pid in rows
        if "idle" in what.split(":") and mode == "block"
    ]


def _gnome(bus: Bus) -> list[str]:
    """GNOME's session manager; MATE and Cinnamon answer to the same name."""
    path = "/org/gnome/SessionManager"
    (inhibited,) = bus.ask(GNOME, path, f"{GNOME}.IsInhibited", "u", _GNOME_IDLE)
    if not inhibited:
        return []
    who: list[str] = []
    (paths,) = bus.ask(GNOME, path, f"{GNOME}.GetInhibitors")
    for each in paths:
        try:
            (flags,) = bus.ask(GNOME, each, f"{GNOME}.Inhibitor.GetFlags")
            if flags & _GNOME_IDLE:
                (app,) = bus.ask(GNOME, each, f"{GNOME}.Inhibitor.GetAppId")
                (reason,) = bus.ask(GNOME, each, f"{GNOME}.Inhibitor.GetReason")
                who.append(_says(app, reason))
        except Unanswered:
            continue  # It was taken back since it was listed.
    return who or ["a program"]


def _kde(bus: Bus) -> list[str]:
    path = "/org/kde/Solid/PowerManagement/PolicyAgent"
    service = "org.kde.Solid.PowerManagement"
    (inhibited,) = bus.ask(service, path, f"{KDE}.HasInhibition", "u", _KDE_SCREEN)
    if not inhibited:
        return []
    (rows,) = bus.ask(service, path, f"{KDE}.ListInhibitions")
    return [_says(*row[:2]) for row in rows] or ["a program"]


def _power(bus: Bus) -> list[str]:
    """XFCE and others by freedesktop's old name."""
    path = "/org/freedesktop/PowerManagement/Inhibit"
    (inhibited,) = bus.ask(POWER, path, f"{POWER}.Inhibit.HasInhibit")
    if not inhibited:
        return []
    try:
        (who,) = bus.ask(POWER, path, f"{POWER}.Inhibit.GetInhibitors")
    except Unanswered:
        return ["a program"]
    return list(who) or ["a program"]


def _says(who: str, reason: str) -> str:
    return f"{who or 'a program'} ({reason})" if reason else who or "a program"
