"""Names and values of every kind reach the job as they are, and never a shell or SLURM itself.

On a real SLURM, with a canary: a file that any injection would make.
"""

import json
import string
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallow.coordinator.slurm import directives, words
from fallow.coordinator.slurm.directives import options, quote, seconds_of, time_of
from fallow.shared.batch import Scalar
from fallow.shared.errors import BatchError
from slurm.cluster import Cluster
from slurm.exported import ExportedFolder
from slurm.sbatch_grammar import Unreadable, tokens

pytestmark = pytest.mark.xdist_group("slurm")
Export = Callable[..., ExportedFolder]

VALUES = (
    "plain",
    "two words",
    "single'quote",
    'double"quote',
    "back\\slash\\",
    "\\'\\\"",
    "# comment",
    "a#b #c",
    "$(touch CANARY)",
    "`touch CANARY`",
    "${HOME} $PATH $$",
    "; touch CANARY ;",
    "& touch CANARY | cat > CANARY",
    "!history !! ~ * ? [a-z] {a,b}",
    "-n -e --help",
    "%j %A %a %% %",
    "ünïcode → 漢字 🜂",
    "tab\there",
    "'; touch CANARY; '",
    '"; touch CANARY; "',
    "$'\\n' $\"x\"",
    "x" * 200,
    "line one\nline two\n\n",
    "\r\x1b[31m\x07",
)
NAMES = tuple(
    value[:100].rstrip(". ")
    for value in VALUES
    if value.isprintable() and not set("/\\:") & set(value) and value[0] not in ".- "
)


def test_every_value_is_byte_exact_in_the_job(exported: Export, tmp_path: Path) -> None:
    canary = tmp_path / "CANARY"
    jobs: list[dict[str, object]] = []
    for number, value in enumerate(VALUES):
        value = value.replace("CANARY", str(canary))
        script = 'printf %s "$VALUE" > distribute_save/env; printf %s "$1" > distribute_save/arg'
        jobs.append(
            {
                "name": f"value{number}",
                "run": ["/bin/sh", "-c", script, "sh", value],
                "env": {"VALUE": value},
            }
        )
    for number, name in enumerate(NAMES):
        name = name.replace("CANARY", "CANARY".lower())
        script = 'printf %s "$FALLOW_JOB" > distribute_save/name; cat input/* > distribute_save/in'
        alias = f"{number} {name}"[:60].rstrip(". ").replace("?", "").replace("*", "")
        (tmp_path / "odd 'input' $(x) #.txt").write_text("input")
        files = [{"path": "odd 'input' $(x) #.txt", "alias": alias}]
        jobs.append({"name": name, "run": ["/bin/sh", "-c", script], "required_files": files})
    batch = {
        "meta": {"namespace": "n", "batch_name": "b"},
        "resources": {"cpus": 1, "memory": "64MiB"},
        "command": {"jobs": jobs},
    }
    folder = exported(json.dumps(batch, ensure_ascii=False))
    done = folder.run()
    assert done["counts"]["succeeded"] == len(jobs), done
    for number, value in enumerate(VALUES):
        value = value.replace("CANARY", str(canary))
        for file in ("env", "arg"):
            got = (folder.results() / f"value{number}" / file).read_bytes()
            assert got == value.encode(), (number, file)
    for name in NAMES:
        name = name.replace("CANARY", "canary")
        assert folder.output(name, "name") == name
        assert folder.output(name, "in") == "input"
    assert not list(tmp_path.rglob("CANARY"))
    assert not list(tmp_path.rglob("canary"))


ODD = """it's "odd" # $(touch CANARY) \\ `x` %j ü;& 漢"""


def test_odd_words_in_directives_reach_slurm_as_they_are(
    exported: Export, cluster: Cluster, tmp_path: Path
) -> None:
    batch = {
        "meta": {"namespace": "n", "batch_name": "b"},
        "resources": {"cpus": 1, "memory": "64MiB"},
        "slurm": {"job_name": ODD, "hint": "nomultithread"},
        "command": {"jobs": [{"name": "a", "run": "true", "slurm": {"time": 5, "nice": 3}}]},
    }
    folder = exported(json.dumps(batch))
    folder.submit()
    ((job, _, _),) = folder.tasks()
    shown = cluster.run("scontrol", "show", "job", job)
    assert f"JobName={ODD}" in shown
    assert "TimeLimit=00:05:00" in shown
    folder.wait()
    assert folder.collect()["counts"]["succeeded"] == 1
    assert not list(tmp_path.rglob("CANARY"))


@pytest.mark.parametrize("folder_name", ["with space", 'quote\'d "x" $(touch CANARY)', "hash # ü"])
def test_a_folder_may_be_called_almost_anything(exported: Export, folder_name: str) -> None:
    batch = (
        "meta: {namespace: n, batch_name: b}\nresources: {cpus: 1}\n"
        "command: {initialize: {run: 'echo built'}, jobs: [{name: a, run: 'echo ran'}]}\n"
    )
    folder = exported(batch, name=folder_name)
    assert folder.run()["counts"]["succeeded"] == 1
    assert folder.output("a") == "ran\n"


@pytest.mark.parametrize("folder_name", ["per%jcent", "back\\slash"])
def test_a_folder_that_slurm_cannot_write_to_is_refused(exported: Export, folder_name: str) -> None:
    batch = "meta: {namespace: n, batch_name: b}\ncommand: {jobs: [{name: a, run: 'true'}]}\n"
    done = exported(batch, name=folder_name).call("submit.sh")
    assert done.returncode == 1
    assert "its path has a % or a backslash" in done.stderr


# --- the grammar, without a cluster ---------------------------------------------------------------

_TEXTS = st.text(
    st.one_of(st.sampled_from(" \t'\"\\#$%=;&`!-*"), st.characters(exclude_categories=["Cs"])),
    max_size=40,
)


@given(_TEXTS)
def test_a_quoted_word_is_one_token_of_the_line(text: str) -> None:
    try:
        line = directives.line("job-name", text)
    except ValueError:
        assert directives.text_problem(text)
        return
    assert tokens(line) == [f"--job-name={text}"]


@given(_TEXTS)
def test_a_value_is_one_word_on_one_line_of_bash(text: str) -> None:
    quoted = words.quote(text.replace("\0", ""))
    assert "\n" not in quoted
    assert "\r" not in quoted


@given(st.lists(_TEXTS.map(lambda text: text.replace("\0", "")), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_bash_reads_the_very_values(texts: list[str]) -> None:
    line = words.array("values", texts)
    assert "\n" not in line
    script = 'IFS= read -r line; eval "$line"; printf "%s\\0" "${values[@]}"'
    done = subprocess.run(
        ["bash", "-c", script], input=line.encode() + b"\n", capture_output=True, check=True
    )
    assert done.stdout == b"".join(text.encode() + b"\0" for text in texts)


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "nul\0", "\x1b[0m", "\u2028"])
def test_control_characters_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        quote(bad)
    with pytest.raises(BatchError, match="control character"):
        options({"comment_for_humans": bad}, ("slurm",))


def test_the_port_reads_lines_as_sbatch_does() -> None:
    assert tokens("#SBATCH --a=1 --b 'x y'  # rest") == ["--a=1", "--b", "x y"]
    assert tokens("#SBATCH --a='x\\'y'") == ["--a=x'y"]
    assert tokens("#SBATCH --a=x#y z") == ["--a=x"]
    with pytest.raises(Unreadable):
        tokens("#SBATCH --a='x")


# Printable, and no name of an account or file: the real sbatch must take it as a comment.
_SBATCH_TEXTS = [
    ODD,
    *(value for value in VALUES if directives.text_problem(value) is None),
    string.punctuation,
    "".join(reversed(string.punctuation)),
]


def test_the_real_sbatch_reads_what_the_port_reads(cluster: Cluster, tmp_path: Path) -> None:
    jobs = []
    for number, text in enumerate(_SBATCH_TEXTS):
        script = tmp_path / f"{number}.sbatch"
        lines = ["#!/bin/bash", directives.line("job-name", text), "#SBATCH --hold", "true"]
        script.write_text("\n".join((*lines, "")))
        tested = cluster.call("sbatch", "--test-only", script, cwd=tmp_path)
        assert tested.returncode == 0, (text, tested.stderr)
        done = cluster.call("sbatch", "--parsable", "--output=/dev/null", script, cwd=tmp_path)
        jobs.append(done.stdout.strip())
    for job, text in zip(jobs, _SBATCH_TEXTS, strict=True):
        assert f"JobName={text}\n" in cluster.run("scontrol", "show", "job", job) + "\n"
    cluster.run("scancel", *jobs)


# --- the keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slurm", "words_of_it"),
    [
        ({"array": "0-3"}, "set by Fallow itself"),
        ({"comment": "x"}, "set by Fallow itself"),
        ({"kill-on-invalid-dep": "no"}, "set by Fallow itself"),
        ({"N": 1}, "short form"),
        ({"a b": 1}, "cannot be an option"),
        ({"cpus_per_task": 2, "cpus-per-task": 3}, "stands here twice"),
    ],
)
def test_options_that_cannot_be_given(slurm: dict[str, str | int], words_of_it: str) -> None:
    with pytest.raises(BatchError, match=words_of_it):
        options(slurm, ("slurm",))


def test_unknown_options_pass_through() -> None:
    asked: dict[str, Scalar] = {
        "switches": "1@10",
        "exclusive": True,
        "contiguous": False,
        "ntasks_per_core": 1,
    }
    assert options(asked, ()) == {"switches": "1@10", "exclusive": None, "ntasks-per-core": "1"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("1:30", 90),
        ("02:00:00", 7200),
        ("1-12", 129600),
        ("1-0:30", 88200),
        ("2-00:00:00", 172800),
        ("INFINITE", None),
        ("1:2:3:4", None),
        ("x", None),
    ],
)
def test_time_limits(text: str, seconds: int | None) -> None:
    assert seconds_of(text) == seconds


@given(st.integers(1, 10**8))
def test_time_limits_there_and_back(seconds: int) -> None:
    back = seconds_of(time_of(seconds))
    assert back is not None
    assert seconds <= back < seconds + 60


def test_the_manifest_is_one_line_of_json(exported: Export) -> None:
    batch = "meta: {namespace: n, batch_name: b}\ncommand: {jobs: [{name: a, run: 'true'}]}\n"
    data = (exported(batch).path / "manifest.json").read_bytes()
    assert msgspec.json.decode(data)["schema"] == 1
