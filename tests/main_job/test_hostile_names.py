"""Names and values full of what shells, YAML and paths heed: they are data, run for real.

Not which names are refused: that is golden (test_bad_batches.py).
"""

import json
from collections.abc import Callable
from pathlib import Path

from main_job.conftest import Coordinator
from main_job.workstation import Workstation

NAMESPACE = "Ana's $(touch ns) `x`"
BATCH = "a & b; touch batch #1 \"q\" 'r' *?[x] %s {y} ~"
VALUES = [
    *("plain", "two words", "$(touch ../../value)", "`touch value`", "a;b|c&d", "'", '"', "''"),
    *("$HOME", "#", "-n", "*", "~", "é日本", "!x", "{cpus}", "%s%n", "1e3", "no", "<>", "--"),
]


def test_names_and_values_are_data(
    tmp_path: Path,
    coordinator: Coordinator,
    batch_file: Callable[..., Path],
    workstation: Workstation,
) -> None:
    content = {
        "meta": {"namespace": NAMESPACE, "batch_name": BATCH},
        "command": {
            "run": "printf '%s\\n' {v} {name} >distribute_save/said; "
            'printf %s "$V" >distribute_save/env; cat input/{index}.txt',
            "env": {"V": "{v}"},
            "sweep": {"v": VALUES},
            "name": "j{index}",  # a value may hold what a name may not
            "required_files": [{"path": "case.txt", "alias": "{index}.txt"}],
        },
        "resources": {"cpus": 1},
    }
    file = batch_file(json.dumps(content), **{"case.txt": "the case\n"})
    done = coordinator.verbs.run("submit", file, "--wait", timeout=90)
    assert done.code == 0, done.err
    jobs = coordinator.results / NAMESPACE / BATCH
    for index, value in enumerate(VALUES):
        assert (jobs / f"j{index}" / "said").read_text() == f"{value}\nj{index}\n"
        assert (jobs / f"j{index}" / "env").read_text() == value
        assert (jobs / f"j{index}" / "stdout.txt").read_text() == "the case\n"
    assert [each for each in tmp_path.rglob("*") if each.name in {"ns", "batch", "value"}] == []
    ref = f"{NAMESPACE}:{BATCH}"
    (shown,) = coordinator.verbs.json("status", f"{ref}/j1")["batches"]
    assert (shown["namespace"], shown["batch"]) == (NAMESPACE, BATCH)
    coordinator.verbs.ok("pull", file, "--dest", tmp_path / "here")
    pulled = tmp_path / "here" / NAMESPACE / BATCH / "j2" / "said"
    assert pulled.read_text() == f"{VALUES[2]}\nj2\n"


def test_hostile_names_of_jobs(
    coordinator: Coordinator, batch_file: Callable[..., Path], workstation: Workstation
) -> None:
    names = ["it's $(true) #1", 'say "no" & go', "100% ~ {x}", "a,b=c;d", "*"]
    content = {
        "meta": {"namespace": "n", "batch_name": "b"},
        "python": {"jobs": [{"name": name, "file": "run it.py"} for name in names]},
        "resources": {"cpus": 1},
    }
    script = (
        "import os, pathlib\n"
        "pathlib.Path('distribute_save/n').write_text(os.environ['FALLOW_JOB'])\n"
    )
    file = batch_file(json.dumps(content), **{"run it.py": script})
    done = coordinator.verbs.run("submit", file, "--wait", timeout=90)
    assert done.code == 0, done.err
    for name in names:
        assert (coordinator.results / "n" / "b" / name / "n").read_text() == name
        assert coordinator.verbs.ok("logs", f"n:b/{name}").out == ""
