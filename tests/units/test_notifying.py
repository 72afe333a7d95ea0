"""Messages about ended batches: to whom, in which words, when they are tried, and when given up."""

from itertools import pairwise

import pytest

from fallow.coordinator import telling
from fallow.coordinator.couriers import Delivered, Errand, Failed
from fallow.coordinator.notifying import Notifying
from fallow.coordinator.records import EventRecord
from fallow.coordinator.store import AnySave, Kept, NoticeGone, NoticeKept, RoomKept
from fallow.coordinator.telling import Message, Ways
from fallow.shared.batch import Batch, Meta
from fallow.shared.errors import Refused
from fallow.shared.messages import Notice
from fallow.shared.moments import Moment

DESK = Message("ana:b", "ana", "desktop", "ana:b has ended", "All 2 jobs succeeded.", {})
HOOK = Message("ana:b", "ana", "https://hooks.example.org/x", "t", "x", {})
MATRIX = Message("ana:b", "ana", "matrix:@ana:hs", "t", "x", {})


class Office:
    """Notifying with lists for all that it does."""

    def __init__(self) -> None:
        self.saved: list[AnySave] = []
        self.sent: list[Errand] = []
        self.told: list[tuple[str, Notice]] = []
        self.now = Moment(100.0, 1_000_000.0)
        self.notifying = self._made()

    def _made(self) -> Notifying:
        return Notifying(
            self.saved.append,
            self.sent.append,
            lambda node, notice: self.told.append((node, notice)),
            lambda node, key: {"ana's key": "ana", "bo's key": "bo"}.get(key),
        )

    def restart(self) -> None:
        """As from the store: what was saved last of each message."""
        kept: dict[int, Kept] = {}
        rooms = {}
        for save in self.saved:
            match save:
                case NoticeKept(one):
                    kept[one.id] = one
                case NoticeGone(id):
                    kept.pop(id)
                case RoomKept(target, room):
                    rooms[target] = room
        self.notifying = self._made()
        last = max([save.kept.id for save in self.saved if isinstance(save, NoticeKept)], default=0)
        self.notifying.restore(kept.values(), rooms, last, self.now)

    def wait(self, seconds: float) -> None:
        self.now = self.now.plus(seconds)
        self.notifying.go(self.now)

    def events(self) -> list[tuple[str, str]]:
        return [(save.kind, save.text) for save in self.saved if isinstance(save, EventRecord)]


def test_it_is_kept_before_it_is_sent_and_sent_once() -> None:
    office = Office()
    office.notifying.take(HOOK, office.now)
    assert office.sent == []
    assert isinstance(office.saved[0], NoticeKept)
    office.wait(0)
    office.wait(30)
    assert office.sent == [Errand(1, HOOK)]
    office.notifying.came_back(Delivered(1), office.now)
    assert office.saved[1] == NoticeGone(1)
    assert office.events() == [("told", "ana, by https://hooks.example.org/…")]
    assert office.notifying.deadline() is None


def test_it_is_tried_again_later_and_later_until_it_is_given_up() -> None:
    office = Office()
    office.notifying.take(HOOK, office.now)
    office.wait(0)
    tries = []
    while office.sent:
        tries.append(office.now.boot)
        office.sent.clear()
        office.notifying.came_back(Failed(1, "no route"), office.now)
        due = office.notifying.deadline()
        assert due is not None
        office.wait(due - office.now.boot)
    waits = [after - before for before, after in pairwise(tries)]
    assert waits[:4] == [5.0, 10.0, 20.0, 40.0]
    assert max(waits) == 3600.0
    assert waits == sorted(waits)
    assert telling.GIVE_UP - 3600 <= tries[-1] - tries[0] <= telling.GIVE_UP
    assert [kind for kind, _ in office.events()] == ["trouble"]


def test_a_restart_neither_forgets_nor_hurries() -> None:
    office = Office()
    office.notifying.take(HOOK, office.now)
    office.wait(0)
    for _ in range(5):
        office.notifying.came_back(Failed(1, "no route"), office.now)
        due = office.notifying.deadline()
        assert due is not None
        office.wait(due - office.now.boot)
    office.sent.clear()
    office.restart()
    office.wait(0)
    assert office.sent == [Errand(1, HOOK)]  # it was under way when the process ended
    office.notifying.came_back(Failed(1, "no route"), office.now)
    office.restart()
    office.wait(1)
    assert len(office.sent) == 1
    office.notifying.take(MATRIX, office.now)
    office.wait(0)
    assert office.sent[1].id == 2


def test_what_can_never_be_is_given_up_at_once() -> None:
    office = Office()
    office.notifying.take(HOOK, office.now)
    office.wait(0)
    office.notifying.came_back(Failed(1, "it answers 404", final=True), office.now)
    assert office.events() == [
        ("trouble", "https://hooks.example.org/… was not told: it answers 404")
    ]
    office.restart()
    office.wait(9999)
    assert len(office.sent) == 1


def test_the_room_of_a_person_is_known_after_a_restart() -> None:
    office = Office()
    office.notifying.take(MATRIX, office.now)
    office.wait(0)
    # The room was made, then the line was cut.
    office.notifying.came_back(Failed(1, "timed out", room="!r:hs"), office.now)
    office.restart()
    office.wait(60)
    assert office.sent[-1].room == "!r:hs"
    office.notifying.came_back(Failed(1, "it answers 403", room=""), office.now)
    office.wait(60)
    assert office.sent[-1].room == ""


def test_a_desktop_waits_for_its_person_and_for_the_word_of_that_desk() -> None:
    office = Office()
    office.notifying.take(DESK, office.now)
    office.wait(0)
    assert office.sent == []
    assert office.notifying.deadline() is None
    office.notifying.at_desk("dino", ("bo's key", "unknown"), office.now)
    assert office.told == []
    office.notifying.at_desk("rex", ("bo's key", "ana's key"), office.now)
    assert office.told == [("rex", Notice(1, "ana's key", DESK.title, DESK.text))]
    office.notifying.at_desk("rex", ("ana's key",), office.now)
    assert len(office.told) == 1
    office.notifying.shown("dino", 1, office.now)  # which was never told
    office.wait(61)
    office.notifying.at_desk("rex", ("ana's key",), office.now)
    assert len(office.told) == 2
    office.notifying.shown("rex", 1, office.now)
    assert office.events() == [("told", "ana, by its desktop")]


def test_a_person_who_stays_away_is_not_told_after_a_week() -> None:
    office = Office()
    office.notifying.take(DESK, office.now)
    office.wait(telling.KEEP - 1)
    assert office.events() == []
    office.wait(2)
    assert [kind for kind, _ in office.events()] == ["trouble"]


def batch(*notify: str, matrix: str | None = None) -> Batch:
    return Batch(meta=Meta(namespace="ana", batch_name="b", matrix=matrix), notify=notify)


@pytest.mark.parametrize(
    ("target", "ways", "said"),
    [
        ("desktop", Ways(), None),
        ("matrix:@ana:hs", Ways(matrix=True), None),
        ("matrix:@ana:hs", Ways(), "homeserver"),
        ("https://hooks.example.org/x", Ways(), None),
        ("https://hooks.example.org:8443/x", Ways(hosts=("hooks.example.org",)), None),
        ("https://hooks.example.org.evil.com/x", Ways(hosts=("hooks.example.org",)), "hosts"),
        ("https://hooks.example.org@evil.com/x", Ways(hosts=("hooks.example.org",)), "password"),
        ("http://127.0.0.1:8080/x", Ways(), None),
        ("http://localhost/x", Ways(hosts=()), "hosts"),
        ("http://127.0.0.1.evil.com/x", Ways(), "https"),
        ("http://[::1", Ways(), "no web address"),
        ("https://h:99999/x", Ways(), "no web address"),
        ("ftp://h/x", Ways(), "no web address"),
    ],
)
def test_what_is_refused_at_submit(target: str, ways: Ways, said: str | None) -> None:
    if said is None:
        assert telling.check(batch(target), ways) == ()
        return
    with pytest.raises(Refused) as refused:
        telling.check(batch(target), ways)
    assert said in str(refused.value)


def test_meta_matrix_is_one_more_entry_and_never_stops_a_batch() -> None:
    both = batch("desktop", "matrix:@ana:hs", matrix="@ana:hs")
    assert telling.targets(both) == ("desktop", "matrix:@ana:hs")
    assert telling.check(batch(matrix="@ana:hs"), Ways(matrix=True)) == ()
    (warning,) = telling.check(batch(matrix="@ana:hs"), Ways())
    assert "@ana:hs will not be told" in warning


def test_the_words_when_it_is_held() -> None:
    why = "dino could not build it"
    counts = {"succeeded": 1, "held": 2}
    (message,) = telling.messages("ana", "b", "ana", batch("desktop"), "held", counts, why)
    assert message.title == "ana:b is held"
    assert message.text == (
        "Because dino could not build it. Of 3 jobs: 1 succeeded, 2 held."
        " What helps: coordinator why ana:b"
    )
    assert (message.content["event"], message.content["state"]) == ("batch_held", "held")


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"succeeded": 1, "queued": 0}, "Its job succeeded."),
        ({"succeeded": 24}, "All 24 jobs succeeded."),
        ({"succeeded": 22, "failed": 1, "killed": 1}, "Of 24 jobs: 22 succeeded, 1 failed"),
    ],
)
def test_the_words(counts: dict[str, int], text: str) -> None:
    (message,) = telling.messages("ana", "b", "ana", batch("desktop"), "failed", counts)
    assert message.title == "ana:b has ended"
    assert message.text.startswith(text)
