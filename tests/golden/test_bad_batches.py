"""Every bad batch file is refused with the very words beside it.

Run as a program, this writes those words anew, to be read before they are committed.
"""

import contextlib
from pathlib import Path

import pytest

from fallow.shared.batchfile import loads
from fallow.shared.errors import BatchError

FOLDER = Path(__file__).parent / "bad_batches"
FILES = sorted(FOLDER.glob("*.yaml"))


def refusal(file: Path) -> str:
    with contextlib.chdir(FOLDER), pytest.raises(BatchError) as caught:
        loads(file.read_bytes(), Path(file.name))
    assert caught.value.exit_code == 2
    return f"{caught.value}\n"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_is_refused_in_these_words(file: Path) -> None:
    assert refusal(file) == file.with_suffix(".txt").read_text()


def test_every_text_belongs_to_a_batch() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == {file.stem for file in FILES}
    texts = "".join(file.read_text(errors="replace") for file in FILES)
    tables = [*FOLDER.glob("*.csv"), *FOLDER.glob("*.jsonl")]
    assert [table.name for table in tables if table.name not in texts] == []


if __name__ == "__main__":
    for file in FILES:
        file.with_suffix(".txt").write_text(refusal(file))
