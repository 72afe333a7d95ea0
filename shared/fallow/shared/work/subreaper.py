"""Run as a program, before and after a job that has no PID namespace; imports nothing of ours.

Not part of the agent: it becomes the wrapper, and at the end the wrapper becomes it, under one
process number. The opposite is `orphans`, which looks at it from the agent.

    subreaper.py begin PROGRAM [ARG]...   takes in the orphans of all that follows, becomes PROGRAM
    subreaper.py end STATUS CODE ASKED    ends what the job left running, then says how it ended;
                                          ASKED not empty: waits for it, all were asked to end
"""

import os
import signal
import sys
import time


def begin(program: list[str]) -> None:
    import ctypes

    pr_set_child_subreaper = 36
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)
    # Python ignores these two, and what is ignored stays ignored in every program that follows.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execv(program[0], program)


def end(status: str, code: str, asked: bool) -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        for pid in below(os.getpid()) if not asked else ():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            break
        time.sleep(0.002)
    folder = os.path.dirname(status)
    while os.path.isdir(folder):
        try:
            with open(status + ".tmp", "w") as file:
                file.write(code + "\n")
            os.replace(status + ".tmp", status)
            break
        except OSError:
            # A full disk: the job's exit must not be lost for that.
            time.sleep(5)


def below(top: int) -> list[int]:
    """All processes below `top`, children first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    line = file.read()
            except OSError:
                continue
            parent = int(line[line.rindex(b")") + 2 :].split()[1])
            children.setdefault(parent, []).append(int(name))
    found = [top]
    for pid in found:
        found += children.get(pid, [])
    return found[:0:-1]


if __name__ == "__main__":
    if sys.argv[1] == "begin":
        begin(sys.argv[2:])
    else:
        end(sys.argv[2], sys.argv[3], bool(sys.argv[4]))
