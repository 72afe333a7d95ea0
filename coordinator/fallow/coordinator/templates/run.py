"""One job: `python3 run.py <cpus>`, with its own work folder as current folder.

Not a part of Fallow but of the batch that `coordinator template python` writes. input/ has the
job's files, and what is in distribute_save/ at the end is its result.
"""

import os
import sys
from pathlib import Path

processors = int(sys.argv[1])
primes = list(map(int, Path("primes.txt").read_text().split()))
Path(os.environ["FALLOW_PROGRESS"]).write_text("0.5 adding up")
Path("distribute_save/sum.txt").write_text(f"{sum(primes)}\n")
print(os.environ["FALLOW_JOB"], "ran with", processors, "processors")
