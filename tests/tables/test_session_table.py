"""Every cell of the table of a workstation's connection: how it stands by what happens to it."""

from collections.abc import Callable

import pytest

from fallow.shared.moments import Moment
from fallow.tray import session as sessions
from fallow.tray.session import Away, Greeting, Link, Open, Session, Turned, Unjoined

NOW = Moment(1000.0, 5000.0)
LINKS: dict[str, Link] = {
    "Unjoined": Unjoined(),
    "Away": Away(),
    "Greeting": Greeting(1005.0),
    "Open": Open(7, "ws1", 5.0, 1003.0, 1020.0, seq=4, acked=2, heard=9),
    "Turned": Turned("revoked", 1005.0),
}
HAPPENINGS: dict[str, Callable[[Session], Session]] = {
    "connected": lambda it: sessions.connected(it, NOW),
    "lost": sessions.lost,
    "turned away": lambda it: sessions.turned_away(it, "no", NOW),
    "welcomed": lambda it: sessions.welcomed(it, 8, 5.0, "ws1", NOW),
    "heard": lambda it: sessions.heard(it, 10),
    "heard an old one": lambda it: sessions.heard(it, 3),
    "acknowledged": lambda it: sessions.acknowledged(it, 3, NOW),
    "acknowledged twice": lambda it: sessions.acknowledged(it, 2, NOW),
    "acknowledged too early": lambda it: sessions.acknowledged(it, 5, NOW),
    "retrying": lambda it: sessions.retrying(it, NOW),
}
TABLE = """
connected              | Greeting Greeting ~        Greeting Greeting
lost                   | -        -        Away     Away     -
turned away            | Turned   Turned   Turned   Turned   ~
welcomed               | Open     Open     Open     ~        Open
heard                  | -        -        -        ~        -
heard an old one       | -        -        -        -        -
acknowledged           | -        -        -        ~        -
acknowledged twice     | -        -        -        -        -
acknowledged too early | -        -        -        -        -
retrying               | -        -        Away     Away     ~
"""


def parse() -> dict[tuple[str, str], str]:
    cells = {}
    for line in TABLE.strip().splitlines():
        name, _, rest = line.partition("|")
        for link, cell in zip(LINKS, rest.split(), strict=True):
            cells[name.strip(), link] = cell
    return cells


CELLS = parse()


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("what", HAPPENINGS)
def test_cell(what: str, link: str) -> None:
    before = Session(LINKS[link])
    after = HAPPENINGS[what](before)
    if after == before:
        name = "-"
    else:
        name = "~" if type(after.link) is type(before.link) else type(after.link).__name__
    assert name == CELLS[what, link]


def test_the_table_is_whole() -> None:
    assert len(CELLS) == len(HAPPENINGS) * len(LINKS)


def test_a_new_session_begins_at_nought() -> None:
    link = sessions.welcomed(Session(LINKS["Open"]), 8, 5.0, "ws1", NOW).link
    assert isinstance(link, Open)
    assert (link.session, link.seq, link.acked, link.heard) == (8, 0, 0, 0)
    assert sessions.report_due(Session(link), NOW)


def test_reports_are_numbered_and_due_again() -> None:
    it = sessions.reported(Session(LINKS["Open"]), NOW)
    assert isinstance(it.link, Open)
    assert it.link.seq == 5
    assert not sessions.report_due(it, NOW.plus(4.9))
    assert sessions.report_due(it, NOW.plus(5.0))


@pytest.mark.parametrize(
    ("link", "due"),
    [("Unjoined", None), ("Away", None), ("Greeting", 5.0), ("Open", 20.0), ("Turned", 5.0)],
)
def test_when_the_connection_is_made_anew(link: str, due: float | None) -> None:
    it = Session(LINKS[link])
    assert not sessions.must_reconnect(it, NOW)
    if due is None:
        assert not sessions.must_reconnect(it, NOW.plus(1e6))
        assert sessions.deadline(it) is None
    else:
        assert not sessions.must_reconnect(it, NOW.plus(due - 0.1))
        assert sessions.must_reconnect(it, NOW.plus(due))


def test_an_absurd_interval_is_bounded() -> None:
    for asked, given in ((0.0, 0.2), (-1.0, 0.2), (1e9, 600.0)):
        link = sessions.welcomed(Session(), 1, asked, "ws1", NOW).link
        assert isinstance(link, Open)
        assert link.report_every == given


def test_words_for_people() -> None:
    said = {name: sessions.connection(Session(link)) for name, link in LINKS.items()}
    assert said == {
        "Unjoined": "unjoined",
        "Away": "offline",
        "Greeting": "offline",
        "Open": "online",
        "Turned": "refused",
    }
