"""The report's page: complete in itself, safe whatever anybody is called, small."""

import re
import time
from html.parser import HTMLParser

import pytest

from fallow.coordinator.report import history, page, words
from sample_events import Stream, a_group_at_work

EVIL = (
    "</title><script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "' onload='x",
    "{{7*7}} ${IFS} `x` &amp;lt; <!-- ]]>",
    "\u202egnp.exe \x1b[31m\x00",
)
VOID = {"meta", "rect", "path", "circle", "br"}


class Reader(HTMLParser):
    """What a browser would see: elements with their attributes, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def a_page(jobs: int = 60, **more: object) -> str:
    events = a_group_at_work(1_790_000_000.0, jobs=jobs)
    told = history.tell(events, events[0].wall, events[-1].wall)
    return page.render(page.Report("All batches", told, events[-1].wall, **more))  # type: ignore[arg-type]


def hostile_page() -> str:
    stream = Stream()
    for place, name in enumerate(EVIL):
        ref = f"{name}:{name}/{name}"
        stream.say(1, "submitted", f"{name}:{name}", text=name)
        stream.say(2, "verdict", node=name, text=f"away: {name}")
        stream.say(3 + place, "running", ref, name, 1)
        stream.say(900, "finished", ref, name, 1, run=100.0)
        stream.say(901, "ended", ref, name, 1, f"failed: {name}")
        stream.say(902, "done", ref, text="failed")
    told = history.tell(stream.told(), 0.0, 1000.0, dict.fromkeys(EVIL, "free"))
    failures = tuple(page.Failure(name, 1, name, name, f"{name}\n{name}", 900.0) for name in EVIL)
    return page.render(page.Report(EVIL[0], told, 1000.0, None, failures, len(failures)))


@pytest.mark.parametrize("text", [a_page(), hostile_page()], ids=["plain", "hostile"])
def test_nothing_leaves_the_page_and_nothing_on_it_runs(text: str) -> None:
    reader = read(text)
    tags = {tag for tag, _ in reader.elements}
    known = {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "dl"),
        *("div", "dt", "dd", "ul", "li", "svg", "defs", "pattern", "rect", "circle", "path"),
        *("text", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "footer"),
        "pre",
    }
    assert tags <= known
    for tag, attributes in reader.elements:
        assert not {"src", "href", "xlink:href", "srcset", "action"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
    assert not re.search(r"url\((?!#p-)", text)
    assert "@import" not in text
    policies = [
        attributes["content"]
        for tag, attributes in reader.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies
    assert all("default-src 'none'" in (policy or "") for policy in policies)


def test_hostile_names_are_shown_as_they_are() -> None:
    reader = read(hostile_page())
    seen = "".join(reader.text)
    for name in EVIL[:4]:
        assert name in seen
    assert "\x1b" not in seen
    assert "\u202e" not in seen  # it would turn the words around it


def test_it_can_be_read_without_pictures() -> None:
    seen = " ".join(read(a_page()).text)
    for words_ in ("desk-01", "succeeded", "half below", "ana_cfd:channel_sweep", "in all"):
        assert words_ in seen


def test_every_element_that_is_opened_is_closed() -> None:
    text = a_page()
    optional = VOID | {"p", "li", "tr", "td", "th", "thead", "tbody", "html", "body", "head"}
    for tag in {tag for tag, _ in read(text).elements} - optional:
        assert len(re.findall(rf"<{tag}[\s>]", text)) == len(re.findall(rf"</{tag}>", text)), tag


def test_a_batch_among_others() -> None:
    text = a_page(mine=frozenset({"bo:spectra_2026"}))
    seen = " ".join(read(text).text)
    assert "jobs of other batches" in seen
    assert "ana_cfd:channel_sweep" not in re.sub(r"<title>.*?</title>", "", text)


def test_nothing_happened() -> None:
    told = history.tell([], 0.0, 1.0)
    text = page.render(page.Report("All batches", told, 1.0))
    assert "None had anything to do" in text
    assert page.figures_of(page.Report("x", told, 1.0))["jobs"] == 0


def test_ten_thousand_jobs_make_a_small_page_soon() -> None:
    events = a_group_at_work(1_790_000_000.0, jobs=10_000, desks=60, length=60.0)
    began = time.perf_counter()
    told = history.tell(events, events[0].wall, events[-1].wall)
    text = page.render(page.Report("All batches", told, events[-1].wall))
    assert len(text.encode()) < 5_000_000
    assert time.perf_counter() - began < 3.0


def test_error_output_looks_as_on_a_terminal() -> None:
    text = "\x1b[31mred\x1b[0m\r\n10 %\r50 %\r100 %\nlast\x07 <b>\n\n"
    assert words.safe_lines(text) == "red\n100 %\nlast\ufffd &lt;b&gt;"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (0.123, "0.12 s"),
        (2.0, "2 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (7260, "2 h 1 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert words.lasting(seconds) == shown


@pytest.mark.parametrize("length", [0.5, 10, 59, 3600, 86400, 30 * 86400, 400 * 86400])
def test_ticks_are_few_and_in_order(length: float) -> None:
    begin = 1_790_003_333.0
    found = list(words.ticks(begin, begin + length))
    assert len(found) <= 14
    walls = [wall for wall, _ in found]
    assert walls == sorted(set(walls))
    assert all(begin <= wall <= begin + length for wall in walls)
