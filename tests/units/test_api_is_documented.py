"""Every public name of the Python API says what it is, and its types are all known."""

import doctest
import inspect
import subprocess
import sys

import pytest

from fallow.coordinator import python
from fallow.shared import batch

NAMES = sorted(
    name
    for name, value in vars(batch).items()
    if not name.startswith("_") and getattr(value, "__module__", "") == batch.__name__
)
FAR = [python.Results, python.JobResult, python.SubmittedBatch, python.NoSuchJob]


@pytest.mark.parametrize("name", NAMES)
def test_a_word_of_the_file_is_documented(name: str) -> None:
    value = getattr(batch, name)
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    assert own, name


@pytest.mark.parametrize("made", [batch.Batch, *FAR])
def test_its_methods_too(made: type) -> None:
    for name, value in vars(made).items():
        function = value.fget if isinstance(value, property) else value
        function = getattr(function, "__func__", function)
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        assert function.__doc__, f"{made.__name__}.{name}"
        hinted = set(inspect.signature(function).parameters) - {"self", "cls"}
        assert hinted | {"return"} <= set(function.__annotations__), name


def test_the_examples_in_it_are_right() -> None:
    found = doctest.testmod(batch)
    assert found.attempted >= 1
    assert found.failed == 0


def test_making_a_batch_imports_neither_yaml_nor_sockets_nor_the_coordinator() -> None:
    line = (
        "import sys; from fallow.shared.batch import Batch, Command, sweep;"
        "print([each for each in ('yaml', 'zmq', 'fallow.coordinator') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
