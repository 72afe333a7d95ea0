"""submit.sh: many jobs over several arrays, cut off anywhere, called twice, half-copied.

On a real SLURM. Not how jobs end: that is test_endings.py.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from main_job.test_run_like_submitted import tree
from slurm.cluster import MAX_ARRAY_SIZE, NODE, Cluster
from slurm.exported import ExportedFolder, run_here

pytestmark = pytest.mark.xdist_group("slurm")
Export = Callable[..., ExportedFolder]
MANY = 600

TINY = """\
meta: {{namespace: n, batch_name: b}}
resources: {{cpus: 1, memory: 64MiB}}
command:
  run: "echo {{i}}{more}"
  sweep: {{i: {{from: 1, to: {count}}}}}
  name: "t{{i}}"
"""


def tiny(count: int, more: str = "") -> str:
    return TINY.format(count=count, more=more)


# What sbatch does when the connection is lost: before or after SLURM has taken the job.
CUT = """\
#!/bin/bash
for word; do if [ "$word" = --test-only ]; then exec {sbatch} "$@"; fi; done
n=$(cat {counter} 2>/dev/null || echo 0)
echo $((n + 1)) > {counter}
if [ "$n" = "$CUT_AT" ]; then
  if [ "$CUT" = after ]; then {sbatch} "$@" >/dev/null; fi
  # Whoever called, and the shell in which it did.
  for pid in $(ps -o ppid= -p $PPID) $PPID; do
    if grep -q submit.sh /proc/$pid/cmdline; then kill -KILL $pid; fi
  done
  exit 1
fi
exec {sbatch} "$@"
"""


def test_600_jobs_over_several_arrays_with_slurm_restarted_and_three_collects(
    exported: Export, cluster: Cluster, tmp_path: Path
) -> None:
    folder = exported(tiny(MANY))
    said = folder.submit()
    chunks = -(-MANY // MAX_ARRAY_SIZE)
    assert said.count("submitted as") == chunks == 6
    first = folder.collect()
    assert sum(first["counts"].values()) == MANY
    cluster.stop_daemon("slurmctld")
    assert folder.call("submit.sh").returncode == 1  # nobody answers
    cluster.stop_daemon("slurmd")
    cluster.start()
    assert f"0 arrays submitted now, {chunks} were already" in folder.submit()
    folder.wait(100)
    second = folder.collect()
    assert second["counts"]["succeeded"] == MANY, second["problems"][:3]
    assert second["over"]
    assert first["taken"] + second["taken"] == MANY
    third = folder.collect()
    assert (third["taken"], third["unchanged"]) == (0, MANY)
    there = tree(folder.results(), NODE)
    assert there == run_here(cluster, tmp_path)
    for number in range(1, MANY + 1):
        assert there[f"t{number}/stdout.txt"] == b"%d\n" % number
    # No job had a twin.
    assert len(list((folder.path / "runs").glob("*/*"))) == MANY


@pytest.mark.parametrize("when", ["before", "after"])
def test_cut_off_at_every_chunk_and_called_again_there_are_no_twins(
    exported: Export, cluster: Cluster, tmp_path: Path, when: str
) -> None:
    folder = exported(
        tiny(5).replace("command:", 'command:\n  initialize: {run: "true"}'),
        "--site",
        _site(tmp_path, "max_array_size = 2"),
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    real = shutil.which("sbatch", path=cluster.environment["PATH"])
    counter = tmp_path / "counter"
    (programs / "sbatch").write_text(CUT.format(sbatch=real, counter=counter))
    (programs / "sbatch").chmod(0o755)
    path = f"{programs}:{cluster.environment['PATH']}"
    # Each call gets one script further: the build, then the three arrays.
    for at in (0, 1, 1, 1) if when == "before" else (0, 0, 0, 0):
        counter.write_text("0")
        done = folder.call("submit.sh", env={"PATH": path, "CUT": when, "CUT_AT": str(at)})
        assert done.returncode == -9, (at, done.stdout, done.stderr)
    submitted = folder.submit()
    assert submitted.count("submitted as") == (1 if when == "before" else 0), submitted
    folder.wait()
    assert "0 arrays submitted now" in folder.submit()
    arrays = {job for job, _, _ in folder.tasks()}
    assert len(arrays) == 4  # the build and three arrays
    done = folder.collect()
    assert done["counts"]["succeeded"] == 5, done
    assert len(list((folder.path / "runs").glob("*/*"))) == 5


def test_what_began_before_submit_sh_heard_of_it_is_not_submitted_twice(
    exported: Export, cluster: Cluster
) -> None:
    """Also when SLURM has forgotten it since: the jobs themselves have noted it."""
    folder = exported(tiny(2))
    folder.submit()
    folder.wait()
    (note,) = (folder.path / "submitted").glob("fallow-*")
    assert note.read_text().strip().isdigit()
    note.unlink()
    shutil.rmtree(folder.path / "runs")
    key = note.name
    # The key in --comment is found in SLURM's own memory.
    assert "is" in folder.submit()
    assert (folder.path / "submitted" / key).is_file()
    assert len({job for job, _, _ in folder.tasks()}) == 1


def test_submit_again_runs_only_what_has_not_succeeded(exported: Export) -> None:
    folder = exported(tiny(4, "; test $FALLOW_ATTEMPT = 2 -o {i} -lt 3"))
    assert folder.run()["counts"]["failed"] == 2
    assert "1 arrays submitted now" in folder.submit("--again")
    folder.wait()
    done = folder.collect()
    assert done["counts"]["succeeded"] == 4, done
    assert len(list((folder.path / "runs").glob("*/*"))) == 6
    assert folder.output("t4") == "4\n"
    assert "1 arrays submitted now" not in folder.submit("--again")


def _site(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "site.toml"
    file.write_text(text + "\n")
    return file


def test_at_most_so_many_at_once(exported: Export, cluster: Cluster, tmp_path: Path) -> None:
    site = _site(tmp_path, "throttle = 2")
    folder = exported(tiny(8, "; sleep 1"), "--site", site)
    folder.submit()
    most = 0
    while tasks := folder.tasks("PENDING,RUNNING,COMPLETING"):
        most = max(most, sum(state == "RUNNING" for _, _, state in tasks))
    assert most == 2


@pytest.mark.parametrize("damage", ["missing", "changed", "list", "cut"])
def test_a_half_copied_folder_is_refused(exported: Export, tmp_path: Path, damage: str) -> None:
    (tmp_path / "in.txt").write_text("input")
    folder = exported(tiny(1).replace("command:", "command:\n  required_files: [in.txt]"))
    match damage:
        case "missing":
            (folder.path / "tasks" / "1").unlink()
        case "changed":
            (folder.path / "inputs" / "000001").write_text("Input")
        case "list":
            (folder.path / "files.sha256").unlink()
        case "cut":
            text = (folder.path / "files.sha256").read_text()
            (folder.path / "files.sha256").write_text(text[:-20])
    done = folder.call("submit.sh")
    assert done.returncode == 1
    assert "not copied whole" in done.stderr
    assert not folder.tasks()


def test_a_copy_without_modes_and_empty_folders_is_whole(exported: Export, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho from the tool\n")
    (tmp_path / "tool").chmod(0o755)
    batch = tiny(1).replace("command:", "command:\n  required_files: [tool]")
    folder = exported(batch.replace('"echo {i}"', '"./tool {i}"'))
    for name in ("runs", "logs", "submitted"):
        os.rmdir(folder.path / name)
    for path in folder.path.rglob("*"):
        if path.is_file() and path.suffix != ".sh":
            path.chmod(0o600)
    assert folder.run()["counts"]["succeeded"] == 1
    assert folder.output("t1") == "from the tool\n"


NEED = """\
meta: {namespace: n, batch_name: b}
command: {jobs: [{name: a, run: "true"}]}
"""


@pytest.mark.parametrize(
    ("asks", "lacks"),
    [
        ("resources: {cpus: 65}", "64 of 65 CPUs"),
        ("resources: {cpus: 1, memory: 40GiB}", "32000 of 40960 MB of memory"),
        ("resources: {cpus: 1, gpus: 3}", "2 of 3 GPUs"),
        ("resources: {cpus: 1}\nslurm: {partition: short, time: '1:00:00'}", "run for 10:00 only"),
        ("resources: {cpus: 1}\nslurm: {partition: gpu}", "not in partition gpu"),
    ],
)
def test_what_no_node_can_run_is_refused_with_the_nearest(
    exported: Export, asks: str, lacks: str
) -> None:
    folder = exported(f"{NEED}{asks}\n")
    done = folder.call("submit.sh")
    assert done.returncode == 1
    assert "No node of this cluster can run 1 of the jobs" in done.stderr
    assert f"The nearest is desk (partition {'short' if 'time' in asks else ''}" in done.stderr
    assert lacks in done.stderr
    assert not folder.tasks()


def test_what_slurm_itself_refuses_is_said_before_anything_is_submitted(exported: Export) -> None:
    folder = exported(f"{NEED}slurm: {{qoss: x}}\n")
    done = folder.call("submit.sh")
    assert done.returncode == 1
    assert "SLURM refuses class1.sbatch" in done.stderr
    assert "unrecognized option" in done.stderr
    assert not folder.tasks()


def test_check_submits_nothing(exported: Export) -> None:
    folder = exported(tiny(3))
    assert "3 jobs could be submitted" in folder.submit("--check")
    assert not folder.tasks()
    assert folder.call("submit.sh", "--now").returncode == 1


def test_what_detect_wrote_refuses_it_at_the_export(
    exported: Export, verb: Callable[..., Any], cluster: Cluster, tmp_path: Path
) -> None:
    site = tmp_path / "uni.toml"
    told = verb("export", "slurm", "--detect", "--site", site)
    assert told["nodes"] == 1
    with pytest.raises(AssertionError, match="No node of loopback can run 1 job"):
        exported(f"{NEED}resources: {{cpus: 65}}\n", "--site", site)
    assert not (tmp_path / "on_cluster").exists()
    folder = exported(f"{NEED}resources: {{cpus: 64}}\n", "--site", site)
    assert f"CHUNK={MAX_ARRAY_SIZE}\n" in (folder.path / "plan.sh").read_text()
    folder.submit("--check")
    refused = verb("export", "slurm", "--detect", "--site", site, code=2)
    assert "there already" in str(refused)


def test_a_folder_that_is_there_is_not_touched(exported: Export, tmp_path: Path) -> None:
    (tmp_path / "on_cluster").mkdir()
    (tmp_path / "on_cluster" / "mine").write_text("x")
    with pytest.raises(AssertionError, match="is there already and not empty"):
        exported(NEED)
    assert os.listdir(tmp_path / "on_cluster") == ["mine"]


def test_nodes_that_are_down_now_are_no_reason_to_refuse(
    exported: Export, cluster: Cluster
) -> None:
    folder = exported(tiny(2))
    cluster.run("scontrol", "update", f"NodeName={NODE}", "State=DRAIN", "Reason=test")
    try:
        done = folder.call("submit.sh")
    finally:
        cluster.run("scontrol", "update", f"NodeName={NODE}", "State=RESUME")
    assert done.returncode == 0, done.stderr
    assert "wait until nodes are back" in done.stderr
    folder.wait()
    assert folder.collect()["counts"]["succeeded"] == 2


def test_what_slurm_has_forgotten_does_not_run_for_ever(exported: Export) -> None:
    """Its last word that it runs is old when SLURM answers and does not know it any more."""
    folder = exported(tiny(1))
    words = folder.path / "submitted" / "words"
    key = f"fallow-{folder.id}-1-0-0"
    (folder.path / "submitted" / key).write_text("999999\n")
    (folder.path / "submitted" / "chunk").write_text("101\n")
    words.write_text(f"1\n999999|0|RUNNING|{key}|None\n")
    attempt = folder.path / "runs" / "000000" / "1"
    attempt.mkdir(parents=True)
    (attempt / "began").write_text("slurm=999999\nnode=desk\n")
    (attempt / "stdout.txt").write_text("so far\n")
    done = folder.collect()
    assert done["counts"]["failed"] == 1
    assert "SLURM does not know it any more" in done["problems"][0]["reason"]
    assert folder.output("t1") == "so far\n"
    # What had ended is remembered.
    words.write_text(f"1\n999999|0|OUT_OF_MEMORY|{key}|OutOfMemory\n")
    assert "OUT_OF_MEMORY" in folder.collect()["problems"][0]["reason"]
