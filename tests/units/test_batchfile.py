"""Reading batch files: scalars by their field, both spellings, the original format, size."""

import codecs
import time
from pathlib import Path

import pytest

from fallow.shared.batch import (
    Apptainer,
    ApptainerInitialize,
    ApptainerJob,
    Batch,
    Checkpoint,
    Command,
    CommandInitialize,
    CommandJob,
    File,
    Limits,
    Meta,
    OnFailure,
    OnLost,
    OnOwnerReturn,
    Python,
    PythonInitialize,
    PythonJob,
    Range,
    Resources,
    Sweep,
    capabilities_of,
)
from fallow.shared.batchfile import LoadedBatch, load, loads
from fallow.shared.errors import BatchError

META = "meta: {namespace: n, batch_name: b}\n"
EXAMPLES = Path(__file__).parents[2] / "examples"


def read(text: str) -> LoadedBatch:
    return loads(text, Path("batch.yaml"))


def command(text: str) -> Command:
    found = read(META + text).batch.command
    assert found is not None
    return found


def test_the_original_format() -> None:
    loaded = read(
        """---
meta:
  batch_name: example_build_batch
  namespace: "example"
  capabilities: [gfortran, python3]
  matrix: ~
python:
  initialize:
    build_file: /path/to/build.py
    required_files:
      - path: /file/always/present/1.txt
        alias: optional_alias.txt
      - path: /another/file/2.json
        alias: ~
  jobs:
    - name: job_1
      file: execute_job.py
      required_files:
        - path: case1.json
          alias: case.json
    - name: job_2
      file: {path: execute_job.py}
      required_files: []
    - name: job_3
      file: {path: execute_job.py}
"""
    )
    assert loaded.batch == Batch(
        meta=Meta(
            namespace="example",
            batch_name="example_build_batch",
            capabilities=("gfortran", "python3"),
        ),
        python=Python(
            initialize=PythonInitialize(
                build_file=File("/path/to/build.py"),
                required_files=(
                    File("/file/always/present/1.txt", "optional_alias.txt"),
                    File("/another/file/2.json"),
                ),
            ),
            jobs=(
                PythonJob(
                    name="job_1",
                    file=File("execute_job.py"),
                    required_files=(File("case1.json", "case.json"),),
                ),
                PythonJob(name="job_2", file=File("execute_job.py")),
                PythonJob(name="job_3", file=File("execute_job.py")),
            ),
        ),
    )
    assert list(loaded.expansion.names()) == ["job_1", "job_2", "job_3"]


def test_every_key_of_a_command() -> None:
    found = read(
        META
        + """
command:
  initialize: {run: [make, -C, src], required_files: [src]}
  run: ./solve {name}
  env: {A: 1}
  required_files: [mesh.h5]
  jobs:
    - name: a
    - {name: b, run: x, env: {B: ""}, required_files: [b.json], resources: {cpus: 1}}
resources: {cpus: 2, memory: 4GiB}
"""
    ).batch
    assert found.resources == Resources(cpus=2, memory=4 * 1024**3)
    assert found.command == Command(
        initialize=CommandInitialize(run=("make", "-C", "src"), required_files=(File("src"),)),
        run="./solve {name}",
        env={"A": "1"},
        required_files=(File("mesh.h5"),),
        jobs=(
            CommandJob(name="a"),
            CommandJob(
                name="b",
                run="x",
                env={"B": ""},
                required_files=(File("b.json"),),
                resources=Resources(cpus=1),
            ),
        ),
    )


def test_every_key_of_a_container() -> None:
    found = read(
        META
        + """
apptainer:
  initialize:
    sif: {path: solver.sif}
    required_files: [mesh.h5, {path: a.json, alias: case.json}]
    required_mounts: [/output]
  jobs:
    - name: a
    - name: b
      required_files: [{path: b.json, alias: case.json}]
      required_mounts: [/more, {path: /data/tables, alias: /tables}]
      slurm: {partition: cpu}
"""
    ).batch
    assert found.apptainer == Apptainer(
        initialize=ApptainerInitialize(
            sif=File("solver.sif"),
            required_files=(File("mesh.h5"), File("a.json", "case.json")),
            required_mounts=(File("/output"),),
        ),
        jobs=(
            ApptainerJob(name="a"),
            ApptainerJob(
                name="b",
                required_files=(File("b.json", "case.json"),),
                required_mounts=(File("/more"), File("/data/tables", "/tables")),
                slurm={"partition": "cpu"},
            ),
        ),
    )
    assert capabilities_of(found) == ("apptainer",)


def test_every_key_around_the_jobs() -> None:
    found = read(
        """
meta: {namespace: n, batch_name: b, matrix: "@ana:example.org"}
python: {jobs: [{name: a, file: run.py, slurm: {time: 10:00:00, ntasks: 4, account: 1e3}}]}
resources: {cpus: 2, memory: 4GiB, gpus: 1, disk: 10GiB}
limits: {run_time: 6h}
on_failure: {retries: 2, back_off: 30s}
on_owner_return: {do: evict, max_pause: 2h, then: move}
checkpoint: {signal: USR1, grace: 90s, files: [checkpoint/, state.bin]}
on_lost: {after: 10m, then: wait}
priority: high
after: [mesh_01, "other:mesh_02"]
notify: [desktop, "matrix:@bo:example.org", "https://hooks.example.org/x"]
slurm: {job_name: ~, partition: cpu, exclusive: true, mem: 1.50, requeue: no}
"""
    ).batch
    assert found.python is not None
    assert found.python.jobs[0].slurm == {"time": "10:00:00", "ntasks": 4, "account": "1e3"}
    assert found == Batch(
        meta=Meta(namespace="n", batch_name="b", matrix="@ana:example.org"),
        python=found.python,
        resources=Resources(cpus=2, memory=4 << 30, gpus=1, disk=10 << 30),
        limits=Limits(run_time=6 * 3600.0),
        on_failure=OnFailure(retries=2, back_off=30.0),
        on_owner_return=OnOwnerReturn(do="evict", max_pause=7200.0, then="move"),
        checkpoint=Checkpoint(signal="USR1", grace=90.0, files=("checkpoint/", "state.bin")),
        on_lost=OnLost(after=600.0, then="wait"),
        priority="high",
        after=("mesh_01", "other:mesh_02"),
        notify=("desktop", "matrix:@bo:example.org", "https://hooks.example.org/x"),
        slurm={"partition": "cpu", "exclusive": True, "mem": "1.50", "requeue": "no"},
    )


def test_what_is_left_out_or_empty_has_its_default() -> None:
    empty = "".join(
        f"{key}: ~\n"
        for key in ("limits", "on_failure", "on_owner_return", "checkpoint", "on_lost", "priority")
    )
    jobs = "command: {jobs: [{name: a, run: x}]}\n"
    found = read(META + jobs + empty + "after: []\nnotify: ~\nresources: {}\n").batch
    assert found == read(META + jobs).batch
    assert found.on_failure.retries == 0


@pytest.mark.parametrize(
    "word", ["no", "2024", "1e3", "10:00:00", "0x1f", "yes", "1_000", "=", "<<"]
)
def test_text_stays_text(word: str) -> None:
    if ":" not in word:
        meta = read(
            f"meta: {{namespace: {word}, batch_name: b}}\n"
            f"command: {{jobs: [{{name: {word}, run: x}}]}}"
        )
        assert meta.batch.meta.namespace == word
        assert list(meta.expansion.names()) == [word]
    assert command(f"command:\n  run: {word}\n  env: {{A: {word}}}\n  jobs: [{{name: a}}]").env == {
        "A": word
    }


@pytest.mark.parametrize(
    ("word", "truth"), [("false", False), ("no", False), ("Off", False), ("true", True)]
)
def test_the_network_can_be_turned_off(word: str, truth: bool) -> None:
    jobs = "command: {jobs: [{name: a, run: x}]}\n"
    assert read(f"{META}network: {word}\n{jobs}").batch.network is truth
    assert read(META + jobs).batch.network


def test_sweep_values_are_numbers_where_they_look_like_numbers() -> None:
    sweep = command(
        "command:\n  run: x\n  name: j{index}\n  sweep:\n"
        "    a: [1, -2, 2.50, 1e3, .5, +7, 0]\n"
        "    b: ['1', \"2\", no, 007, 0x1f, 1_000, 10:00:00, 1e999, .nan, 1.2.3,"
        " 12345678901234567890]\n"
        "    c: {from: 0.5, to: 2}\n"
        "    d: only\n"
    ).sweep
    assert sweep is not None
    assert repr(sweep.values["a"]) == "(1, -2, 2.5, 1000.0, 0.5, 7, 0)"
    assert sweep.values["b"] == (
        *("1", "2", "no", "007", "0x1f", "1_000", "10:00:00", "1e999", ".nan", "1.2.3"),
        "12345678901234567890",
    )
    assert sweep.values["c"] == Range(start=0.5, to=2)
    assert sweep.values["d"] == ("only",)


def test_zip_and_exclude() -> None:
    sweep = command(
        "command:\n  run: x\n  name: j{index}\n  sweep:\n"
        "    a: [1, 2]\n    b: [x, y]\n    c: [1, 2]\n"
        "    zip: [[a, b]]\n    exclude: [{a: 1, c: 2}]\n"
    ).sweep
    assert sweep == Sweep(
        values={"a": (1, 2), "b": ("x", "y"), "c": (1, 2)},
        zip=(("a", "b"),),
        exclude=({"a": 1, "c": 2},),
    )


def test_a_sweep_from_a_table(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_bytes(b'\xef\xbb\xbfre, title\r\n100,"a, b"\r\n\r\n2.5,007\r\n')
    text = META + (
        "command:\n  run: x {re} {title} {k}\n  name: j{re}_{k}\n"
        "  sweep: {file: cases.csv, k: [1, 2]}\n"
    )
    loaded = loads(text, tmp_path / "batch.yaml")
    assert [loaded.expansion.concrete(index, 1).run for index in range(4)] == [
        *("x 100 'a, b' 1", "x 100 'a, b' 2", "x 2.5 007 1", "x 2.5 007 2"),
    ]


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("", "no line below its names"),
        ("re\n", "no line below its names"),
        ("re,re\n1,2\n", "two columns of one name"),
        ("re,dt\n1,2\n1\n", "has 1 values for 2 names in line 3; .dt. is missing"),
        ('re\n"1\n', "is not a table"),
        ("k\n1\n", "'k' is in the table and in the sweep"),
        ("mesh size\n1\n", "'mesh size', which cannot be a placeholder"),
        ("re\n\udcff\n", "is not a table"),
    ],
)
def test_a_bad_table(tmp_path: Path, table: str, complaint: str) -> None:
    (tmp_path / "cases.csv").write_bytes(table.encode("utf-8", "surrogateescape"))
    text = "command:\n  run: x\n  name: j{index}\n  sweep: {file: cases.csv, k: [1, 2]}\n"
    with pytest.raises(BatchError, match=complaint) as caught:
        loads(META + text, tmp_path / "batch.yaml")
    assert caught.value.line == 5


def test_aliases_and_anchors_are_read() -> None:
    jobs = command(
        "command:\n  run: x\n  jobs:\n    - {name: a, required_files: &files [x, y]}\n"
        "    - {name: b, required_files: *files}\n"
    ).jobs
    assert jobs[0].required_files == jobs[1].required_files == (File("x"), File("y"))


def test_aliases_cannot_blow_up() -> None:
    lines = [
        "    - {name: j0, run: x, required_files: &f ["
        + ", ".join(f"f{n}" for n in range(3000))
        + "]}"
    ]
    lines += [f"    - {{name: j{n}, run: x, required_files: *f}}" for n in range(1, 3000)]
    started = time.monotonic()
    with pytest.raises(BatchError, match="With its aliases"):
        read(META + "command:\n  jobs:\n" + "\n".join(lines))
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("opened", ["[", "{a: ", "- ", "? "])
def test_depth_is_bounded(opened: str) -> None:
    started = time.monotonic()
    with pytest.raises(BatchError, match="This is not YAML"):
        read(opened * 200_000)
    assert time.monotonic() - started < 5


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    text = (META + "command: {jobs: [{name: a, run: x}]}").encode()
    assert loads(codecs.BOM_UTF8 + text, Path("x")).batch.meta.namespace == "n"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"meta:\n  namespace: caf\xe9\n", 2),
        (META.encode("utf-16"), 1),
        (b"meta:\n  namespace: a\x07b\n", 2),
        (b"\x00\x01\x02", 1),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, line: int) -> None:
    with pytest.raises(BatchError) as caught:
        loads(data, Path("x.yaml"))
    assert (caught.value.file, caught.value.line) == ("x.yaml", line)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="cannot be read: no such file"):
        load(tmp_path / "x.yaml")
    with pytest.raises(BatchError, match="This is a folder"):
        load(tmp_path)


def test_lines_of_places() -> None:
    loaded = read(
        "# one\nmeta:\n  namespace: n\n  batch_name: b\n"
        "python:\n  jobs:\n  - name: a\n    file: r\n"
    )
    assert loaded.line(("meta", "batch_name")) == 4
    assert loaded.line(("python", "jobs", 0, "file")) == 8
    assert loaded.line(("python", "jobs", 0, "required_files", 3)) == 7
    assert loaded.line(("python", "jobs", 9)) == 6
    assert loaded.line(()) == 2
    error = loaded.locate(BatchError("x", path=("python", "jobs", 0)))
    assert (error.file, error.line) == ("batch.yaml", 7)


@pytest.mark.parametrize(
    "file", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda file: file.parent.name
)
def test_the_examples_are_good(file: Path) -> None:
    loaded = load(file)
    assert 3 <= len(loaded.expansion) <= 16


def test_ten_thousand_jobs_written_out() -> None:
    text = META + "command:\n  initialize: {run: make, required_files: [src]}\n  jobs:\n"
    for number in range(10_000):
        text += (
            f"    - name: job_{number}\n"
            f"      run: ./solve --re {number} --out distribute_save/x\n"
            '      env: {OMP_NUM_THREADS: "{cpus}"}\n'
            "      required_files:\n"
            f"        - {{path: case{number}.json, alias: case.json}}\n"
        )
    started = time.process_time()
    loaded = read(text)
    seconds = time.process_time() - started
    assert len(loaded.expansion) == 10_000
    assert seconds < 2.5
