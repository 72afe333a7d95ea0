"""The desktop entry that starts the icon, and who switches it on or off."""

import shutil
import subprocess
from pathlib import Path

import pytest

from fallow.shared.errors import FallowError
from fallow.tray import autostart, habits
from fallow.tray.habits import Habits


def folders(tmp_path: Path) -> dict[str, str]:
    return {
        "XDG_CONFIG_HOME": str(tmp_path / "own"),
        "XDG_CONFIG_DIRS": f"{tmp_path / 'one'}:{tmp_path / 'other'}",
    }


def test_it_is_switched_on_and_off(tmp_path: Path) -> None:
    environment = folders(tmp_path)
    assert not autostart.enabled(environment)
    autostart.switch(True, ["tray"], environment)
    assert autostart.enabled(environment)
    assert "Exec=tray\n" in (tmp_path / "own/autostart" / autostart.NAME).read_text()
    autostart.switch(False, ["tray"], environment)
    assert not autostart.enabled(environment)
    assert list((tmp_path / "own/autostart").iterdir()) == []


def test_the_computers_entry_is_hidden_by_ones_own(tmp_path: Path) -> None:
    environment = folders(tmp_path)
    theirs = tmp_path / "other" / "autostart"
    theirs.mkdir(parents=True)
    (theirs / autostart.NAME).write_text(autostart.entry(["/usr/bin/tray"]))
    assert autostart.enabled(environment)
    autostart.switch(False, ["tray"], environment)
    assert not autostart.enabled(environment)
    assert (theirs / autostart.NAME).exists()
    autostart.switch(True, ["tray"], environment)
    assert autostart.enabled(environment)


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/tray", "/usr/bin/tray"),
        ("/opt/a b/tray", '"/opt/a b/tray"'),
        ("100%", "100%%"),
        ('a"b', '"a\\\\"b"'),
        ("a$b", '"a\\\\$b"'),
        ("", '""'),
    ],
)
def test_words_are_quoted_as_the_specification_says(word: str, written: str) -> None:
    assert f"Exec={written}\n" in autostart.entry([word])


def test_the_entry_is_one_by_the_desktops_own_check(tmp_path: Path) -> None:
    check = shutil.which("desktop-file-validate")
    assert check is not None, "Debian: desktop-file-utils"
    ours = Path(__file__).parents[2] / "packaging" / autostart.NAME
    entry = tmp_path / autostart.NAME
    entry.write_text(autostart.entry(["/opt/with space/tray", "--data-dir", "/x$y"]))
    for path in (entry, ours):
        done = subprocess.run([check, path], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        assert done.stdout == ""


def test_the_folder_is_named_only_where_it_is_not_the_usual_one(tmp_path: Path) -> None:
    usual = tmp_path / "agent"
    assert autostart.command(usual, usual)[1:] in ([], ["-m", "fallow.tray"])
    other = tmp_path / "other"
    assert autostart.command(other, usual)[-2:] == ["--data-dir", str(other)]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("a file")
    with pytest.raises(FallowError, match="cannot be written"):
        autostart.switch(True, ["tray"], folders(tmp_path))
    with pytest.raises(FallowError, match="cannot be written"):
        habits.save(tmp_path / "own" / "tray.json", Habits())


def test_habits_are_kept_and_forgiven(tmp_path: Path) -> None:
    path = tmp_path / "fallow" / "tray.json"
    assert habits.load(path) == Habits()
    habits.save(path, Habits(notify=False, met=True))
    assert habits.load(path) == Habits(notify=False, met=True)
    path.write_text('{"notify": "perhaps"}')
    assert habits.load(path) == Habits()
    path.write_bytes(b"\xff")
    assert habits.load(path) == Habits()
