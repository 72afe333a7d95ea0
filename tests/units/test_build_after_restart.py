"""A build whose work folder was being made, or was ready, when the agent died, is placed anew."""

import pytest

from fallow.shared.messages import Argv, BuildSpec, JobSpec
from fallow.shared.moments import Moment
from fallow.shared.work import build as builds
from fallow.shared.work import phases, run_words

NOW = Moment(1000.0, 5000.0)
JOB = JobSpec(
    namespace="ana",
    batch="sweep",
    job="j0",
    owner="ana",
    action=Argv(("true",)),
    cpus=1,
    build=BuildSpec("k", Argv(("make",))),
)


@pytest.mark.parametrize("frozen", [False, True])
def test_it_is_placed_again(frozen: bool) -> None:
    build = builds.start("b1", JOB, frozen=frozen).build
    if frozen:
        build = builds.handle(build, run_words.Placed(), NOW).build
        assert isinstance(build.state, builds.Working)
        assert build.state.run.phase == phases.Held()
    step = builds.handle(build, run_words.Restarted(), NOW)
    assert step.effects == (run_words.Place(),)
    step = builds.handle(step.build, run_words.Placed(), NOW)
    assert isinstance(step.build.state, builds.Working)
    expected = phases.Held() if frozen else phases.Starting()
    assert step.build.state.run.phase == expected
