"""The three kinds of batches on a real SLURM, and that they leave what `coordinator run` leaves.

The program that runs images is a stand-in (apptainer_stand_in.py), as everywhere in the tests.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from main_job.apptainer_stand_in import install, make_image
from main_job.test_run_like_submitted import tree
from slurm.cluster import NODE, Cluster
from slurm.exported import ExportedFolder, run_here

pytestmark = pytest.mark.xdist_group("slurm")
Export = Callable[..., ExportedFolder]

META = "meta: {namespace: n, batch_name: b}\nresources: {cpus: 2, memory: 64MiB}\n"
COMMAND = (
    META
    + """\
command:
  initialize:
    run: "mkdir made; cp input/base.txt made/; echo building with {cpus}"
    required_files: [base.txt, data, tool]
  required_files: [{path: "cases/{re}.txt", alias: case.txt}, {path: data, alias: tables}]
  run: "./tool made/base.txt case.txt tables/deep/x initial_files/base.txt {re} {cpus}"
  env: {RE: "re is {re}"}
  sweep: {re: [10, 20, 30]}
  name: "re{re}"
"""
)
TOOL = """\
#!/bin/sh
cat "$1" "$2" "$3" "$4"
echo "$RE $5 $6 $FALLOW_JOB $FALLOW_BATCH $FALLOW_CPUS $FALLOW_ATTEMPT" | tee distribute_save/said
ls input | sort > distribute_save/inputs
mkdir -p distribute_save/deep/empty distribute_save/deep/full
cp "$0" distribute_save/deep/full/program
ln -s ../said distribute_save/deep/link
ln -s /etc/passwd distribute_save/outside
echo own > distribute_save/stdout.txt
echo odd > 'distribute_save/odd \\ name "x"'
echo complaint >&2
test "$5" != 30
"""
PYTHON = (
    META
    + """\
python:
  initialize: {build_file: build.py, required_files: [base.txt]}
  jobs:
    - {name: one, file: run.py, required_files: [{path: cases/10.txt, alias: case.txt}]}
    - {name: two, file: run.py, required_files: [{path: cases/20.txt, alias: base.txt}]}
"""
)
BUILD = "import pathlib, sys; print(sys.argv); pathlib.Path('built').write_text('built\\n')\n"
RUN = """\
import pathlib, sys
print(sys.argv, sorted(path.name for path in pathlib.Path("input").iterdir()))
text = "".join(path.read_text() for path in sorted(pathlib.Path("input").iterdir()))
initial = pathlib.Path("initial_files/base.txt").read_text()
pathlib.Path("distribute_save/all").write_text(pathlib.Path("built").read_text() + text + initial)
"""
IMAGE = (
    META
    + """\
apptainer:
  initialize:
    sif: solver.sif
    required_files: [base.txt]
    required_mounts: [/scratch/of/job]
  jobs:
    - {name: one, required_files: [{path: cases/10.txt, alias: case.txt}]}
    - {name: two, required_mounts: [/more]}
"""
)
INSIDE = """
cat /input/base.txt > /distribute_save/read.txt
[ ! -e /input/case.txt ] || cat /input/case.txt
echo "$1 $FALLOW_JOB $FALLOW_CPUS $FALLOW_INPUT $FALLOW_OUTPUT $FALLOW_PROGRESS"
echo 0.5 > "$FALLOW_PROGRESS"
echo x > /scratch/of/job/y
[ $FALLOW_JOB = one ] || echo x > /more/y
"""


@pytest.fixture
def inputs(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("base\n")
    (tmp_path / "cases").mkdir()
    for number in (10, 20, 30):
        (tmp_path / "cases" / f"{number}.txt").write_text(f"case {number}\n")
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "x").write_text("x\n")
    (tmp_path / "tool").write_text(TOOL)
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "build.py").write_text(BUILD)
    (tmp_path / "run.py").write_text(RUN)


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("kind", ["command", "python"])
def test_the_results_are_those_of_coordinator_run(
    exported: Export, cluster: Cluster, tmp_path: Path, kind: str
) -> None:
    folder = exported({"command": COMMAND, "python": PYTHON}[kind])
    done = folder.run()
    assert done["counts"]["succeeded"] == 2, done
    there = tree(folder.results(), NODE)
    assert there == run_here(cluster, tmp_path)
    if kind == "python":
        assert there["one/all"] == b"built\nbase\ncase 10\nbase\n"
        assert there["one/stdout.txt"] == b"['./run.py', '2'] ['base.txt', 'case.txt']\n"
    else:
        assert there["re10/stdout.txt.from_job"] == b"own\n"
        assert there["re10/deep/full/program (program)"] == ""
    assert (folder.path / "results").is_dir()
    assert sorted(os.listdir(folder.path / "results")) == ["n"]


@pytest.mark.usefixtures("inputs")
def test_an_image_leaves_the_same_too(
    exported: Export, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    make_image(tmp_path / "solver.sif", INSIDE)
    folder = exported(IMAGE)
    done = folder.run()
    assert done["counts"]["succeeded"] == 2, (done, folder.path)
    there = tree(folder.results(), NODE)
    assert there == run_here(cluster, tmp_path)
    assert there["one/read.txt"] == b"base\n"


@pytest.mark.usefixtures("inputs")
def test_scratch_modules_setup_and_an_output_of_ones_own(
    exported: Export, site: Callable[[str], Path], tmp_path: Path
) -> None:
    loaded = tmp_path / "loaded"
    file = site(
        f"""\
name = "uni"
scratch = "{tmp_path}/scratch of $USER"
modules = ["gcc/12 x"]
setup = ["export FROM_SITE='a site'"]
slurm = {{nice = 5}}
[capabilities]
gfortran = {{modules = ["gfortran"]}}
avx2 = {{constraint = "avx2"}}
"""
    )
    batch = COMMAND.replace("batch_name: b", "batch_name: b, capabilities: [gfortran, avx2]")
    batch = batch.replace('"re is {re}"', '"$FROM_SITE"').replace("[10, 20, 30]", "[10]")
    folder = exported(batch + "slurm: {output: own_%a.txt}\n", "--site", file)
    text = (folder.path / "class1.sbatch").read_text()
    assert "#SBATCH --constraint=avx2\n" in text
    assert "#SBATCH --nice=5\n" in text
    # A cluster's profile would define it; `env` reaches the job as SLURM hands it on.
    module = f'() {{ echo "$@" >> {loaded}; }}'
    done = folder.call("submit.sh", env={"BASH_FUNC_module%%": module, "USER": "ana"})
    assert done.returncode == 0, done.stderr
    folder.wait()
    assert folder.collect()["counts"]["succeeded"] == 1
    assert loaded.read_text().splitlines()[:2] == ["load gcc/12 x", "load gfortran"]
    assert list((tmp_path / "scratch of ana").iterdir()) == []
    own = (folder.path / "own_0.txt").read_text()
    assert folder.output("re10") in own
    assert not (folder.path / "runs" / "000000" / "1" / "work").exists()


def test_gpus_are_asked_for_and_told(exported: Export) -> None:
    folder = exported(
        "meta: {namespace: n, batch_name: b}\nresources: {cpus: 1, gpus: 2}\n"
        'command: {jobs: [{name: a, run: "echo $FALLOW_GPUS {gpus}"}]}\n'
    )
    assert folder.run()["counts"]["succeeded"] == 1
    assert folder.output("a") == "0,1 2\n"


def test_every_generated_script_is_clean(exported: Export, tmp_path: Path) -> None:
    (tmp_path / "it's").write_text("x")
    folder = exported(
        META
        + """\
command:
  initialize: {run: "echo 'x'; true"}
  required_files: ["it's"]
  run: "echo {a}"
  sweep: {a: ["$(x)", "a'b", "c d"]}
  name: "{index}"
slurm: {job_name: "it's # odd"}
"""
    )
    programs = sorted(str(path) for path in folder.path.glob("*.sh"))
    scripts = sorted(str(path) for path in folder.path.glob("*.sbatch"))
    assert len(programs) == 8
    assert len(scripts) == 2
    for each in (*programs, *scripts):
        subprocess.run(["bash", "-n", each], check=True)
    done = subprocess.run(
        ["shellcheck", "-x", *programs, *scripts],
        cwd=folder.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    assert done.returncode == 0
