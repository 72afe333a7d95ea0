"""The program of docs/batch-file.md that saves itself does what the page says."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "batch-file.md"


def test_the_job_of_the_page_goes_on_where_it_was(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (example,) = [each for each in blocks if "FALLOW_CHECKPOINT" in each]
    program = example.replace("step += 1", "step += 1; print(step, flush=True)")
    box, out = tmp_path / "checkpoint", tmp_path / "out"
    box.mkdir()
    out.mkdir()
    env = {**os.environ, "FALLOW_CHECKPOINT": str(box), "FALLOW_OUTPUT": str(out)}
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        for _ in range(20):
            first.stdout.readline()
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
    saved = int((box / "state").read_text())
    assert 20 <= saved < 200
    assert not (out / "steps").exists()
    second = subprocess.run(words, env=env, stdout=subprocess.PIPE, text=True, timeout=60)
    assert second.stdout.split()[0] == str(saved + 1)
    assert (out / "steps").read_text() == "200"
