"""`--set KEY=VALUE`: read by the field's type, in place of what the file says; its own errors."""

from pathlib import Path

import pytest

from fallow.shared.batch import Batch, Range
from fallow.shared.batchfile import loads
from fallow.shared.errors import BatchError, UsageError

TEXT = """
meta: {namespace: n, batch_name: b}
command:
  run: ./solve {re}
  name: "re{re}"
  required_files: [a.json, b.json]
  sweep:
    re: [1, 2]
limits: ~
"""
JOBS = """
meta: {namespace: n, batch_name: b}
python:
  jobs:
    - {name: one, file: run.py}
    - {name: two, file: run.py}
"""


def batch(*options: str, text: str = TEXT) -> Batch:
    return loads(text, Path("batch.yaml"), options).batch


def test_the_section_of_the_jobs_may_be_left_out() -> None:
    for option in ("sweep.re=[3,4,x]", "command.sweep.re=[3, 4, x]"):
        command = batch(option).command
        assert command is not None
        assert command.sweep is not None
        assert command.sweep.values["re"] == (3, 4, "x")


def test_a_value_is_read_by_its_field() -> None:
    found = batch(
        "meta.batch_name=2024",
        "limits.run_time=1h",
        "sweep.re={from: 1, to: 2, step: 0.5}",
        "command.run=./solve: {re} # [no]",
        "resources.memory=2GiB",
        "network=no",
        "after=[]",
    )
    assert found.meta.batch_name == "2024"
    assert found.limits.run_time == 3600.0
    assert found.command is not None
    assert found.command.run == "./solve: {re} # [no]"
    assert found.command.sweep is not None
    assert found.command.sweep.values["re"] == Range(start=1, to=2, step=0.5)
    assert found.resources.memory == 2 << 30
    assert not found.network


def test_the_last_word_counts_and_nothing_else_changes() -> None:
    assert batch("sweep.re=[3]", "sweep.re=[1, 2]") == batch()
    assert batch("limits=~", "on_failure={}") == batch()


def test_entries_of_a_list_by_their_number() -> None:
    python = batch("jobs.1.name=three", text=JOBS).python
    assert python is not None
    assert [job.name for job in python.jobs] == ["one", "three"]
    command = batch("required_files.0=c.json").command
    assert command is not None
    assert [file.path for file in command.required_files] == ["c.json", "b.json"]


def test_what_anchors_share_is_changed_at_one_place_only() -> None:
    text = JOBS.replace("file: run.py}\n    - {", "file: &f {path: run.py}}\n    - {").replace(
        "two, file: run.py", "two, file: *f"
    )
    python = batch("jobs.1.file.path=other.py", text=text).python
    assert python is not None
    assert [job.file.path for job in python.jobs] == ["run.py", "other.py"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("sweep.re=[]", "--set sweep.re=[]: command.sweep.re: re has no values"),
        ("limits.run_time=soon", "--set limits.run_time=soon: limits.run_time: 'soon' is not"),
        ("limits.runtime=1h", "--set limits.runtime=1h: limits: `runtime` is no key"),
        ("swep.re=1", "--set swep.re=1: swep.re: `swep` is no key of a batch file"),
        ("swep.re=1", "did you mean `sweep`?"),
        ("required_files.2=x", "There is no entry '2' here\nhint: its 2 entries are 0 to 1"),
        ("meta.namespace.x=1", "There is no 'x' here, but 'n'"),
        ("sweep.re=[1", "--set sweep.re=[1: sweep.re: This is not YAML"),
        ("priority=urgent", "--set priority=urgent: priority: low or normal or high"),
        ("meta.batch_name=a/b", "--set meta.batch_name=a/b: meta.batch_name: 'a/b' contains '/'"),
        ("sweep.re=[1, 1]", "batch.yaml:5: command.name: Two jobs would be called 're1'"),
    ],
)
def test_what_is_wrong_is_said_of_the_option(option: str, words: str) -> None:
    with pytest.raises(BatchError) as caught:
        batch(option)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("option", ["sweep", "=1", "a..b=1", "", ".=x"])
def test_a_text_that_is_no_option(option: str) -> None:
    with pytest.raises(UsageError, match="KEY=VALUE"):
        batch(option)
