"""Python -> YAML -> Python and YAML -> Python -> YAML change nothing; bad batches say where.

Not the reading itself: test_batchfile.py.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from fallow.shared.batch import (
    Batch,
    Command,
    CommandJob,
    File,
    Limits,
    Meta,
    Range,
    Resources,
    Sweep,
    sweep,
)
from fallow.shared.batchtext import check_made
from fallow.shared.errors import BatchError
from units.generated_batches import batches

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
META = Meta(namespace="ana", batch_name="b")


def exact(batch: Batch) -> bytes:
    """What distinguishes 1, 1.0 and true, which are equal in Python."""
    return msgspec.json.encode(batch)


@settings(max_examples=200, deadline=None, suppress_health_check=SLOW)
@given(batches())
def test_python_to_yaml_and_back(batch: Batch) -> None:
    text = batch.to_yaml()
    again = Batch.loads(text)
    assert again == batch
    assert exact(again) == exact(batch)
    assert again.to_yaml() == text
    assert batch.check() == batch


TOP = Path(__file__).parents[2]
WRITTEN = [
    *TOP.glob("examples/**/*.yaml"),
    *TOP.glob("tests/golden/good_batches/*.yaml"),
    *TOP.glob("coordinator/fallow/coordinator/templates/*.yaml"),
]


@pytest.mark.parametrize("path", sorted(WRITTEN), ids=lambda path: path.name)
def test_what_people_write(path: Path) -> None:
    batch = Batch.load(path)
    text = batch.to_yaml()
    again = Batch.loads(text)
    assert again == batch
    assert again.to_yaml() == text
    assert batch.check() == batch


def test_what_it_looks_like() -> None:
    batch = Batch(
        meta=META,
        command=Command(
            run="./solver --re {re}\n./post\n",
            sweep=sweep(re=[100, 200.5], grid=Range(start=32, to=64, step=32), mode=["no", "a b"]),
            name="re{re}_g{grid}_{mode}",
            required_files=(File("src"), File("a.json", "case.json")),
        ),
        resources=Resources(cpus=2, memory=4 << 30),
        limits=Limits(run_time=5400.0),
    )
    assert batch.to_yaml() == (
        """\
meta: {namespace: ana, batch_name: b}
command:
  run: |
    ./solver --re {re}
    ./post
  required_files:
  - src
  - {path: a.json, alias: case.json}
  sweep:
    re: [100, 200.5]
    grid: {from: 32, to: 64, step: 32}
    mode: ["no", a b]
  name: "re{re}_g{grid}_{mode}"
resources: {cpus: 2, memory: 4GiB}
limits: {run_time: 1h30m}
"""
    )


def loose(**words: Any) -> Batch:
    """As somebody writes it who has no type checker."""
    command: dict[str, Any] = {"run": "true", "jobs": [CommandJob(name="j")], **words}
    return Batch(meta=META, command=Command(**command))


def test_what_a_file_may_say_python_may_too() -> None:
    made = Batch(
        meta=META,
        command=Command(
            run=["./solver", "a"],  # type: ignore[arg-type]
            required_files=["src", File("x", "y"), Path("z/w.txt")],  # type: ignore[arg-type]
            jobs=[{"name": "j", "resources": {"memory": "1GiB"}}],  # type: ignore[arg-type]
        ),
        resources=Resources(memory="4GiB"),  # type: ignore[arg-type]
        limits=Limits(run_time="2h"),  # type: ignore[arg-type]
    )
    assert made.check() == Batch(
        meta=META,
        command=Command(
            run=("./solver", "a"),
            required_files=(File("src"), File("x", "y"), File("z/w.txt")),
            jobs=(CommandJob(name="j", resources=Resources(memory=1 << 30)),),
        ),
        resources=Resources(memory=4 << 30),
        limits=Limits(run_time=7200.0),
    )


def test_a_sweep_takes_what_holds_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    made = sweep(
        a=numpy.linspace(0.0, 1.0, 3),
        b=[numpy.int64(3), numpy.float64(0.5)],
        c=range(3),
        d="one",
        e=(each for each in (1, 2)),
        zip=[["b", "e"]],
        exclude=[{"a": 0.5}],
    )
    assert made == Sweep(
        values={"a": (0.0, 0.5, 1.0), "b": (3, 0.5), "c": (0, 1, 2), "d": ("one",), "e": (1, 2)},
        zip=(("b", "e"),),
        exclude=({"a": 0.5},),
    )
    assert all(type(each) in {int, float} for each in (*made.values["a"], *made.values["b"]))  # type: ignore[misc]


def test_the_rows_of_a_table_are_a_sweep() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"re": [100, 200], "mesh": ["a", "b"], "dt": [0.1, 0.05]})
    made = sweep(**table, zip=[list(table.columns)])
    command = Command(run="x {re} {mesh} {dt}", sweep=made, name="{mesh}")
    batch, jobs = check_made(Batch(meta=META, command=command))
    assert [jobs.values(index) for index in range(len(jobs))] == [
        {"re": 100, "mesh": "a", "dt": 0.1},
        {"re": 200, "mesh": "b", "dt": 0.05},
    ]
    assert type(jobs.values(0)["re"]) is int
    assert Batch.loads(batch.to_yaml()) == batch


@pytest.mark.parametrize(
    ("batch", "place", "title"),
    [
        (loose(jobs=[]), ("command",), "There are no jobs"),
        (loose(run={}), ("command", "run"), "Text is expected"),
        (loose(required_files="src"), ("command", "required_files"), "A list is expected"),
        (loose(env={"A": None}), ("command", "env", "A"), "A NoneType cannot be part"),
        (loose(jobs=[{"nam": "j"}]), ("command", "jobs", 0), "`nam` is no key"),
        (loose(jobs=[object()]), ("command", "jobs", 0), "A object cannot be part"),
        (
            Batch(meta=META, command=Command(run="x", sweep=sweep(a=[float("nan")]), name="{a}")),
            ("command", "sweep", "a", 0),
            "nan cannot be kept exactly",
        ),
        (
            Batch(meta=META, resources=Resources(memory="4 bananas")),  # type: ignore[arg-type]
            ("resources", "memory"),
            "'bananas' is not a unit of size",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_place(
    batch: Batch, place: tuple[str | int, ...], title: str
) -> None:
    with pytest.raises(BatchError) as caught:
        batch.check()
    assert caught.value.path == place
    assert title in caught.value.title
    assert not caught.value.file


def test_what_no_file_can_say_is_not_written() -> None:
    for value in (float("inf"), float("nan"), 10**30):
        batch = Batch(meta=META, command=Command(run="x", sweep=sweep(a=[value]), name="{a}"))
        with pytest.raises(BatchError, match="cannot be kept exactly"):
            batch.to_yaml()


def test_all_that_is_wrong_is_named() -> None:
    batch = Batch(
        meta=Meta(namespace="a/b", batch_name="b"),
        resources=Resources(cpus=0),
        command=Command(run="x", sweep=sweep(a=[1, 1]), name="{a}"),
    )
    with pytest.raises(BatchError) as caught:
        batch.check()
    places = [each.path for each in caught.value.each()]
    assert places == [("meta", "namespace"), ("resources", "cpus"), ("command", "name")]
    assert [each.title in str(caught.value) for each in caught.value.each()] == [True] * 3
