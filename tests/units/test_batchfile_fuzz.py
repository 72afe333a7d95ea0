"""Whatever the text: a Batch or a BatchError, in bounded time; so for any Batch from the wire."""

from pathlib import Path

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fallow.shared.batch import Batch
from fallow.shared.batchfile import loads
from fallow.shared.checks import check
from fallow.shared.errors import BatchError, UsageError
from fallow.shared.ids import AttemptId
from fallow.shared.jobspec import check_contents, paths, specify
from fallow.shared.messages import Assign, Content, encode

WORDS = (
    *("meta", "namespace", "batch_name", "capabilities", "matrix", "python", "command", "jobs"),
    *("initialize", "build_file", "required_files", "path", "alias", "name", "file", "run", "env"),
    *("resources", "cpus", "memory", "sweep", "from", "to", "step", "zip", "exclude", "slurm"),
    *("apptainer", "sif", "required_mounts", "gpus", "disk", "count", "scale", "limits"),
    *("run_time", "on_failure", "retries", "back_off", "on_owner_return", "do", "max_pause"),
    *("then", "checkpoint", "signal", "grace", "files", "on_lost", "after", "priority", "notify"),
    *("network",),
)
PIECES = (
    *WORDS,
    *(f"{word}: " for word in WORDS),
    *("\n", "\n  ", "\n    ", "\n  - ", "- ", ": ", ", ", "[", "]", "{", "}", "'", '"', "|", ">"),
    *("~", "&a ", "*a", "!!int ", "!x ", "<<: *a", "? ", "# ", "---\n", "...\n", "%YAML 1.1\n"),
    *("\t", "\\0", "\\ud800", "\x85", "\u2028", "\ufeff", "é", "{re}", "{{re}}", "{cpus}", "${X}"),
    *("6h", "2h30m", "freeze", "move", "log", "TERM", "high", "desktop", "@ana:example.org"),
    *("/output", "true", "on", "0", "00", "1e3", "10:00:00", "2026-11-22", "0x1f", "0o7"),
    *("1", "-1", "0.1", "1e400", "4GiB", "no", "../x", "/x", "a/b", "CON", "x" * 101, "9" * 5000),
)
SOURCE = Path("fuzz.yaml")


def outcome(text: str | bytes) -> Batch | None:
    complaint: BatchError
    try:
        return loads(text, SOURCE).batch
    except BatchError as error:
        complaint = error
    assert complaint.file == "fuzz.yaml"
    assert str(complaint)
    return None


@settings(max_examples=400, deadline=2000)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@example('meta: {namespace: n, batch_name: b}\ncommand: {jobs: [{name: a, run: "\\ud800"}]}')
@example("? ? ? a")
@example("&a [*a, *a]")
@example("a: &a {b: *a}")
def test_pieces_of_batch_files(text: str) -> None:
    outcome(text)


@settings(max_examples=200, deadline=2000)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    outcome(text)


@settings(max_examples=200, deadline=2000)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    outcome(data)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats()
    | st.sampled_from([*PIECES, "re", "a", "b", "re{re}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def mutated(tree: object, draw: st.DrawFn) -> object:
    """The tree with one place in it replaced by anything."""
    if isinstance(tree, dict) and tree and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(tree)))
        return {**tree, key: mutated(tree[key], draw)}
    if isinstance(tree, list) and tree and draw(st.integers(0, 3)):
        place = draw(st.integers(0, len(tree) - 1))
        return [*tree[:place], mutated(tree[place], draw), *tree[place + 1 :]]
    return draw(VALUES)


GOOD = {
    "meta": {"namespace": "n", "batch_name": "b", "capabilities": ["x"]},
    "command": {
        "initialize": {"run": "make -j {cpus}", "required_files": [{"path": "src"}]},
        "run": ["./solve", "{re}", "{name}"],
        "env": {"A": "{index}"},
        "required_files": [{"path": "{re}.json", "alias": "case.json"}],
        "sweep": {
            "values": {"re": [1, 2.5, "x"], "g": {"start": 0, "to": 0.5, "step": 0.25}},
            "zip": [["re", "g"]],
            "exclude": [{"re": 1}],
        },
        "name": "re{re}_{g}",
        "jobs": [],
    },
    "resources": {"cpus": 2, "memory": 1000, "gpus": 1, "disk": 10},
    "limits": {"run_time": 60.0},
    "on_failure": {"retries": 2, "back_off": 1.0},
    "on_owner_return": {"do": "evict", "max_pause": 10.0, "then": "move"},
    "checkpoint": {"signal": "USR1", "grace": 5.0, "files": ["c/", "d/e"]},
    "on_lost": {"after": 5.0, "then": "wait"},
    "priority": "high",
    "after": ["x", "n:y"],
    "notify": ["desktop", "matrix:@a:b", "https://x"],
    "slurm": {"time": "1", "ntasks": 2},
    "network": False,
}
GOOD_CONTAINERS = {
    **{key: value for key, value in GOOD.items() if key != "command"},
    "checkpoint": {"signal": "USR1", "files": ["c/", "distribute_save/x"]},
    "apptainer": {
        "initialize": {
            "sif": {"path": "a.sif"},
            "required_files": [{"path": "x", "alias": "y"}],
            "required_mounts": [{"path": "/output"}],
        },
        "jobs": [
            {"name": "a", "required_mounts": [{"path": "/d", "alias": "/e"}]},
            {"name": "b", "required_files": [{"path": "z"}], "slurm": {"time": "1"}},
        ],
    },
}


@st.composite
def almost_good(draw: st.DrawFn) -> object:
    tree: object = draw(st.sampled_from([GOOD, GOOD_CONTAINERS]))
    for _ in range(draw(st.integers(1, 3))):
        tree = mutated(tree, draw)
    return tree


@settings(max_examples=500, deadline=2000)
@given(almost_good())
def test_any_batch_from_the_wire_is_checked_or_refused(tree: object) -> None:
    try:
        batch = msgspec.convert(tree, Batch)
    except (msgspec.ValidationError, UnicodeEncodeError):
        return
    try:
        jobs = check(batch)
    except BatchError:
        return
    assert len(set(jobs.names())) == len(jobs)
    jobs.concrete(len(jobs) - 1, 2)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=Batch) == batch
    contents = {path: (Content("", "a" * 64, 1),) for path in paths(batch, jobs)}
    check_contents(batch, jobs, contents)
    spec = specify(batch, jobs, contents, len(jobs) - 1, "ana", 2, None)
    assert msgspec.msgpack.decode(encode(Assign(1, AttemptId("b", 0, 1), spec)))


@settings(max_examples=200, deadline=2000)
@given(
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
)
@example("sweep.re", "[" * 50)
@example("command", "{run: x, jobs: [{name: a}]}")
def test_any_option(key: str, value: str) -> None:
    text = "meta: {namespace: n, batch_name: b}\ncommand:\n  sweep: {re: [1]}\n  run: x\n  name: j"
    complaint: UsageError | None = None
    try:
        loads(text, SOURCE, [f"{key}={value}"])
    except UsageError as error:
        complaint = error
    if isinstance(complaint, BatchError):
        assert complaint.file
    elif complaint is not None:
        assert "KEY=VALUE" in str(complaint)


ROWS = ("re", "grid", ",", ";", "\n", "\r\n", '"', "1", "1e999", "no", "{", "}", "[", ":", " ", "é")


@settings(
    max_examples=200, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(ROWS), max_size=30).map("".join) | st.text(max_size=60),
    st.sampled_from(["cases.csv", "cases.jsonl"]),
)
@example('{"re": 99999999999999999999999}', "cases.jsonl")
@example("re\n" + "[" * 10_000, "cases.jsonl")
@example("re\n\0", "cases.csv")
def test_any_table(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    batch = (
        "meta: {namespace: n, batch_name: b}\n"
        f"command: {{run: x, name: 'j{{index}}', sweep: {{file: {name}}}}}"
    )
    line = None
    try:
        loaded = loads(batch, tmp_path / "batch.yaml")
    except BatchError as error:
        line = error.line
    if line is not None:
        assert line == 2
        return
    msgspec.msgpack.encode(loaded.batch)
    assert len(set(loaded.expansion.names())) == len(loaded.expansion)


def test_the_good_ones_are_good() -> None:
    assert len(check(msgspec.convert(GOOD_CONTAINERS, Batch))) == 2
    assert list(check(msgspec.convert(GOOD, Batch)).names()) == ["re2.5_0.25", "rex_0.5"]
