"""What leaves the session of a job has no more of the processors than the job itself."""

from pathlib import Path

import pytest

from fallow.shared.work import procfs
from fallow.shared.work.sandbox import SandboxPlan
from fallow.shared.work.share import OwnSessions
from processes.started import Start, Started, marked, new_mark, script
from waiting import wait_until

LATE = "until [ -e on ]; do sleep 0.05; done; setsid sleep 60"
HERE = Path("/proc/self/autogroup").exists()


def niceness_of_own_sessions(run: Started, pids: set[int]) -> list[int]:
    """Of each session that these processes have made for themselves."""
    found = {}
    for pid in pids:
        stat = procfs.read_stat(pid)
        if stat is not None and stat.session != run.handle.identity.pid:
            found[stat.session] = Path(f"/proc/{pid}/autogroup").read_text().split("nice")[1]
    return [int(word) for word in found.values()]


@pytest.mark.may_skip("kernels may be built without shares for each session")
@pytest.mark.skipif(not HERE, reason="this kernel gives no session a share of its own")
def test_daemons_of_a_job_yield_like_the_job(start: Start, plan: SandboxPlan) -> None:
    mark = new_mark()
    run = start("/usr/bin/nice", "-n", "15", *script(plan, "busy_tree.py"), mark)
    run.said("started")
    wait_until(lambda: len(marked(mark)) == 20, 20, "20 processes")
    # Two of them are daemons, each in a session of its own.
    assert niceness_of_own_sessions(run, marked(mark)) == [0, 0]

    OwnSessions().relax(*run.tree.listed())
    assert niceness_of_own_sessions(run, marked(mark)) == [15, 15]


@pytest.mark.may_skip("kernels may be built without shares for each session")
@pytest.mark.skipif(not HERE, reason="this kernel gives no session a share of its own")
def test_a_session_that_is_made_later_yields_at_the_next_look(start: Start) -> None:
    run = start("/usr/bin/nice", "-n", "15", "/bin/sh", "-c", LATE)
    wait_until(run.tree.members, 20, "the shell")
    sessions = OwnSessions()
    sessions.relax(*run.tree.listed())
    (run.work / "on").touch()
    wait_until(lambda: niceness_of_own_sessions(run, set(run.tree.members())), 20, "a session")
    assert niceness_of_own_sessions(run, set(run.tree.members())) == [0]
    sessions.relax(*run.tree.listed())
    assert niceness_of_own_sessions(run, set(run.tree.members())) == [15]


def test_nothing_is_left_to_yield_after_the_end(start: Start) -> None:
    run = start("/bin/true")
    run.ending()
    OwnSessions().relax(*run.tree.listed())
    assert run.tree.members() == ()
