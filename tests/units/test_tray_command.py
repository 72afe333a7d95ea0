"""The command `tray` where no agent is needed: lengths of a pause, help, whose fault."""

import json
import time
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from fallow.shared.errors import UsageError
from fallow.shared.work.sandbox import SandboxAbility
from fallow.tray import cli
from fallow.tray.checkup import sandbox_finding
from fallow.tray.cli import _pause_length, run


@pytest.mark.parametrize(
    ("words", "seconds"),
    [((), None), (("forever",), None), (("30m",), 1800.0), (("1h", "30m"), 5400.0), (("90s",), 90)],
)
def test_lengths_of_a_pause(words: tuple[str, ...], seconds: float | None) -> None:
    assert _pause_length(words) == seconds


def test_until_tomorrow_is_as_in_the_menu() -> None:
    seconds = _pause_length(("until", "tomorrow"))
    assert seconds is not None
    assert seconds >= 4 * 3600 - 1
    assert f"{datetime.fromtimestamp(time.time() + seconds + 0.5):%H:%M}" == "08:00"


@pytest.mark.parametrize("text", ["00:00", "12:00", "23:59"])
def test_until_a_time_of_day(text: str) -> None:
    seconds = _pause_length(("until", text))
    assert seconds is not None
    assert 0 < seconds <= 86400 + 3600
    then = datetime.fromtimestamp(time.time() + seconds + 0.5)
    assert f"{then:%H:%M}" == text


@pytest.mark.parametrize(
    "words",
    [
        ("soon",),
        ("30",),
        ("18:30",),
        ("until",),
        ("until", "25:00"),
        ("until", "18:30", "x"),
        ("0s",),
        ("-1h",),
    ],
)
def test_what_is_no_length(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        _pause_length(words)


def test_every_verb_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    verbs = {"agent", "join", "pause", "resume", "lend", "eject", "finish", "status", "doctor"}
    for verb in verbs:
        assert run([verb, "--help"]) == 0
        assert "Example" in capsys.readouterr().out
    assert set(cli.entry.commands) == verbs


@pytest.mark.parametrize("words", [(), ("forever",), ("soon",), ("0s",)])
def test_a_loan_has_an_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert run(["lend", *words, "--data-dir", str(tmp_path)]) == 2
    assert "tray " in capsys.readouterr().err


@pytest.mark.parametrize("place", ["before", "after"])
def test_no_agent_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    where = ["--data-dir", str(tmp_path)]
    words = [*where, "status"] if place == "before" else ["status", *where]
    assert run(words) == 3
    said = capsys.readouterr().err
    assert str(tmp_path) in said
    assert "tray agent" in said


def test_a_broken_configuration_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "agent.toml").write_text('[presence]\nidle_afer = "1m"\n')
    assert run(["agent", "--data-dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "idle_afer" in said
    assert "did you mean idle_after?" in said


@pytest.mark.parametrize("token", ["nonsense", "fallow1-AAAA", ""])
def test_no_token(tmp_path: Path, capsys: pytest.CaptureFixture[str], token: str) -> None:
    assert run(["join", token, "--data-dir", str(tmp_path)]) == 1
    assert "copy the whole line" in capsys.readouterr().err


def test_doctor_knows_an_offer_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "agent.toml").write_text('[offer]\nmemory = "900TiB"\n')
    run(["doctor", "--json", "--data-dir", str(tmp_path)])
    told = json.loads(capsys.readouterr().out)
    found = {each["name"]: each for each in told["findings"]}
    assert "more than this computer has" in found["configuration"]["text"]
    assert run(["agent", "--data-dir", str(tmp_path)]) == 1
    assert "900TiB are offered" in capsys.readouterr().err


def test_doctor_says_plainly_when_the_screen_is_in_reach_of_jobs() -> None:
    hides_all = SandboxAbility("bubblewrap", program="/usr/bin/bwrap", scoped=True)
    before_6_12 = replace(hides_all, scoped=False)
    assert sandbox_finding(hides_all, "auto").text == "bubblewrap works; jobs run in it"
    assert "cannot hide the screen" in sandbox_finding(before_6_12, "auto").text
    for ability in (hides_all, before_6_12):
        assert "see this computer's files" in sandbox_finding(ability, "none").text
    nothing = SandboxAbility("none", "bubblewrap is not installed")
    assert not sandbox_finding(nothing, "auto").good
    assert sandbox_finding(nothing, "none").good


def test_doctor_without_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json", "--data-dir", str(tmp_path)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    found = {each["name"]: each for each in told["findings"]}
    assert found["coordinator"]["hint"] == "tray join TOKEN"
    assert found["agent"]["good"] is False
    assert found["configuration"]["good"] is True
