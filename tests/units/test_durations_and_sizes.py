"""Durations and sizes: what people write, and that what is printed reads back as the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.shared.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h30m", 9000),
        ("90s", 90),
        ("1d", 86400),
        ("1.5h", 5400),
        ("1w 2d", 777600),
        ("0.25", 0.25),
        ("600", 600),
        (" 10 m ", 600),
    ],
)
def test_reads_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("4GiB", 4 * 1024**3),
        ("20MB", 20_000_000),
        ("20mb", 20_000_000),
        ("512K", 512 * 1024),
        ("1.5 GiB", 3 * 512 * 1024**2),
        ("1234", 1234),
        ("0", 0),
    ],
)
def test_reads_sizes(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize(
    "text", ["", "m", "-5m", "5 minutes", "10:00:00", "30m2h", "1h1h", "1e3", "٣m", "1" * 40]
)
def test_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "GiB", "-1MB", "4 gigs", "4GiBs", "1.5B", "1e9", "9" * 40])
def test_refuses_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|whole number"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9000, "2h30m"), (90, "1m30s"), (86400, "1d"), (0, "0s"), (0.5, "0.5s"), (3600.25, "1h0.25s")],
)
def test_writes_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(4 * 1024**3, "4GiB"), (20_000_000, "20MB"), (1234, "1234B"), (0, "0B")]
)
def test_writes_sizes(count: int, text: str) -> None:
    assert format_size(count) == text


@given(st.integers(0, 10**12))
def test_a_duration_reads_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, 10**17))
def test_a_size_reads_back(count: int) -> None:
    assert parse_size(format_size(count)) == count
