"""The Python of docs/python.md, as it stands there, against a real coordinator and workstation."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from main_job.conftest import Coordinator
from main_job.real import Group

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
MODEL = """
import argparse, pathlib
words = argparse.ArgumentParser()
words.add_argument("--speed", type=int)
words.add_argument("--angle", type=int)
said = words.parse_args()
out = pathlib.Path("distribute_save")
(out / "table.csv").write_text(f"speed,force\\n{said.speed},{said.speed ** 2}\\n")
(out / "drag.txt").write_text(str(said.speed ** 2 * (1 + said.angle / 10)))
print("drag of", said.speed, said.angle)
"""


@pytest.fixture
def group(coordinator: Coordinator) -> Iterator[Group]:
    with Group(coordinator) as made:
        yield made


def test_the_page_works_as_it_stands(group: Group, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 7
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.py").write_text(MODEL)
    (folder / "page.py").write_text("\n".join(blocks))
    group.workstation("lab")
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=folder,
        env={
            **os.environ,
            "FALLOW_COORDINATOR": str(group.coordinator.data_dir),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "run: python3 model.py" in done.stdout or 'run: "python3 model.py' in done.stdout
    assert "drag of 20 5" in done.stdout
    assert "40 10 3200.0" in done.stdout
    assert "9 succeeded" in done.stderr
    tries = folder / "try" / "ana_cfd" / "drag_01"
    results = folder / "results" / "ana_cfd" / "drag_01"
    assert {each.name for each in tries.iterdir()} == {each.name for each in results.iterdir()}
