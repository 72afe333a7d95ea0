"""The event stream read back: in order, from a moment on, of one batch, page by page."""

import pytest

from fallow.coordinator.core import Core
from fallow.coordinator.records import EventRecord
from fallow.coordinator.store import ForgetEvents, Kept, NoticeGone, NoticeKept, RoomKept, Store
from fallow.coordinator.telling import Message
from fallow.coordinator.watching import Watching
from fallow.shared.errors import FallowError
from fallow.shared.messages import Watch, WatchReply
from fallow.shared.moments import Moment

REFS = ("ana:b", "ana:b/j", "ana:b2", "ana:b2/j", "ana:b/k", "")


@pytest.fixture
def filled(store: Store) -> Store:
    store.commit(
        EventRecord(wall=1000.0 + number, kind="done", ref=REFS[number % len(REFS)], text="x")
        for number in range(60)
    )
    return store


def test_from_a_moment_on(filled: Store) -> None:
    assert filled.event_before(0.0) == 0
    assert filled.event_before(1000.0) == 0
    assert filled.event_before(1000.5) == 1
    assert filled.event_before(1059.0) == 59
    assert filled.event_before(5000.0) == 60
    assert filled.last_event() == 60


def test_of_nothing(store: Store) -> None:
    assert store.last_event() == 0
    assert store.event_before(1.0) == 0
    assert store.events(0, 10, 10, None) == []


def test_of_one_batch_and_none_of_a_longer_name(filled: Store) -> None:
    found = filled.events(0, 60, 100, "ana:b")
    assert {event.ref for event in found} == {"ana:b", "ana:b/j", "ana:b/k"}
    assert len(found) == 30
    assert [event.id for event in found] == sorted(event.id for event in found)
    assert {event.ref for event in filled.events(0, 60, 100, "ana:b/j")} == {"ana:b/j"}


def test_after_some_were_forgotten(filled: Store) -> None:
    filled.commit([ForgetEvents(1020.0)])
    (first,) = filled.events(filled.event_before(0.0), 60, 1, None)
    assert first.id == 21


class Client:
    """Asks Watching, as the shell does; `answers` by number of the question."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.answers: dict[int, WatchReply] = {}
        self.now = Moment(100.0, 2000.0)
        self.watching = Watching(Core("boot"), store, self.answers.__setitem__)
        self._asked = 0

    def ask(self, watch: Watch) -> WatchReply | None:
        self._asked += 1
        self.watching.watch(self._asked, watch, self.now)
        return self.answers.get(self._asked)

    def happen(self, text: str) -> None:
        self.store.commit([EventRecord(wall=self.now.wall, kind="done", text=text)])
        self.watching.look(self.now)

    def wait(self, seconds: float) -> None:
        self.now = self.now.plus(seconds)
        self.watching.look(self.now)


def test_page_by_page_nothing_is_lost(filled: Store) -> None:
    client = Client(filled)
    seen: list[int] = []
    ask = Watch(after=0, limit=7)
    while True:
        reply = client.ask(ask)
        assert reply is not None
        seen += [event.id for event in reply.events]
        if not reply.more:
            break
        ask = Watch(after=reply.next, limit=7)
    assert seen == list(range(1, 61))


def test_long_texts_make_short_pages(store: Store) -> None:
    store.commit(
        EventRecord(wall=1000.0, kind="verdict", text=str(number) * 3_000_000)
        for number in range(1, 6)
    )
    client = Client(store)
    reply = client.ask(Watch(after=0))
    assert reply is not None
    assert [event.text[0] for event in reply.events] == ["1", "2"]
    assert (reply.next, reply.more) == (2, True)
    reply = client.ask(Watch(after=4))
    assert reply is not None
    assert ([event.text[0] for event in reply.events], reply.more) == (["5"], False)


def test_it_waits_for_the_first_event(filled: Store) -> None:
    client = Client(filled)
    assert client.ask(Watch(wait=10.0)) is None
    assert client.watching.deadline() == 110.0
    client.happen("news")
    assert [event.text for event in client.answers[1].events] == ["news"]
    assert client.watching.deadline() is None


def test_it_waits_no_longer_than_it_was_asked_to(filled: Store) -> None:
    client = Client(filled)
    assert client.ask(Watch(wait=1e9)) is None
    client.wait(14.0)
    assert client.answers == {}
    client.wait(1.1)
    assert client.answers[1] == WatchReply((), 60, False)


def test_many_events_wake_nobody_each_time(filled: Store) -> None:
    client = Client(filled)
    client.ask(Watch(wait=10.0))
    client.happen("one")
    client.ask(Watch(after=client.answers[1].next, wait=10.0))
    client.happen("two")
    client.happen("three")
    assert 2 not in client.answers
    assert client.watching.deadline() == pytest.approx(100.1)
    client.wait(0.1)
    assert [event.text for event in client.answers[2].events] == ["two", "three"]


def test_who_asks_about_nobody_is_told(filled: Store) -> None:
    client = Client(filled)
    # Not known any more, but in the audit.
    reply = client.ask(Watch("ana:b2", after=0))
    assert reply is not None
    assert len(reply.events) == 20
    for ref in ("bo:c", "b2"):
        with pytest.raises(FallowError):
            client.ask(Watch(ref, after=0))


def test_messages_are_kept_and_no_number_comes_twice(store: Store) -> None:
    message = Message("ana:b", "ana", "desktop", "t", "x", {"counts": {"failed": 1}})
    kept = [Kept(number, message, 1.0, 0, 1.0) for number in (1, 2)]
    store.commit([NoticeKept(each) for each in kept])
    store.commit([NoticeKept(Kept(1, message, 1.0, 3, 9.0)), RoomKept("matrix:@a:hs", "!r:hs")])
    assert store.notices() == (
        [Kept(1, message, 1.0, 3, 9.0), kept[1]],
        {"matrix:@a:hs": "!r:hs"},
        2,
    )
    store.commit([NoticeGone(2), NoticeGone(1)])
    assert store.notices() == ([], {"matrix:@a:hs": "!r:hs"}, 2)
    store.commit([NoticeKept(Kept(3, message, 1.0, 0, 1.0)), NoticeGone(3)])
    assert store.notices()[0] == []
    assert store.notices()[2] == 3
