"""Every key of agent.toml in the form, what is typed there, and what is sent of it."""

from typing import Any

import pytest

from fallow.shared.errors import FallowError
from fallow.tray import config
from fallow.tray.config_keys import KEYS
from fallow.tray.form import FIELDS, Field, changes, field_of, in_labels, text_of, value_of

BY_NAME = {field.name: field for field in FIELDS}


def field(name: str) -> Field:
    return BY_NAME[name]


def test_every_key_of_the_file_has_its_field() -> None:
    known = {f"{section}.{key}" for section, keys in KEYS.items() for key in keys}
    assert set(BY_NAME) == known
    assert len(FIELDS) == len(known)


@pytest.mark.parametrize("name", BY_NAME)
def test_what_is_offered_can_be(name: str) -> None:
    each = field(name)
    texts = [*each.offers, *(word for _, word in each.words)]
    for text in texts:
        KEYS[each.section][each.key].read(value_of(each, text))


@pytest.mark.parametrize("name", [name for name in BY_NAME if field(name).kind != "switch"])
def test_defaults_come_back_as_they_were(name: str) -> None:
    each = field(name)
    default = KEYS[each.section][each.key].default
    if each.kind == "percent":
        return
    assert value_of(each, text_of(each, default)) == (default or None if default != 0 else 0)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("presence.idle_after", "10 minutes", "10m"),
        ("presence.idle_after", "1 hour 30 minutes", "1h30m"),
        ("presence.idle_after", "1 h, 30 min", "1h30m"),
        ("presence.idle_after", "90s", "90s"),
        ("presence.idle_after", "a while", "a while"),
        ("presence.idle_after", "10", "10"),
        ("presence.hours", "18:00-08:00, sat-sun", ["18:00-08:00", "sat-sun"]),
        ("presence.hours", "  ", None),
        ("offer.cpus", "4", 4),
        ("offer.cpus", "All", "all"),
        ("offer.cpus", "four", "four"),
        ("offer.memory", " 50% ", "50%"),
        ("offer.bandwidth", "without a limit", "none"),
        ("offer.bandwidth", "none", "none"),
        ("offer.capabilities", "", None),
        ("jobs.max_pause", "as long as it takes", "never"),
        ("jobs.max_pause", "2 hours", "2h"),
        ("jobs.sandbox", "No: jobs can read what I can read", "none"),
    ],
)
def test_what_is_typed_becomes_what_the_file_says(name: str, text: str, value: Any) -> None:
    assert value_of(field(name), text) == value


def test_durations_are_shown_in_words() -> None:
    assert text_of(field("presence.idle_after"), "1h30m") == "1 hour 30 minutes"
    assert text_of(field("presence.idle_after"), "1m") == "1 minute"
    assert text_of(field("presence.idle_after"), "0.5s") == "0.5 seconds"
    assert text_of(field("jobs.max_pause"), "never") == "as long as it takes"
    assert text_of(field("presence.hours"), ["18:00-08:00", "sat-sun"]) == "18:00-08:00, sat-sun"


def defaults() -> dict[str, dict[str, Any]]:
    return {
        section: {key: each.default for key, each in keys.items()} for section, keys in KEYS.items()
    }


def test_only_what_changed_is_sent() -> None:
    now = defaults()
    assert changes(defaults(), now) == {}
    now["presence"]["hours"] = None
    assert changes(defaults(), now) == {}, "nothing typed into an empty list changes nothing"
    now["offer"]["cpus"] = 2
    now["presence"]["idle_after"] = "5m"
    before = defaults()
    before["offer"]["not_from"] = ["bo"]
    now["offer"]["not_from"] = None
    assert changes(before, now) == {
        "offer": {"cpus": 2, "not_from": None},
        "presence": {"idle_after": "5m"},
    }


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('[presence]\nidle_after = "soon"\n', "presence.idle_after"),
        ('[presence]\nsettle = "a moment"\n', "presence.settle"),
        ('[offer]\nbandwidth = "fast"\n', "offer.bandwidth"),
        ('[jobs]\nread_only = ["opt"]\n', "jobs.read_only"),
    ],
)
def test_a_refusal_finds_its_field(text: str, name: str) -> None:
    with pytest.raises(FallowError) as refused:
        config.loads(text, "/home/ana/jobs.nice/agent.toml")
    found = field_of(refused.value.title.partition(": ")[2])
    assert found == field(name)


def test_a_refusal_of_no_field_finds_none() -> None:
    assert field_of("The disk is full") is None


def test_a_hint_speaks_of_fields_and_not_of_keys() -> None:
    hint = in_labels("make settle shorter or idle_after longer", "presence")
    assert hint == "make “and then wait another” shorter or “The desk is free after” longer"
    assert in_labels("make settle shorter", "jobs") == "make settle shorter"
