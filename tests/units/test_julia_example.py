"""The example sweep by hand: its build, one job, and the picture made of it."""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from fallow.shared.batchfile import load

EXAMPLE = Path(__file__).parents[2] / "examples/julia"


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode()


def test_a_tile_and_the_picture(tmp_path: Path) -> None:
    work, job = tmp_path / "work", tmp_path / "radius1.01_angle65"
    (work / "distribute_save").mkdir(parents=True)
    (work / "input").mkdir()
    (work / "input/code").symlink_to(EXAMPLE / "code")
    line = load(EXAMPLE / "batch.yaml").expansion.concrete(5, 1).run
    assert line == "python3 input/code/tile.py --angle 65 --radius 1.01"
    assert "1024 colours" in run(work, "input/code/make_palette.py")
    said = run(work, *line.split()[1:], "--size", "24")
    assert said.count("\nrow ") == 24
    (work / "distribute_save").rename(job)
    numbers = json.loads((job / "numbers.json").read_text())
    assert (numbers["angle"], numbers["radius"]) == (65, 1.01)
    run(tmp_path, str(EXAMPLE / "assemble.py"), ".", "-o", "sweep.png")
    with Image.open(job / "tile.png") as tile:
        assert tile.size == (24, 24)
        with Image.open(tmp_path / "sweep.png") as sweep:
            sweep.load()
            place = sweep.width - 14 - 24, sweep.height - 14 - 24
            part = sweep.crop((*place, place[0] + 24, place[1] + 24))
            assert part.tobytes() == tile.convert("RGB").tobytes()
            assert len(part.getcolors(24 * 24) or ()) > 50
