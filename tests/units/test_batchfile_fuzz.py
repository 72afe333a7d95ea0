"""Whatever the text: a Batch or a BatchError, in bounded time; so for any Batch from the wire."""

from pathlib import Path

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fallow.shared.batch import Batch
from fallow.shared.batchfile import loads
from fallow.shared.checks import check
from fallow.shared.errors import BatchError

WORDS = (
    *("meta", "namespace", "batch_name", "capabilities", "matrix", "python", "command", "jobs"),
    *("initialize", "build_file", "required_files", "path", "alias", "name", "file", "run", "env"),
    *("resources", "cpus", "memory", "sweep", "from", "to", "step", "zip", "exclude", "slurm"),
)
PIECES = (
    *WORDS,
    *(f"{word}: " for word in WORDS),
    *("\n", "\n  ", "\n    ", "\n  - ", "- ", ": ", ", ", "[", "]", "{", "}", "'", '"', "|", ">"),
    *("~", "&a ", "*a", "!!int ", "!x ", "<<: *a", "? ", "# ", "---\n", "...\n", "%YAML 1.1\n"),
    *("\t", "\\0", "\\ud800", "\x85", "\u2028", "\ufeff", "é", "{re}", "{{re}}", "{cpus}", "${X}"),
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
    "resources": {"cpus": 2, "memory": 1000},
}


@st.composite
def almost_good(draw: st.DrawFn) -> object:
    tree: object = GOOD
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
    msgspec.msgpack.encode(batch)


def test_the_good_one_is_good() -> None:
    assert list(check(msgspec.convert(GOOD, Batch)).names()) == ["re2.5_0.25", "rex_0.5"]
