"""What one build makes for many jobs: it works in every one of them, and none sees another's.

Not builds that fail (test_real_endings.py) or are cut off (test_real_crashes.py).
"""

import json
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallow.shared.work import ground
from main_job.conftest import Coordinator
from main_job.real import WAITS, Group, Sandbox, config, one_job
from waiting import wait_until

# A library found by an absolute path in the program, a virtual environment, a script that names its
# interpreter, and a file that jobs change: none of these may move, or be shared.
BUILD = """\
set -e
mkdir lib
echo 'int answer(void) { return 42; }' > answer.c
gcc -shared -fPIC -o lib/libanswer.so answer.c
printf '#include <stdio.h>\\nint answer(void);\\nint main(void) { printf("%%d\\\\n", answer()); }\\n' > tool.c
gcc -o tool tool.c -Llib -lanswer -Wl,-rpath,"$PWD/lib"
/usr/bin/python3 -m venv --without-pip env
printf '#!%s/env/bin/python\\nimport sys; print(sys.prefix == "%s/env")\\n' "$PWD" "$PWD" > script
chmod +x script
echo built > state
"""  # noqa: E501
RUN = (
    "cp state distribute_save/before; echo {i} >> state; ./tool; ./script; echo up; "
    f"{WAITS}; cp state distribute_save/after; rm -r lib"
)
TEXT = f"""\
meta: {{namespace: ana, batch_name: b}}
command:
  initialize: {{run: "sh ./build.sh", required_files: [build.sh]}}
  run: {json.dumps(RUN)}
  sweep: {{i: [1, 2, 3]}}
  name: j{{i}}
resources: {{cpus: 1, memory: 256MiB}}
"""


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


@pytest.mark.parametrize("sandbox", ["hidden", "bare", "plain"])
def test_what_must_not_move_works_in_every_job_and_is_its_own(
    group: Group, sandbox: Sandbox
) -> None:
    place = group.workstation(configuration=config(sandbox=sandbox), sandbox=sandbox)
    group.submit(TEXT, **{"build.sh": BUILD})
    # Without bubblewrap all copies are at one place, so there is one at a time.
    in_place = sandbox == "plain" or (sandbox == "bare" and bool(ground.probe().folder))
    left, together = 3, 1 if in_place else 2
    while left:
        now = min(together, left)

        def all_up(number: int = now) -> bool:
            said = [each.read_text() for each in (place.data_dir / "runs").glob("*/stdout.txt")]
            return sum("up" in each for each in said) >= number

        wait_until(all_up, 60, f"{now} jobs side by side")
        done = 3 - left + now
        place.let_go(now)
        wait_until(
            lambda number=done: succeeded(group) == number,  # type: ignore[misc]
            60,
            "those to succeed",
        )
        left -= now
    for number in (1, 2, 3):
        folder = group.coordinator.results / f"ana/b/j{number}"
        assert (folder / "stdout.txt").read_text() == "42\nTrue\nup\n"
        assert (folder / "before").read_text() == "built\n"
        assert (folder / "after").read_text() == f"built\n{number}\n"


def succeeded(group: Group) -> int:
    (batch,) = group.coordinator.verbs.json("status", "b")["batches"]
    assert batch["counts"]["failed"] == 0
    return int(batch["counts"]["succeeded"])


def test_a_folder_of_programs_outside_the_system_can_be_lent_to_jobs(
    group: Group, tmp_path: Path
) -> None:
    conda = tmp_path / "opt" / "conda"
    venv.create(conda, symlinks=False)
    packages = conda / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    (packages / "physics.py").write_text("G = 6.674e-11\n")
    (conda / "bin/solve").write_text(
        f"#!{conda}/bin/python3\nimport physics, sys\nprint(physics.G, sys.prefix)\n"
    )
    (conda / "bin/solve").chmod(0o755)
    lent = str(Path(sys.base_prefix))
    text = config(read_only=conda).replace(
        f"read_only = {json.dumps([str(conda)])}", f"read_only = {json.dumps([str(conda), lent])}"
    )
    group.workstation(configuration=text)
    line = (
        f"PATH={conda}/bin:$PATH; solve; touch {conda}/mine || echo cannot; "
        f"ls {tmp_path}/opt; ls {tmp_path} | wc -l"
    )
    group.submit(one_job(line))
    group.wait_for_state("b", "succeeded")
    said = (group.coordinator.results / "ana/b/j/stdout.txt").read_text()
    assert said == f"6.674e-11 {conda}\ncannot\nconda\n1\n"
    assert not (conda / "mine").exists()
