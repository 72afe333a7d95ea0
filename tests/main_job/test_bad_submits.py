"""A submit that fails leaves no half batch, and said again it goes on where it was.

Not the refusals that need no coordinator: those are golden (test_bad_batches, test_bad_inputs).
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from fallow.coordinator.client import Client
from fallow.coordinator.handing_in import hand_in
from fallow.shared import batchfile
from fallow.shared.errors import FallowError
from fallow.shared.inputs import gather
from main_job.conftest import Coordinator

TEXT = """\
meta: {namespace: n, batch_name: b, capabilities: [quantum]}
command:
  run: cat input/big input/small
  required_files: [big, small]
  jobs: [{name: j}]
"""


@pytest.fixture
def file(batch_file: Callable[..., Path]) -> Path:
    return batch_file(TEXT, big="x" * 3_000_000, small="small")


def batches(coordinator: Coordinator) -> list[str]:
    return [each["batch"] for each in coordinator.verbs.json("status")["batches"]]


@pytest.mark.parametrize("change", ["other text", "shorter", "gone"])
def test_a_file_that_changes_while_it_is_sent(
    coordinator: Coordinator, file: Path, change: str
) -> None:
    loaded = batchfile.load(file)
    gathered = gather(loaded.batch, loaded.expansion, loaded.folder)
    big = file.parent / "big"
    if change == "gone":
        big.unlink()
    else:
        big.write_text(change * (300_000 if change == "other text" else 1))
    with Client(str(coordinator.data_dir)) as client, pytest.raises(FallowError) as caught:
        hand_in(client, loaded.batch, gathered, locate=loaded.locate, quiet=True)
    assert str(caught.value).startswith(f"{big} could not be moved\n")
    assert "if the file changed meanwhile, submit again" in caught.value.hint
    assert batches(coordinator) == []

    big.write_text("whole again")
    done = coordinator.verbs.ok("submit", file)
    assert "n:b: 1 job submitted" in done.out
    assert batches(coordinator) == ["b"]


def test_what_nobody_has_is_a_warning_and_a_taken_name_a_refusal(
    coordinator: Coordinator, file: Path
) -> None:
    first = coordinator.verbs.ok("submit", file)
    assert "warning: no workstation has joined yet" in first.err
    again = coordinator.verbs.run("submit", file)
    assert again.code == 1
    assert "error: The name n:b is taken" in again.err
    assert "is not over yet" in again.err
    assert "choose another batch_name (or --name)" in again.err
    other = coordinator.verbs.run("submit", file, "--name", "B")
    assert (other.code, "n:b is taken" in other.err) == (1, True)
    assert coordinator.verbs.json("submit", file, "--name", "c") == {
        "schema": 1,
        "namespace": "n",
        "batch": "c",
        "jobs": 1,
    }
    assert sorted(batches(coordinator)) == ["b", "c"]
