"""What `submit --follow` says while no job of the batch runs: once, and again when it changes."""

from fallow.coordinator.waiting import Standstill
from fallow.shared.messages import BatchStatus, JobStateName, JobStatus


def batch(*jobs: tuple[JobStateName, str | None]) -> BatchStatus:
    listed = tuple(JobStatus(f"j{at}", state, reason=why) for at, (state, why) in enumerate(jobs))
    return BatchStatus("ana", "b", "ana", 0.0, "", {}, jobs=listed)


def told(*looks: BatchStatus) -> list[str]:
    said: list[str] = []
    standstill = Standstill("ana:b", said.append)
    for each in looks:
        standstill.look(each)
    return said


def test_each_reason_once() -> None:
    drained = batch(("succeeded", None), ("queued", "dino is drained by bo"))
    offline = batch(("succeeded", None), ("queued", "dino is offline"))
    assert told(drained, drained, offline, offline) == [
        "queued: dino is drained by bo; what helps: coordinator why ana:b",
        "queued: dino is offline",
    ]


def test_not_while_one_runs_nor_for_what_is_over_in_a_moment() -> None:
    some_run = batch(("running", None), ("queued", "dino is at work on other jobs"))
    paused = batch(("paused", "dino: you are here"), ("queued", "dino: you are here"))
    soon = batch(("queued", "about to start"), ("held", "held by ana"))
    assert told(some_run, paused, soon, batch(("held", "held by ana"))) == []


def test_seconds_that_pass_are_no_news() -> None:
    looks = [batch(("queued", f"starts again in {left} s")) for left in (30, 29, 28)]
    assert len(told(*looks)) == 1


def test_what_a_cluster_has() -> None:
    assert told(batch(("exported", None)))[0].startswith("exported: a cluster has it")
