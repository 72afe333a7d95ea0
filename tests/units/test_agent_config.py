"""agent.toml: every key of the format is known, and what is wrong is named."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallow.shared.errors import FallowError
from fallow.shared.work.settings import Jobs
from fallow.tray import preferences
from fallow.tray.config import Computer, Config, Offer, check_offer, loads
from fallow.tray.config_keys import KEYS
from fallow.tray.presence import Policy
from fallow.tray.windows import parse_window

FULL = """
[presence]
idle_after = "5m"
settle = "10s"
hours = ["18:00-08:00", "sat-sun"]
ac_only = false
exclusive = ["blender"]
desk = false
foreign_cpu = 0.9
[offer]
capabilities = ["gfortran", "python3"]
cpus = 4
memory = "16GiB"
gpus = 1
disk_reserve = "20GiB"
bandwidth = "20MB/s"
not_from = ["ana"]
[jobs]
sandbox = "bubblewrap"
read_only = ["/opt/conda"]
nice = 10
max_pause = "2h"
"""


def test_all_keys_are_understood() -> None:
    assert loads(FULL) == Config(
        Policy(
            idle_after=300.0,
            settle=10.0,
            desk=False,
            ac_only=False,
            hours=(parse_window("18:00-08:00"), parse_window("sat-sun")),
            exclusive=("blender",),
            foreign_cpu=0.9,
        ),
        Offer(
            ("gfortran", "python3"), 4, float(16 << 30), 1, 20 << 30, 20_000_000, not_from=("ana",)
        ),
        Jobs("bubblewrap", ("/opt/conda",), 10, 7200.0),
    )


def test_all_has_a_default() -> None:
    assert loads("") == Config()
    assert Config().presence.idle_after == 600.0
    assert Config().offer.memory == 0.8


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('[presence]\nidle_afer = "1m"', "idle_after"),
        ('[presense]\nidle_after = "1m"', "presence"),
        ('[presence]\nidle_after = "soon"', "presence.idle_after = 'soon'"),
        ("[presence]\nidle_after = 600", "quotes"),
        ("[presence]\ndesk = 1", "true or false"),
        ('[offer]\nmemory = "120%"', "share"),
        ('[offer]\nmemory = "much"', "share"),
        ("[offer]\ncpus = 0", "at least 1"),
        ("[offer]\ncpus = true", "at least 1"),
        ('[offer]\ncapabilities = "gfortran"', "list of words"),
        ('[jobs]\nsandbox = "yes"', '"auto"'),
        ("[jobs]\nsandbox = []", '"auto"'),
        ("[jobs]\nnice = 20", "0 to 19"),
        ('[jobs]\nread_only = ["opt"]', "absolute"),
        ('[jobs]\nread_only = ["/opt/conda", "/"]', "'/' is none of them"),
        ('[jobs]\nread_only = ["//tmp/."]', "'//tmp/.' is none"),
        ('[jobs]\nread_only = ["/proc/1/root"]', "may see as a whole"),
        ('[jobs]\nread_only = ["/opt/../run"]', "may see as a whole"),
        ('jobs = "none"', "section"),
        ("[jobs", "not TOML"),
        ('[presence]\nhours = ["18-08"]', "18:00-08:00"),
        ('[presence]\nhours = ["18:00-18:00"]', "another time than it starts"),
        ('[presence]\nexclusive = ["/usr/bin/blender"]', "without their folders"),
        ('[presence]\nexclusive = ["a", "a"]', "stands once"),
        ("[presence]\nforeign_cpu = 0", "over 0"),
        ("[presence]\nforeign_cpu = 1.5", "up to 1.0"),
        ("[offer]\ngpus = -1", "0 for none"),
        ('[offer]\nbandwidth = "20MB"', "20MB/s"),
        ('[offer]\nbandwidth = "5B/s"', "at least"),
        ("[offer]\nbandwidth = 20", "20MB/s"),
        ('[offer]\nnot_from = ["a/b"]', "people's names"),
        ('[jobs]\nmax_pause = "ever"', '"never"'),
    ],
)
def test_what_is_wrong_is_named(line: str, said: str) -> None:
    with pytest.raises(FallowError) as caught:
        loads(line)
    assert said in str(caught.value)
    assert str(caught.value).startswith("agent.toml")


def test_the_defaults_that_are_shown_are_those_that_hold() -> None:
    written = preferences.shown("", "agent.toml")
    assert {section: set(keys) for section, keys in written.items()} == {
        section: set(keys) for section, keys in KEYS.items()
    }
    text = preferences.changed("", written, "agent.toml")
    assert loads(text) == Config()


def test_a_desk_may_settle_for_longer_than_it_takes_to_be_free() -> None:
    assert loads('[presence]\nidle_after = "5s"').presence.settle == 30.0
    assert loads('[presence]\nidle_after = "0s"\nsettle = "1s"').presence.settle == 1.0


@pytest.mark.parametrize(
    ("offer", "said"),
    [
        (Offer(memory=float(17 << 30)), "offer.memory is more"),
        (Offer(gpus=2), "offer.gpus is more"),
        (Offer(disk_reserve=101 << 30), "offer.disk_reserve is more"),
    ],
)
def test_more_than_there_is(offer: Offer, said: str) -> None:
    computer = Computer(memory=16 << 30, disk=100 << 30, gpus=1)
    with pytest.raises(FallowError, match=said):
        check_offer(offer, computer)
    check_offer(Offer(cpus=16, memory=float(16 << 30), gpus=1), computer)


OWN = """# my desk
[presence]   # when I am there
idle_after = "5m"  # long enough for a call

[jobs]
nice = 10
"""


def test_preferences_keep_what_its_owner_wrote() -> None:
    changes: dict[str, dict[str, Any]] = {
        "presence": {"idle_after": "7m", "hours": ["sat-sun"]},
        "offer": {"cpus": 2},
    }
    text = preferences.changed(OWN, changes, "agent.toml")
    assert "# my desk" in text
    assert "# when I am there" in text
    assert "# long enough for a call" in text
    read = loads(text)
    assert (read.presence.idle_after, read.offer.cpus, read.jobs.nice) == (420.0, 2, 10)
    assert preferences.shown(text, "agent.toml")["presence"]["hours"] == ["sat-sun"]
    back = preferences.changed(text, {"presence": {"idle_after": None, "desk": None}}, "agent.toml")
    assert loads(back).presence.idle_after == 600.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"presence": {"idle_afer": "6m"}}, "did you mean idle_after"),
        ({"offers": {"cpus": 1}}, "did you mean offer"),
        ({"jobs": {"nice": 1.5}}, "0 to 19"),
        ({"jobs": {"nice": {"x": [None]}}}, "cannot be"),
    ],
)
def test_preferences_refuse_what_cannot_be(changes: dict[str, dict[str, Any]], said: str) -> None:
    with pytest.raises(FallowError) as caught:
        preferences.changed(OWN, changes, "agent.toml")
    assert said in str(caught.value)


def test_preferences_replace_the_file_whole(tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_text("[jobs]\n")
    real.chmod(0o600)
    link = tmp_path / "agent.toml"
    link.symlink_to(real)
    assert preferences.writable(link)
    preferences.write(link, OWN)
    assert link.is_symlink()
    assert real.read_text() == OWN
    assert real.stat().st_mode & 0o777 == 0o600
    assert {each.name for each in tmp_path.iterdir()} == {"real.toml", "agent.toml"}


def test_every_key_is_documented_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "agent-toml.md").read_text()
    example = page.split("```toml\n")[1].split("```")[0]
    assert loads(example) == Config()
    for section, keys in KEYS.items():
        assert f"[{section}]" in example
        for key in keys:
            assert f"\n{key} = " in example or f"\n# {key} = " in example


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
_keys = st.sampled_from([key for keys in KEYS.values() for key in keys]) | st.text(max_size=5)
_sections = st.sampled_from(sorted(KEYS)) | st.text(max_size=5)


@settings(deadline=None)
@given(st.dictionaries(_sections, st.dictionaries(_keys, _values, max_size=3), max_size=3))
def test_whatever_is_asked_for_is_refused_in_words_or_can_be_read_again(
    changes: dict[str, dict[str, Any]],
) -> None:
    try:
        text = preferences.changed(OWN, changes, "agent.toml")
    except FallowError as error:
        refused = str(error)
    else:
        assert preferences.shown(text, "agent.toml")
        refused = "agent.toml"
    assert refused.startswith("agent.toml")
