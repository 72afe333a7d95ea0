"""A stand-in for a computer with more cores: runs the script it is given, with 16 to offer.

Not a test. Only what an agent offers is changed; the processors stay as few as they are.
"""

import os
import runpy
import sys

from fallow.shared.work import machine

CORES = 16

if __name__ == "__main__":
    setattr(machine, "physical_cores", lambda: CORES)  # noqa: B010 - a stand-in, on purpose
    setattr(os, "cpu_count", lambda: CORES)  # noqa: B010
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
