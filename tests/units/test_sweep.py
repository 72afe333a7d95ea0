"""Sweeps: which combinations there are, their order, names and values."""

import itertools
import math
import sys
import time
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.shared.batch import (
    Apptainer,
    ApptainerInitialize,
    ApptainerJob,
    Batch,
    Command,
    CommandJob,
    File,
    Line,
    Meta,
    Python,
    PythonJob,
    Range,
    Resources,
    Scalar,
    Sweep,
)
from fallow.shared.errors import BatchError
from fallow.shared.sweep import ConcreteJob, Expansion

META = Meta(namespace="n", batch_name="b")


def sweep(
    values: dict[str, tuple[Scalar, ...] | Range],
    name: str = "j{index}",
    run: Line = "true",
    zip: tuple[tuple[str, ...], ...] = (),
    exclude: tuple[dict[str, Scalar], ...] = (),
    files: tuple[File, ...] = (),
) -> Expansion:
    command = Command(
        run=run,
        name=name,
        required_files=files,
        env={"THREADS": "{cpus}"},
        sweep=Sweep(values=values, zip=zip, exclude=exclude),
    )
    return Expansion(Batch(meta=META, command=command, resources=Resources(cpus=2)))


def all_values(jobs: Expansion) -> list[dict[str, Scalar]]:
    return [jobs.values(index) for index in range(len(jobs))]


def test_the_last_name_runs_fastest() -> None:
    jobs = sweep({"re": (100, 200), "grid": Range(start=32, to=96, step=32)}, "re{re}_g{grid}")
    assert list(jobs.names()) == [
        *("re100_g32", "re100_g64", "re100_g96"),
        *("re200_g32", "re200_g64", "re200_g96"),
    ]


def test_zipped_names_run_together_where_the_first_stands() -> None:
    jobs = sweep({"a": (1, 2), "b": (10, 20, 30), "c": ("x", "y")}, zip=(("a", "c"),))
    assert all_values(jobs) == [
        {"a": a, "b": b, "c": c} for a, c in ((1, "x"), (2, "y")) for b in (10, 20, 30)
    ]


def test_excluded_rows_match_all_of_their_values() -> None:
    jobs = sweep({"a": (1, 2, 3), "b": (1, 2)}, exclude=({"a": 1, "b": 2}, {"a": 3}))
    assert all_values(jobs) == [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 2, "b": 2}]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_is_the_product_in_order(sizes: list[int], data: st.DataObject) -> None:
    values: dict[str, tuple[Scalar, ...] | Range] = {}
    for number, size in enumerate(sizes):
        values[f"v{number}"] = tuple(range(size))
    conditions = st.integers(0, len(sizes) - 1).flatmap(
        lambda number: st.tuples(st.just(f"v{number}"), st.integers(0, sizes[number] - 1))
    )
    row = st.lists(conditions, min_size=1, max_size=3)
    rows = [dict(each) for each in data.draw(st.lists(row, max_size=3))]
    wanted = [
        dict(zip(values, combination, strict=True))
        for combination in itertools.product(*map(range, sizes))
        if not any(
            all(combination[int(name[1:])] == value for name, value in row.items()) for row in rows
        )
    ]
    exclude: list[dict[str, Scalar]] = [{**each} for each in rows]
    if not wanted:
        with pytest.raises(BatchError, match="Every combination is excluded"):
            sweep(values, exclude=tuple(exclude))
        return
    jobs = sweep(values, exclude=tuple(exclude))
    assert all_values(jobs) == wanted
    assert len(jobs) == len(wanted)


@given(
    st.decimals(-1000, 1000, places=2),
    st.decimals("0.01", 50, places=2),
    st.integers(0, 60),
    st.booleans(),
)
def test_a_range_includes_its_end_and_its_values_are_decimals(
    start: Decimal, step: Decimal, count: int, down: bool
) -> None:
    step = -step if down else step
    jobs = sweep({"x": Range(start=float(start), to=float(start + count * step), step=float(step))})
    found = [values["x"] for values in all_values(jobs)]
    assert found == [float(start + place * step) for place in range(count + 1)]


def test_whole_ranges_stay_whole() -> None:
    jobs = sweep({"x": Range(start=0, to=1, step=0.25), "y": Range(start=3, to=1, step=-1)})
    assert list(map(repr, (jobs.values(0)["x"], jobs.values(0)["y"]))) == ["0.0", "3"]
    assert [jobs.values(index)["y"] for index in range(3)] == [3, 2, 1]


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_range_without_end_is_refused(number: float) -> None:
    with pytest.raises(BatchError, match="finite"):
        sweep({"x": Range(start=0, to=number)})


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(0.0, 1e308), st.floats(-9, 9))
def test_any_range_is_made_or_refused(start: float, to: float, step: float) -> None:
    try:
        jobs = sweep({"x": Range(start=start, to=to, step=step)})
    except BatchError:
        return
    assert jobs.values(0) == {"x": start}
    last = jobs.values(len(jobs) - 1)["x"]
    assert isinstance(last, float)
    assert last <= to if step > 0 else last >= to


def test_a_counted_range_has_both_of_its_ends() -> None:
    jobs = sweep({"x": Range(start=0, to=1, count=5), "n": Range(start=10, to=0, count=6)})
    assert list(jobs.columns()["x"]) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert list(map(repr, jobs.columns()["n"])) == ["10", "8", "6", "4", "2", "0"]
    thirds = sweep({"x": Range(start=0, to=1, count=4)}).columns()["x"]
    assert list(thirds) == [0.0, 1 / 3, 2 / 3, 1.0]


def test_a_logarithmic_range_has_equal_ratios_and_round_numbers() -> None:
    jobs = sweep({"x": Range(start=0.001, to=1000, count=7, scale="log")}, "x{x}")
    assert list(jobs.names()) == ["x0.001", "x0.01", "x0.1", "x1", "x10", "x100", "x1000"]
    down = sweep({"x": Range(start=8, to=1, count=4, scale="log")}, "x{x}")
    assert list(down.names()) == ["x8", "x4", "x2", "x1"]


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300), st.integers(2, 50), st.booleans())
def test_any_counted_range_is_made_or_refused(
    start: float, to: float, count: int, log: bool
) -> None:
    scale: Literal["linear", "log"] = "log" if log else "linear"
    try:
        jobs = sweep({"x": Range(start=start, to=to, count=count, scale=scale)})
    except BatchError:
        assert start == to
        return
    found = [float(value) for value in jobs.columns()["x"]]
    assert (len(found), found[0], found[-1]) == (count, start, to)
    assert found == sorted(found, reverse=start > to)


def test_true_is_not_one() -> None:
    values: dict[str, tuple[Scalar, ...] | Range] = {"a": (True, 1, "true", 1.0), "b": (1, 2)}
    jobs = sweep(values, exclude=({"a": 1, "b": 2},))
    assert [values["a"] for values in all_values(jobs) if values["b"] == 2] == [True, "true"]
    assert len(jobs) == 6


def test_what_a_job_does_not_ask_for_is_the_batches() -> None:
    own = Resources(gpus=0, disk=7)
    command = Command(
        run="./x {gpus}", jobs=(CommandJob(name="a", resources=own), CommandJob(name="b"))
    )
    batch = Batch(meta=META, command=command, resources=Resources(cpus=2, gpus=1, disk=5))
    jobs = Expansion(batch)
    assert jobs.resources(0) == Resources(cpus=2, gpus=0, disk=7)
    assert jobs.resources(1) == Resources(cpus=2, gpus=1, disk=5)
    assert [jobs.concrete(index, 1).run for index in (0, 1)] == ["./x 0", "./x 1"]


def test_the_capability_gpu_asks_for_one() -> None:
    meta = Meta(namespace="n", batch_name="b", capabilities=("gpu",))
    command = Command(run="./x {gpus}", jobs=(CommandJob(name="a"),))
    assert Expansion(Batch(meta=meta, command=command)).resources(0).gpus == 1
    more = Batch(meta=meta, command=command, resources=Resources(gpus=2))
    assert Expansion(more).resources(0).gpus == 2


def test_processors_that_are_not_known_yet_stay_as_they_are() -> None:
    jobs = sweep({"a": ("x y",)}, run="./x -t {a} -j {cpus}")
    assert jobs.concrete(0, None).run == "./x -t 'x y' -j {cpus}"


def test_a_container_has_its_image_and_all_its_mounts() -> None:
    apptainer = Apptainer(
        initialize=ApptainerInitialize(
            sif=File("x.sif"), required_files=(File("m"),), required_mounts=(File("/a"),)
        ),
        jobs=(
            ApptainerJob(name="j", required_files=(File("{c}"),), required_mounts=(File("/b"),)),
        ),
    )
    jobs = Expansion(Batch(meta=META, apptainer=apptainer))
    assert jobs.concrete(0, 2) == ConcreteJob(
        "j", File("x.sif"), {}, (File("{c}"),), (File("/a"), File("/b"))
    )


def test_many_large_columns_are_refused_not_counted_out() -> None:
    columns: dict[str, tuple[Scalar, ...] | Range] = {
        f"v{number}": Range(start=1, to=1_000_000) for number in range(900)
    }
    with pytest.raises(BatchError, match="more than 1,000,000,000,000 combinations"):
        sweep(columns)


def test_a_concrete_job() -> None:
    jobs = sweep(
        {"title": ("first one", "b"), "re": (0.1,)},
        name="{title}_{re}",
        run="./solve -t {title} -r {re} -n {name} -i {index} -j {cpus} ${HOME} {{re}}",
        files=(File("cases/{title}.json", "case.json"), File("mesh.h5")),
    )
    assert jobs.concrete(0, 4) == ConcreteJob(
        "first one_0.1",
        "./solve -t 'first one' -r 0.1 -n 'first one_0.1' -i 0 -j 4 ${HOME} {re}",
        {"THREADS": "4"},
        (File("cases/first one.json", "case.json"), File("mesh.h5")),
    )


def test_in_a_list_a_value_is_one_argument() -> None:
    jobs = sweep({"t": ("a b", "{cpus}")}, run=("./solve", "--title={t}", "{cpus}"))
    assert jobs.concrete(0, 2).run == ("./solve", "--title=a b", "2")
    assert jobs.concrete(1, 2).run == ("./solve", "--title={cpus}", "2")


def test_a_list_of_jobs_takes_what_it_does_not_say_from_the_batch() -> None:
    own = CommandJob(
        name="b",
        run="./b {name}",
        env={"A": "2"},
        required_files=(File("b.json", "case.json"),),
        resources=Resources(memory=5),
    )
    command = Command(
        run=("./all", "{name}", "{index}"),
        env={"A": "1", "B": "{cpus}"},
        required_files=(File("all.json", "case.json"), File("{name}.csv")),
        jobs=(CommandJob(name="a"), own),
    )
    jobs = Expansion(Batch(meta=META, command=command, resources=Resources(cpus=2, memory=9)))
    assert jobs.concrete(0, 2) == ConcreteJob(
        "a",
        ("./all", "a", "0"),
        {"A": "1", "B": "2"},
        (File("all.json", "case.json"), File("a.csv")),
    )
    assert jobs.concrete(1, 2) == ConcreteJob(
        "b",
        "./b b",
        {"A": "2", "B": "2"},
        (File("all.json", "case.json"), File("b.csv"), File("b.json", "case.json")),
    )
    assert jobs.resources(0) == Resources(cpus=2, memory=9)
    assert jobs.resources(1) == Resources(cpus=2, memory=5)


def test_python_jobs_have_no_placeholders() -> None:
    job = PythonJob(name="a", file=File("{re}.py"), required_files=(File("{x}.csv"),))
    jobs = Expansion(Batch(meta=META, python=Python(jobs=(job,))))
    assert jobs.concrete(0, 2) == ConcreteJob("a", File("{re}.py"), {}, (File("{x}.csv"),))


def test_finds_jobs_by_name() -> None:
    jobs = sweep({"a": Range(start=1, to=300), "b": ("x", "y")}, name="{a}{b}")
    assert [jobs.find(jobs.name(index)) for index in range(600)] == list(range(600))
    assert jobs.find("0x") is None


@pytest.mark.parametrize("index", [-1, 4, 10**9])
def test_there_are_no_other_jobs(index: int) -> None:
    jobs = sweep({"a": (1, 2), "b": (1, 2)})
    for ask in (jobs.name, jobs.values, jobs.files, lambda index: jobs.concrete(index, 1)):
        with pytest.raises(IndexError):
            ask(index)


def test_ten_thousand_names_are_quick() -> None:
    jobs = sweep({"a": Range(start=1, to=100), "b": Range(start=0.1, to=10, step=0.1)}, "{a}_{b}")
    started = time.process_time()
    assert len(set(jobs.names())) == 10_000
    assert time.process_time() - started < 0.15


def test_a_large_sweep_takes_little_memory() -> None:
    jobs = sweep({"a": Range(start=1, to=300), "b": Range(start=0, to=33.2, step=0.1)})
    assert len(jobs) == 99_900
    kept = sum(sys.getsizeof(column) for column in jobs.columns().values())
    jobs.find("j99899")
    assert jobs._hashes is not None
    assert kept + sys.getsizeof(jobs._hashes) < 1_000_000
