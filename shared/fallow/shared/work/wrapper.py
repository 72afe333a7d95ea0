"""The `sh` around every job, and the thread that starts it with what it must inherit.

Not what becomes of it (`processes`). It outlives the agent, holds none of its descriptors, and
writes the exit status as its last deed.
"""

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from fallow.shared.work import keyring, landlock
from fallow.shared.work.idle_io import yield_the_disk

# $1 status file, $2 nice value, $3 control group or empty; without a PID namespace $4 and $5 are
# the Python and the program that write the status, else $4 is empty, $5 and $6 the files for
# bubblewrap's descriptors (empty when the control group alone holds the job); then the command.
# A trap, unlike ignoring, does not reach the job. The status is one short write that nobody reads
# before the `sh` has ended, so it needs no rename, for which a shell has to start another program.
WRAPPER = """\
trap : HUP INT QUIT
trap asked=asked TERM
status=$1 nice=$2 group=$3 python=$4 ending=$5 options=$5 report=$6; shift 6
{ read -r boot </proc/sys/kernel/random/boot_id && read -r self <"/proc/$$/stat" &&
echo "$boot $self" >"$status.wrapper"; } 2>/dev/null
{ echo "$nice" >/proc/self/autogroup; } 2>/dev/null
begin() {
[ -z "$group" ] || echo 0 >"$group/cgroup.procs" || { : >"$status.astray"; exit 125; }
{ echo 500 >/proc/self/oom_score_adj; ulimit -c 0; ulimit -S -n 1024; } 2>/dev/null
}
if [ -n "$python" ]; then
( begin; exec "$@" ); code=$?
exec "$python" -I -S "$ending" end "$status" "$code" "$asked"
fi
if [ -n "$options" ]; then
( begin; exec "$@" 3<"$options" 4>"$report" ); code=$?
else
( begin; exec "$@" ); code=$?
while read -r word is <"$group/cgroup.events" && [ "$is" = 1 ]; do
[ -n "$asked" ] || echo 1 >"$group/cgroup.kill"
/bin/sleep 0.02
done 2>/dev/null
fi
trap '' HUP INT QUIT TERM
until { echo "$code" >"$status"; } 2>/dev/null || ! [ -d "${status%/*}" ]; do /bin/sleep 5; done
"""
# First process of the namespace: it ends with the job, and the kernel ends all the others with it.
# Not so when it was told (SIGTERM) that all were asked to end: a shell line dies of that at once,
# while the solver that it started still saves itself.
FIRST = """\
trap ending=1 TERM
"$@"; code=$?
while [ -n "$ending" ] && set -- /proc/[0-9]* && [ $# -gt 1 ]; do /bin/sleep 0.02; done
exit $code
"""


def start(
    wrapper: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    words: tuple[Path, Path],
    *,
    nice: int,
    processors: frozenset[int],
    confined: bool,
    own_keys: bool,
) -> "subprocess.Popen[bytes]":
    """Starts the wrapper; `words` are where stdout and stderr go on. Raises OSError.

    From a thread of its own, which takes on what the child must inherit: on Linux niceness,
    processors, keys and Landlock (`confined`) belong to the thread. That saves a preexec_fn, and
    with it the copying of this whole process.
    """
    started: list[subprocess.Popen[bytes]] = []
    failed: list[OSError] = []

    def run() -> None:
        try:
            # Only root may go back, and an agent that is nice itself has nice jobs.
            lowest = max(nice, os.getpriority(os.PRIO_PROCESS, 0))
            os.setpriority(os.PRIO_PROCESS, 0, lowest)
            if lowest > 0:
                yield_the_disk()
            if processors:
                _keep_to(processors)
            if own_keys:
                keyring.leave_keys_behind()
            if confined:
                landlock.confine_this_thread()
            with words[0].open("ab") as stdout, words[1].open("ab") as stderr:
                started.append(
                    subprocess.Popen(
                        wrapper,
                        stdin=subprocess.DEVNULL,
                        stdout=stdout,
                        stderr=stderr,
                        env=environment,
                        cwd=folder,
                        start_new_session=True,
                    )
                )
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="spawn")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return started[0]


def _keep_to(processors: frozenset[int]) -> None:
    try:
        os.sched_setaffinity(0, processors)
    except OSError:
        # One of them has been taken away meanwhile: better on all than not at all.
        pass
