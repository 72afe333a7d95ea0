"""A job for tests: as many short-lived processes as it can, in sessions of their own.

fork_storm.py SCORE
"""

import os
import sys
import time

with open("/proc/self/oom_score_adj", "w") as score:
    score.write(sys.argv[1])
print("started", flush=True)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        break
end = time.monotonic() + 60
while time.monotonic() < end:
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            time.sleep(0.02)
        os._exit(0)
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            break
