"""What `coordinator export slurm` writes for a batch of each kind, word for word.

Run as a program, this writes those words anew, to be read before they are committed. That they
work is tested on a real SLURM, in tests/slurm.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from fallow.coordinator.slurm.classes import classify
from fallow.coordinator.slurm.readme import readme
from fallow.coordinator.slurm.script import Exported, has_build, texts
from fallow.coordinator.slurm.site import Site, parse
from fallow.shared.batchfile import loads
from fallow.shared.jobspec import paths

FOLDER = Path(__file__).parent / "slurm"

SITE: Mapping[str, object] = {
    "name": "uni",
    "partition": "cpu",
    "account": "ana_cfd",
    "modules": ["gcc/12"],
    "setup": ["ulimit -s unlimited"],
    "scratch": "$TMPDIR",
    "throttle": 50,
    "gpu": "gpus={count}",
    "capabilities": {"gfortran": {"modules": ["gfortran/12"]}, "avx2": {"constraint": "avx2"}},
}
COMMAND = """\
meta: {namespace: ana_cfd, batch_name: channel, capabilities: [gfortran, avx2]}
command:
  initialize: {run: "make -C src -j {cpus}", required_files: [src]}
  run: "./src/solver --re 1 --out distribute_save/it's.vtk"
  jobs:
    - {name: a, run: [./src/solver, "$(touch x)", "two\\nlines"], env: {RE: "a \\"b\\" 'c'"}}
    - {name: b, run: "./src/solver b", required_files: [{path: b.json, alias: case.json}]}
    - {name: "c # é", run: "true", resources: {cpus: 8, gpus: 1}, slurm: {partition: gpu}}
resources: {cpus: 2, memory: 4GiB}
limits: {run_time: 6h}
on_failure: {retries: 1, back_off: 30s}
checkpoint: {signal: USR1, grace: 2m, files: [checkpoint/, state.txt]}
slurm: {mail_user: ana@example.org, mail_type: END, hint: nomultithread, job_name: 'a "job" # 1'}
"""
PYTHON = """\
meta: {namespace: ana_cfd, batch_name: cases}
python:
  initialize: {build_file: build.py, required_files: [{path: mesh.h5, alias: data/mesh.h5}]}
  jobs:
    - {name: one, file: run.py, required_files: [{path: 1.json, alias: case.json}]}
    - {name: two, file: run.py, slurm: {time: "01:00:00"}}
on_lost: {then: wait}
priority: low
"""
APPTAINER = """\
meta: {namespace: ana_cfd, batch_name: image}
apptainer:
  initialize: {sif: solver.sif, required_files: [mesh.h5], required_mounts: [/scratch]}
  jobs:
    - {name: one, required_files: [{path: 1.json, alias: case.json}]}
    - {name: two, required_mounts: [{path: /data/tables, alias: /tables}]}
resources: {cpus: 4, memory: 8GiB, gpus: 2}
"""
CASES = {
    "command": (COMMAND, SITE),
    "python": (PYTHON, {}),
    "apptainer": (APPTAINER, SITE),
}


def words(case: str) -> str:
    text, site = CASES[case]
    loaded = loads(text, Path("batch.yaml"))
    known = parse(site, "site.toml") if site else Site()
    classes = classify(loaded.batch, loaded.expansion, known, with_build=has_build(loaded.batch))
    exported = Exported(id="ab12cd34", batch=loaded.batch, site=known, classes=classes)
    numbers = {
        path: f"{number:06}"
        for number, path in enumerate(paths(loaded.batch, loaded.expansion), start=1)
    }
    found = {**texts(exported, loaded.expansion, numbers), "README": readme(exported)}
    return "".join(f"=== {place}\n{content}" for place, content in found.items())


@pytest.mark.parametrize("case", CASES)
def test_writes_these_words(case: str) -> None:
    assert words(case) == (FOLDER / f"{case}.txt").read_text()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in CASES:
        (FOLDER / f"{name}.txt").write_text(words(name))
