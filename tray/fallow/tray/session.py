"""The workstation's side of its connection to the coordinator: who speaks, what was heard.

Not the socket (`agent`), and not what a Report says (`core`). A lost message needs no repair here:
the next Report is the repair. Opposite: the coordinator's `node`.
"""

from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from fallow.shared.moments import Moment
from fallow.tray.status import Connection

WELCOME_WITHIN = 10.0
LONGEST_BACK_OFF = 60.0


class Unjoined(Struct, frozen=True):
    """This workstation belongs to no coordinator."""


class Away(Struct, frozen=True):
    """There is no connection; the socket tries by itself."""


class Greeting(Struct, frozen=True):
    """Hello was sent; without a Welcome by `until` the connection is made anew."""

    until: float


class Open(Struct, frozen=True):
    """A session. `seq` counts our Reports, `acked` is the highest that was taken in.

    `report_at` is when the next is due at the latest, `silent_at` when we give the other side up.
    """

    session: int
    name: str
    report_every: float
    report_at: float
    silent_at: float
    seq: int = 0
    acked: int = 0
    heard: int = 0


class Turned(Struct, frozen=True):
    """We were turned away; we ask again at `until`."""

    reason: str
    until: float


Link: TypeAlias = Unjoined | Away | Greeting | Open | Turned


class Session(Struct, frozen=True):
    """The connection; `refusals` counts how often in a row we were turned away."""

    link: Link = Away()
    refusals: int = 0


def connected(session: Session, now: Moment) -> Session:
    """The socket is connected: a Hello must be sent now."""
    return replace(session, link=Greeting(now.boot + WELCOME_WITHIN))


def lost(session: Session) -> Session:
    """The socket is no longer connected. A refusal stays one: it says more."""
    stays = isinstance(session.link, Turned | Unjoined)
    return session if stays else replace(session, link=Away())


def turned_away(session: Session, reason: str, now: Moment) -> Session:
    """The coordinator does not want us; ask again later, ever more rarely."""
    wait = min(2.0 ** (session.refusals + 1), LONGEST_BACK_OFF)
    return Session(Turned(reason, now.boot + wait), session.refusals + 1)


def welcomed(session: Session, number: int, report_every: float, name: str, now: Moment) -> Session:
    """The session is open; a Report is due at once."""
    every = min(max(report_every, 0.2), 600.0)
    link = Open(number, name, every, now.boot, now.boot + _patience(every))
    return Session(link)


def heard(session: Session, n: int) -> Session:
    """A numbered message came; without a session it belongs to an old one and is not counted."""
    if not isinstance(session.link, Open):
        return session
    return replace(session, link=replace(session.link, heard=max(session.link.heard, n)))


def acknowledged(session: Session, seq: int, now: Moment) -> Session:
    """A Report was taken in."""
    link = session.link
    if not isinstance(link, Open) or not link.acked < seq <= link.seq:
        return session
    silent_at = now.boot + _patience(link.report_every)
    return replace(session, link=replace(link, acked=seq, silent_at=silent_at))


def reported(session: Session, now: Moment) -> Session:
    """One more Report goes out now, with the number `seq` that the session then has."""
    assert isinstance(session.link, Open)
    link = session.link
    return replace(
        session, link=replace(link, seq=link.seq + 1, report_at=now.boot + link.report_every)
    )


def must_reconnect(session: Session, now: Moment) -> bool:
    """Whether the connection, such as it is, is to be made anew now."""
    match session.link:
        case Greeting(until) | Turned(_, until):
            return now.boot >= until
        case Open(silent_at=silent_at):
            return now.boot >= silent_at
        case Unjoined() | Away():
            return False


def retrying(session: Session, now: Moment) -> Session:
    """The connection is being made anew; a refusal is not forgotten before it is lifted."""
    match session.link:
        case Turned(reason):
            return replace(session, link=Turned(reason, now.boot + LONGEST_BACK_OFF))
        case Unjoined():
            return session
        case _:
            return replace(session, link=Away())


def report_due(session: Session, now: Moment) -> bool:
    """Whether a Report is due although nothing changed."""
    return isinstance(session.link, Open) and now.boot >= session.link.report_at


def deadline(session: Session) -> float | None:
    """When one of the two above may become true, in boot-clock seconds."""
    match session.link:
        case Greeting(until) | Turned(_, until):
            return until
        case Open(report_at=report_at, silent_at=silent_at):
            return min(report_at, silent_at)
        case Unjoined() | Away():
            return None


def connection(session: Session) -> Connection:
    """The state of it in the word for people."""
    match session.link:
        case Unjoined():
            return "unjoined"
        case Open():
            return "online"
        case Turned():
            return "refused"
        case Away() | Greeting():
            return "offline"


def _patience(report_every: float) -> float:
    return 3 * report_every + WELCOME_WITHIN
