"""Key files that others may not read, and tokens that survive a mail program."""

import os
from pathlib import Path

import pytest

from fallow.shared.errors import FallowError
from fallow.shared.keys import (
    Invitation,
    decode_invitation,
    encode_invitation,
    load_or_make_keys,
)
from fallow.shared.transport import new_keys


def invitation() -> Invitation:
    return Invitation(
        ("tcp://lab:8952", "tcp://10.0.0.7:8952"),
        new_keys().public,
        new_keys().secret,
        "workstation",
        "Büro 3",
        1_800_000_000.5,
    )


def test_keys_are_made_once_and_kept_private(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "keys"
    first = load_or_make_keys(folder, "server")
    assert load_or_make_keys(folder, "server") == first
    assert load_or_make_keys(folder, "other") != first
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "server").stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(folder)) == ["other", "server"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    load_or_make_keys(tmp_path)
    (tmp_path / "key").chmod(mode)
    with pytest.raises(FallowError, match="Other people can read") as caught:
        load_or_make_keys(tmp_path)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("text", ["", "x" * 39, "x" * 41, "\xff" * 40, "é" * 40, '"' * 40])
def test_a_damaged_key_is_refused(tmp_path: Path, text: str) -> None:
    load_or_make_keys(tmp_path)
    (tmp_path / "key").write_text(text)
    with pytest.raises(FallowError, match="damaged"):
        load_or_make_keys(tmp_path)


def test_a_secret_is_never_shown() -> None:
    keys, token = new_keys(), invitation()
    for text in (repr(keys), str(keys), repr(token), str(token), f"{token.keys}"):
        assert keys.secret not in text
        assert token.secret not in text


def test_a_token_comes_back_whole_also_when_wrapped() -> None:
    token = encode_invitation(invitation_ := invitation())
    assert token.startswith("fallow1-")
    assert token.split() == [token]
    assert decode_invitation(token) == invitation_
    wrapped = "  " + "\n  ".join(token[i : i + 40] for i in range(0, len(token), 40)) + "\n"
    assert decode_invitation(wrapped) == invitation_


def test_a_cut_or_changed_token_is_refused() -> None:
    token = encode_invitation(invitation())
    damaged = [token[:end] for end in range(8, len(token))]
    damaged += [token + "A", token[:-9] + "." + token[-8:]]
    for place in range(8, len(token) - 1):
        other = "A" if token[place] != "A" else "B"
        damaged.append(token[:place] + other + token[place + 1 :])
    for text in damaged:
        with pytest.raises(FallowError, match="damaged or cut short"):
            decode_invitation(text)


@pytest.mark.parametrize("text", ["", "hello", "fallow2-abc", "FALLOW1-abc"])
def test_something_else_is_not_called_a_damaged_token(text: str) -> None:
    with pytest.raises(FallowError, match="not an invitation"):
        decode_invitation(text)
