"""The event stream folded into what workstations, jobs and attempts did, and the numbers of it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.coordinator.report import figures, timeline
from fallow.coordinator.report.history import Attempt, History, Span, tell
from sample_events import Stream, a_group_at_work

JOB = "ana:b/j"


def told(stream: Stream, end: float = 100.0, begin: float = 0.0, **now: str) -> History:
    return tell(stream.told(), begin, end, now)


def spans_of(history: History) -> list[tuple[str, float, float]]:
    (attempt,) = history.attempts()
    return [(span.kind, span.begin, span.end) for span in attempt.spans]


def test_a_job_with_a_pause() -> None:
    stream = Stream()
    stream.say(1, "submitted", "ana:b")
    for wall, kind in [
        (2, "assigned"),
        (3, "staging"),
        (4, "building"),
        (10, "running"),
        (20, "paused"),
        (50, "resumed"),
        (60, "ending"),
    ]:
        stream.say(wall, kind, JOB, "dino", 1)
    stream.say(61, "finished", JOB, "dino", 1, run=20.0, paused=30.0)
    stream.say(62, "ended", JOB, "dino", 1, "succeeded")
    stream.say(63, "done", JOB, text="succeeded")
    history = told(stream)
    assert spans_of(history) == [
        ("staging", 2, 4),
        ("building", 4, 10),
        ("running", 10, 20),
        ("paused", 20, 50),
        ("running", 50, 60),
        ("staging", 60, 61),
    ]
    job = history.jobs[JOB]
    assert (job.submitted, job.started, job.done, job.outcome) == (1, 10, 63, "succeeded")
    assert (job.run_seconds, job.paused_seconds, job.node) == (20.0, 30.0, "dino")
    assert figures.paused_share(history) == 0.6
    assert figures.waits(history) == [9]
    assert figures.run_times(history) == [20.0]


def test_a_job_too_short_to_be_seen_running_ran_all_the_same() -> None:
    stream = Stream()
    stream.say(1, "submitted", "ana:b")
    stream.say(2, "assigned", JOB, "dino", 1)
    stream.say(3, "finished", JOB, "dino", 1, run=0.4)
    stream.say(3.1, "ended", JOB, "dino", 1, "succeeded")
    history = told(stream)
    assert spans_of(history) == [("staging", 2, 2.6), ("running", 2.6, 3)]
    assert history.jobs[JOB].started == 2.6


def test_a_stream_that_begins_in_the_middle() -> None:
    stream = Stream()
    stream.say(10, "resumed", JOB, "dino", 2)
    stream.say(20, "finished", JOB, "dino", 2, run=15.0, paused=5.0)
    stream.say(21, "ended", JOB, "dino", 2, "failed: exit code 1")
    stream.say(30, "ended", "ana:b/other", "dino", 1, "succeeded")
    history = told(stream, begin=5.0)
    assert spans_of(history) == [("paused", 5, 10), ("running", 10, 20)]
    assert history.jobs[JOB].attempts == 2
    assert history.jobs[JOB].submitted is None


def test_what_goes_on_is_drawn_up_to_the_end() -> None:
    stream = Stream()
    stream.say(2, "assigned", JOB, "dino", 1)
    stream.say(4, "running", JOB, "dino", 1)
    stream.say(8, "paused", JOB, "dino", 1)
    stream.say(200, "resumed", JOB, "dino", 1)
    assert spans_of(told(stream)) == [("staging", 2, 4), ("running", 4, 8), ("paused", 8, 100)]


def test_a_job_that_is_tried_again_is_not_over() -> None:
    stream = Stream()
    for begin, number in ((10, 1), (50, 2)):
        stream.say(begin, "assigned", JOB, "dino", number)
        stream.say(begin + 1, "running", JOB, "dino", number)
        if number == 1:
            stream.say(begin + 9, "finished", JOB, "dino", number, run=8.0)
            stream.say(begin + 9, "ended", JOB, "dino", number, "failed: exit code 1")
            stream.say(begin + 9, "done", JOB, text="failed")
    history = told(stream)
    job = history.jobs[JOB]
    assert (job.outcome, job.done, job.attempts, job.started) == ("", None, 2, 11)
    assert figures.throughput(history) == []


def test_what_was_before_is_cut_off() -> None:
    stream = Stream()
    stream.say(1, "verdict", node="dino", text="away: ")
    stream.say(2, "running", JOB, "dino", 1)
    stream.say(20, "finished", JOB, "dino", 1, run=18.0)
    stream.say(30, "verdict", node="dino", text="present: you are here")
    history = told(stream, end=40.0, begin=10.0)
    assert spans_of(history) == [("running", 10, 20)]
    assert history.stations["dino"].spans == [Span("free", 10, 30), Span("away", 30, 40)]


def test_workstations_come_and_go() -> None:
    stream = Stream()
    stream.say(10, "online", node="dino")
    stream.say(11, "verdict", node="dino", text="away: ")
    stream.say(20, "verdict", node="dino", text="present: you are here")
    stream.say(40, "verdict", node="dino", text="settling: just left")
    stream.say(41, "verdict", node="dino", text="away: ")
    stream.say(60, "offline", node="dino", text="shutdown")
    history = told(stream, rex="free", old="off")
    spans = [(span.kind, span.begin, span.end) for span in history.stations["dino"].spans]
    assert spans == [
        ("free", 11, 20),
        ("away", 20, 40),
        ("away", 40, 41),
        ("free", 41, 60),
        ("off", 60, 100),
    ]
    assert history.stations["rex"].spans == [Span("free", 0.0, 100.0)]
    use = {each.name: each for each in figures.uses(history)}
    assert (use["dino"].free, use["dino"].away, use["dino"].off) == (28, 21, 40)
    assert use["old"].off == 100


def test_a_silence_is_a_stretch_of_its_own() -> None:
    stream = Stream()
    stream.say(1, "verdict", node="dino", text="away: ")
    stream.say(30, "offline", node="dino", text="no word for 15 s")
    stream.say(70, "online", node="dino", text="after 55 s without a word")
    stream.say(70, "verdict", node="dino", text="away: ")
    spans = told(stream).stations["dino"].spans
    assert spans == [Span("free", 1, 30), Span("off", 30, 70), Span("free", 70, 100)]


def test_a_workstation_that_went_without_a_word_is_off_since_then() -> None:
    stream = Stream()
    for name in ("cut", "back"):
        stream.say(10, "verdict", node=name, text="away: ")
    stream.say(50, "verdict", node="back", text="present: you are here")
    history = tell(stream.told(), 0.0, 100.0, {}, {"cut": 40.0, "back": 45.0, "unknown": 3.0})
    assert history.stations["cut"].spans == [Span("free", 10, 40), Span("off", 40, 100)]
    # Said later than that: then it was there.
    assert history.stations["back"].spans == [Span("free", 10, 50), Span("off", 50, 100)]


def test_free_is_the_time_without_a_job() -> None:
    stream = Stream()
    stream.say(0, "verdict", node="dino", text="away: ")
    for index, (begin, end) in enumerate([(10, 30), (20, 50), (60, 70)]):
        ref = f"ana:b/{index}"
        stream.say(begin, "running", ref, "dino", 1)
        stream.say(end, "finished", ref, "dino", 1, run=float(end - begin))
    (use,) = figures.uses(told(stream))
    assert use.free == 100 - 40 - 10


def test_quantiles_and_bins_of_a_distribution() -> None:
    found = figures.distribution([1.0, 2.0, 3.0, 4.0, 100.0])
    assert found is not None
    quantiles = [found.least, found.quarter, found.median, found.three_quarters, found.most]
    assert quantiles == [1.0, 2.0, 3.0, 4.0, 100.0]
    assert found.mean == 22.0
    assert found.bins[0] == (1.0, 2.0, 1)
    assert sum(count for _, _, count in found.bins) == 5
    assert figures.distribution([]) is None
    huge = figures.distribution([1e9])
    assert huge is not None
    assert huge.bins[0][2] == 1


@given(st.lists(st.floats(0, 1e8)))
def test_every_duration_is_in_one_bin(values: list[float]) -> None:
    found = figures.distribution(values)
    if found is None:
        assert not values
        return
    assert sum(count for _, _, count in found.bins) == len(values)
    assert found.least <= found.quarter <= found.median <= found.three_quarters <= found.most


def test_every_job_done_is_in_the_throughput_once() -> None:
    events = a_group_at_work(1e9, jobs=100)
    history = tell(events, events[0].wall, events[-1].wall)
    buckets = figures.throughput(history)
    assert sum(bucket.succeeded + bucket.failed for bucket in buckets) == 100
    assert len(buckets) <= 60
    assert buckets[0].begin == history.begin
    assert buckets[-1].end >= history.end


pieces = st.lists(
    st.tuples(st.sampled_from(["running", "paused"]), st.floats(0, 100), st.floats(0, 20)),
    max_size=30,
)


@given(pieces, st.integers(1, 200))
def test_columns_show_where_something_was_and_nowhere_else(
    made: list[tuple[str, float, float]], columns: int
) -> None:
    spans = [Span(kind, begin, begin + length) for kind, begin, length in made]
    filled = timeline.fill(spans, ("running", "paused"), 0.0, 100.0, columns)
    width = 100.0 / columns
    covered = {column for _, first, last in filled for column in range(first, last)}
    for span in spans:
        middle = (span.begin + span.end) / 2
        if span.seconds > 1e-6 and middle < 100:
            assert int(middle / width) in covered
    for column in covered:
        low, high = column * width, (column + 1) * width
        assert any(span.begin < high + 1e-6 and span.end > low - 1e-6 for span in spans)


@given(pieces)
def test_lanes_do_not_overlap(made: list[tuple[str, float, float]]) -> None:
    attempts = [
        Attempt("r", n, "dino", begin, [Span("running", begin, begin + length)])
        for n, (_, begin, length) in enumerate(made)
    ]
    lanes = timeline.lanes(attempts)
    assert sum(map(len, lanes)) == len(attempts)
    for lane in lanes:
        for one, next_ in itertools.pairwise(lane):
            assert one.spans[-1].end <= next_.begin


@pytest.mark.parametrize(("length", "step"), [(30, 1), (61, 2), (3600, 60), (86400, 1800)])
def test_steps_are_those_people_know(length: float, step: float) -> None:
    assert figures.step_of(length, 60) == step
