"""Batches of the original's `apptainer:` kind, from submit to results, by the installed scripts.

The program that runs the images is a stand-in (apptainer_stand_in.py), not apptainer: it enforces
what the real one does.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fallow.shared.work import procfs
from main_job.apptainer_stand_in import WORDS, install, make_image
from main_job.conftest import SCRIPT, Coordinator
from main_job.workstation import Workstation, alive
from waiting import wait_until

Make = Callable[..., Workstation]
ORIGINAL = """
meta:
  batch_name: containers
  namespace: ana_cfd
  matrix: ~
  capabilities: [apptainer]
apptainer:
  initialize:
    sif: {path: execute_container.sif}
    required_files:
      - path: mesh.txt
        alias: ~
      - {path: table.txt, alias: case.txt}
    required_mounts:
      - /output
  jobs:
    - name: job_1
      required_files: [{path: case_1.txt, alias: case.txt}]
    - name: job_2
      required_files: []
    - name: job_3
      required_files: [case_3.txt]
      required_mounts: [/more/of/it]
"""
SOLVER = """
cat /input/mesh.txt /input/case.txt > /distribute_save/read.txt
echo "$1 $FALLOW_JOB $FALLOW_CPUS $FALLOW_INPUT $FALLOW_OUTPUT" > /distribute_save/said.txt
echo 0.5 half >"$FALLOW_PROGRESS"
echo scratch >/output/own || exit 3
if [ $FALLOW_JOB = job_3 ]; then echo x >/more/of/it/y || exit 4; fi
if echo x 2>/dev/null >/made-of; then echo "the image can be written to"; exit 5; fi
if [ -e SECRET ]; then echo "the account's files can be seen"; exit 6; fi
echo done
[ ! -e /input/case_3.txt ] || exit 9
"""


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    return install(tmp_path / "bin")


def around(bin_folder: Path) -> list[str]:
    """What makes an agent find the stand-in, and only it."""
    return ["env", f"PATH={bin_folder}:{os.environ['PATH']}"]


def test_the_original_container_kind_runs_to_its_results(
    tmp_path: Path,
    coordinator: Coordinator,
    batch_file: Callable[..., Path],
    new_workstation: Make,
    bin_folder: Path,
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("of the account that runs the agent")
    inputs = {"mesh.txt": "mesh ", "table.txt": "table", "case_1.txt": "one", "case_3.txt": "3"}
    file = batch_file(ORIGINAL, "distribute-jobs.yaml", **inputs)
    make_image(file.parent / "execute_container.sif", SOLVER.replace("SECRET", str(secret)))
    plain = new_workstation("plain")
    coordinator.verbs.ok("submit", file)

    def why() -> str:
        text = coordinator.verbs.run("why", "containers/job_1").out
        return text if "apptainer" in text else ""

    said = wait_until(why, 30, "the reason that it lacks apptainer")
    assert plain.name in said
    desk = new_workstation("desk", around=around(bin_folder))
    coordinator.wait_for("containers", {"succeeded": 2, "failed": 1}, 60)

    results = coordinator.results / "ana_cfd" / "containers"
    said = (results / "job_1" / "said.txt").read_text()
    assert said == "2 job_1 2 /input /distribute_save\n"
    assert (results / "job_1" / "read.txt").read_text() == "mesh one"
    assert (results / "job_2" / "read.txt").read_text() == "mesh table"
    assert (results / "job_2" / "stdout.txt").read_text() == "done\n"
    (failed,) = [
        job
        for job in coordinator.verbs.json("status", "containers")["batches"][0]["jobs"]
        if job["state"] == "failed"
    ]
    assert (failed["name"], failed["exit"]) == ("job_3", "exit code 9")
    assert failed["workstation"] == "desk"

    calls = (bin_folder / WORDS).read_text().splitlines()
    assert len(calls) == 3
    runs = desk.data_dir / "runs"
    for call in calls:
        words = call.split()
        assert words[:4] == ["run", "--app", "distribute", "--bind"]
        binds = [bind.split(":") for bind in words[4].split(",")]
        assert [bind[1:] for bind in binds[:3]] == [
            ["/distribute_save", "rw"],
            ["/input", "rw"],
            ["/output", "rw"],
        ]
        assert all(Path(bind[0]).is_relative_to(runs) for bind in binds)
        assert words[6:] == ["2"]
    # However many runs there were, one image went over the network and is in the cache.
    images = [each for each in (desk.data_dir / "cache").rglob("*") if each.is_file()]
    assert sum(each.stat().st_size > 1_000_000 for each in images) == 1


def test_a_container_stands_still_while_it_is_paused(
    coordinator: Coordinator,
    batch_file: Callable[..., Path],
    new_workstation: Make,
    bin_folder: Path,
) -> None:
    file = batch_file(
        "meta: {namespace: n, batch_name: busy}\n"
        "apptainer: {initialize: {sif: busy.sif}, jobs: [{name: j}]}\n"
    )
    busy = "(while [ ! -e /distribute_save/go ]; do :; done) &\nwait\necho went on\n"
    make_image(file.parent / "busy.sif", busy)
    desk = new_workstation("desk", around=around(bin_folder))
    coordinator.verbs.ok("submit", file)

    def ticks() -> int:
        found = [procfs.read_stat(pid) for pid in desk.pids()]
        return sum(stat.ticks for stat in found if stat is not None)

    wait_until(lambda: ticks() > 20, 40, "the container to use the processor")
    pids = desk.pids()
    assert desk.verb("pause", "forever").returncode == 0
    coordinator.wait_for("busy", {"paused": 1})
    stopped = ticks()
    beats = 0

    def beat() -> bool:
        nonlocal beats
        beats += 1
        return beats > 20

    wait_until(beat, 30, "some time to pass")
    assert ticks() == stopped
    assert desk.pids() == pids

    assert desk.verb("resume").returncode == 0
    wait_until(lambda: ticks() > stopped + 5, 40, "the container to go on")
    (save,) = (desk.data_dir / "runs").glob("*/work/distribute_save")
    (save / "go").touch()
    coordinator.wait_for("busy", {"succeeded": 1}, 60)
    results = coordinator.results / "n" / "busy" / "j"
    assert (results / "stdout.txt").read_text() == "went on\n"


def test_a_container_outlives_its_agent_and_ends_when_it_is_killed(
    coordinator: Coordinator,
    batch_file: Callable[..., Path],
    new_workstation: Make,
    tmp_path: Path,
) -> None:
    """By the other program of the two, on a computer that is said to have a GPU."""
    programs = install(tmp_path / "bin", "singularity")
    (programs / "has-a-gpu").touch()
    file = batch_file(
        "meta: {namespace: n, batch_name: long, capabilities: [gpu]}\n"
        "apptainer: {initialize: {sif: long.sif}, jobs: [{name: j}]}\n"
    )
    make_image(file.parent / "long.sif", "(sleep 600) &\nsleep 600\n")
    config = '[presence]\ndesk = false\nidle_after = "0s"\nsettle = "0s"\nac_only = false\n'
    config += "[offer]\ncpus = 2\ngpus = 1\n[jobs]\nnice = 0\n"
    desk = new_workstation("desk", config, around=around(programs))
    coordinator.verbs.ok("submit", file)
    wait_until(lambda: len(desk.pids()) >= 4, 40, "the container to have its processes")
    before = desk.pids()
    assert (programs / WORDS).read_text().startswith("run --nv --app distribute --bind ")

    desk.kill()
    desk.start()
    desk.wait_online()
    wait_until(lambda: desk.pids() == before, 40, "the same processes to be followed")
    coordinator.verbs.ok("kill", "long")
    coordinator.wait_for("long", {"killed": 1}, 60)
    wait_until(lambda: not any(map(alive, before)), 30, "all of it to have ended")


def test_a_local_run_of_containers_gives_the_same_files(
    coordinator: Coordinator,
    batch_file: Callable[..., Path],
    new_workstation: Make,
    bin_folder: Path,
    tmp_path: Path,
) -> None:
    file = batch_file(
        "meta: {namespace: n, batch_name: same}\n"
        "apptainer:\n"
        "  initialize: {sif: same.sif, required_mounts: [/output]}\n"
        "  jobs: [{name: a, required_files: [x.txt]}, {name: b}]\n"
        "resources: {cpus: 1}\n",
        **{"x.txt": "some input\n"},
    )
    script = (
        "cat /input/* >/output/all 2>/dev/null; cat /output/all >/distribute_save/all\necho $1\n"
    )
    make_image(file.parent / "same.sif", script)
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        [SCRIPT, "run", file, "--output", tmp_path / "here"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    new_workstation("desk", around=around(bin_folder))
    coordinator.verbs.ok("submit", file, "--wait")
    for name in ("a", "b"):
        for made in ("all", "stdout.txt", "stderr.txt"):
            here = (tmp_path / "here" / "n" / "same" / name / made).read_bytes()
            assert here == (coordinator.results / "n" / "same" / name / made).read_bytes()
    assert (tmp_path / "here" / "n" / "same" / "a" / "all").read_text() == "some input\n"


def test_a_container_goes_on_elsewhere_from_its_checkpoint(
    coordinator: Coordinator,
    batch_file: Callable[..., Path],
    new_workstation: Make,
    bin_folder: Path,
) -> None:
    file = batch_file(
        "meta: {namespace: n, batch_name: moved}\n"
        "apptainer: {initialize: {sif: moved.sif}, jobs: [{name: j}]}\n"
        "checkpoint: {signal: TERM, grace: 30s, files: [ckpt/]}\n"
    )
    script = (
        'box="$FALLOW_CHECKPOINT"; n=$(cat "$box/state" 2>/dev/null || echo 0)\n'
        'echo "from $n"\n'
        'save() { echo "$n" >"$box/state"; exit 0; }\n'
        "trap save TERM\n"
        "until [ -e /distribute_save/go ]; do n=$((n + 1)); sleep 0.02; done\n"
        'echo "$box $n" >/distribute_save/steps\n'
    )
    make_image(file.parent / "moved.sif", script)
    here = new_workstation("here", around=around(bin_folder))
    coordinator.verbs.ok("submit", file)

    def begun(place: Workstation) -> int | None:
        outputs = list((place.data_dir / "runs").glob("*/stdout.txt"))
        said = outputs[0].read_text() if len(outputs) == 1 else ""
        return int(said.split()[1]) if said.endswith("\n") else None

    wait_until(lambda: begun(here) == 0, 40, "the container to count")
    before = here.pids()
    assert here.verb("pause", "forever").returncode == 0
    coordinator.wait_for("moved", {"paused": 1})
    assert here.verb("eject").returncode == 0
    wait_until(lambda: not any(map(alive, before)), 40, "it to have left")
    there = new_workstation("there", around=around(bin_folder))
    from_where = wait_until(lambda: begun(there) or 0, 60, "it to go on elsewhere")
    (save,) = (there.data_dir / "runs").glob("*/work/distribute_save")
    (save / "go").touch()
    coordinator.wait_for("moved", {"succeeded": 1}, 60)
    box, steps = (coordinator.results / "n" / "moved" / "j" / "steps").read_text().split()
    assert box == "/ckpt"
    assert int(steps) >= from_where > 0
