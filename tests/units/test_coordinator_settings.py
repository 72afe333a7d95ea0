"""Where a coordinator listens, what it tells newcomers, and which coordinator a verb talks to."""

from pathlib import Path

import pytest

from fallow.coordinator import places
from fallow.coordinator.config import Settings, advertised, load_settings
from fallow.coordinator.couriers import Homeserver
from fallow.coordinator.places import Joined
from fallow.coordinator.telling import Ways
from fallow.shared import account
from fallow.shared.errors import FallowError


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "coordinator.toml").write_text('listen = "tcp://1.2.3.4:5"\nadvertise = "lab"\n')
    said = load_settings(tmp_path, None, None, None)
    assert (said.listen, said.advertise) == ("tcp://1.2.3.4:5", "lab")
    said = load_settings(tmp_path, None, "tcp://127.0.0.1:9", "other")
    assert (said.listen, said.advertise) == ("tcp://127.0.0.1:9", "other")
    assert load_settings(tmp_path / "new", None, None, None).listen == "tcp://127.0.0.1:8952"


BAD = {
    "an unknown key": ('lisen = "x"\n', "lisen"),
    "a number": ("listen = 8952\n", "text in quotes"),
    "no toml": ("listen =\n", "cannot be read"),
    "no address": ('listen = "lab:8952"\n', "not an address"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_a_bad_file_is_named(tmp_path: Path, case: str) -> None:
    text, said = BAD[case]
    (tmp_path / "coordinator.toml").write_text(text)
    with pytest.raises(FallowError) as refused:
        load_settings(tmp_path, None, None, None)
    assert said in str(refused.value)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(FallowError, match="There is no file"):
        load_settings(tmp_path, tmp_path / "none.toml", None, None)


def test_invitations_name_an_address_that_can_be_reached() -> None:
    settings = Settings(data_dir=Path("/nowhere"))
    assert advertised(settings, "tcp://10.0.0.5:8952") == ("tcp://10.0.0.5:8952",)
    everywhere = advertised(settings, "tcp://0.0.0.0:8952")
    assert everywhere
    assert not any("0.0.0.0" in address for address in everywhere)
    named = Settings(data_dir=Path("/nowhere"), advertise="lab-server")
    assert advertised(named, "tcp://0.0.0.0:99") == ("tcp://lab-server:99",)


def a_joined(server: str, *addresses: str) -> Joined:
    return Joined(addresses=addresses, server=server, key="k", name="ana", role="submitter")


def test_the_coordinator_that_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert places.choose(None) == tmp_path / "data/fallow/coordinator"
    first = a_joined("s1", "tcp://a:1", "tcp://b:1")
    places.save_joined(first)
    places.save_joined(a_joined("s2", "tcp://c:1"))
    assert places.choose(None) == a_joined("s2", "tcp://c:1")
    assert places.choose("tcp://b:1") == a_joined("s1", "tcp://b:1", "tcp://a:1")
    assert places.choose(str(tmp_path)) == tmp_path
    monkeypatch.setenv("FALLOW_COORDINATOR", "tcp://a:1")
    assert places.choose(None) == first
    assert places.choose("tcp://c:1") == a_joined("s2", "tcp://c:1")
    with pytest.raises(FallowError, match="has not joined"):
        places.choose("tcp://x:1")
    # Joining again replaces the entry.
    places.save_joined(a_joined("s1", "tcp://a:2"))
    assert [one.server for one in places.load_joined().coordinators] == ["s1", "s2"]


def test_a_damaged_list_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    account.joined_file().parent.mkdir()
    account.joined_file().write_text("{")
    with pytest.raises(FallowError, match="cannot be read"):
        places.load_joined()


def test_the_tray_finds_the_keys_of_its_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert account.public_keys() == ()
    for server, public in (("s1", "one"), ("s2", "two")):
        joined = Joined(
            addresses=(), server=server, key="k", name="ana", role="admin", public=public
        )
        places.save_joined(joined)
    assert account.public_keys() == ("one", "two")
    account.joined_file().write_text("{")
    assert account.public_keys() == ()


WRONG = {
    "a homeserver without a token": '[matrix]\nhomeserver = "https://hs"\n',
    "two tokens": '[matrix]\nhomeserver = "https://hs"\ntoken = "a"\ntoken_file = "b"\n',
    "a token that is not there": '[matrix]\nhomeserver = "https://hs"\ntoken_file = "none"\n',
    "a homeserver over http": '[matrix]\nhomeserver = "http://hs"\ntoken = "a"\n',
    "an unknown key": '[matrix]\nhomserver = "https://hs"\n',
    "no section": 'matrix = "https://hs"\n',
    "a host": '[webhooks]\nhosts = "hooks.example.org"\n',
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_cannot_tell_anybody_is_said_at_the_start(tmp_path: Path, case: str) -> None:
    (tmp_path / "coordinator.toml").write_text(WRONG[case])
    with pytest.raises(FallowError):
        load_settings(tmp_path, None, None, None)


def test_who_can_be_told(tmp_path: Path) -> None:
    assert load_settings(tmp_path, None, None, None).ways == Ways(False, None)
    (tmp_path / "hs.token").write_text("secret\n")
    (tmp_path / "coordinator.toml").write_text(
        '[matrix]\nhomeserver = "https://hs"\ntoken_file = "hs.token"\n[webhooks]\nhosts = []\n'
    )
    said = load_settings(tmp_path, None, None, None)
    assert said.ways == Ways(True, ())
    assert said.homeserver == Homeserver("https://hs", "secret")
