"""What a run is started with, as its owner's rules have it."""

from pathlib import Path
from typing import Literal

import pytest

from fallow.shared.ids import AttemptId
from fallow.shared.messages import Argv, JobSpec
from fallow.shared.work.launch import order_of
from fallow.shared.work.sandbox import SandboxPlan
from fallow.shared.work.settings import Jobs

JOB = JobSpec("ana", "sweep", "j", "ana", Argv(("true",)), 1, 1 << 30)


@pytest.mark.parametrize("sandbox", ["auto", "bubblewrap", "none"])
def test_keys_stay_behind_unless_jobs_may_read_all(
    sandbox: Literal["auto", "bubblewrap", "none"],
) -> None:
    # The plan of a container, which is in no bubblewrap.
    plan = SandboxPlan("plain", "/work", "/scratch")
    order = order_of(AttemptId("b", 1, 1), JOB, plan, Path("/run"), Jobs(sandbox, nice=7))
    assert order.own_keys == (sandbox != "none")
    assert order.nice == 7
