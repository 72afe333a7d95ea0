"""What a person is told when Qt cannot start, by what the probe said; the probe itself is tested
on a real screen in tests/desktop."""

import pytest

from fallow.tray.ui.probe import NO_LIBRARY, refusal

MISSING = "libEGL.so.1: cannot open shared object file: No such file or directory"
UNKNOWN = "libnew.so.7: cannot open shared object file: No such file or directory"
NO_DISPLAY = "qt.qpa.xcb: could not connect to display :9\nThis application failed to start ...\n"


@pytest.mark.parametrize(
    ("code", "said", "title", "hint"),
    [
        (
            NO_LIBRARY,
            MISSING,
            "Qt cannot start: libEGL.so.1 is missing",
            "install libegl1;",
        ),
        (NO_LIBRARY, UNKNOWN, "Qt cannot start: libnew.so.7 is missing", "libxcb-cursor0"),
        (NO_LIBRARY, "No module named 'PySide6'", "The icon needs Qt", "pip install"),
        (-6, NO_DISPLAY, "The screen :9 cannot be used", "tray agent"),
        (-6, "something else", "Qt cannot start on this screen", "tray agent"),
        (None, "", "The screen :9 does not answer", "tray agent"),
    ],
)
def test_each_failure_has_its_words(code: int | None, said: str, title: str, hint: str) -> None:
    error = refusal(code, said, ":9")
    assert error.title.startswith(title)
    assert hint in error.hint
    assert error.exit_code == 1
