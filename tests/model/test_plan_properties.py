"""What holds of every plan, whatever the queue and the workstations look like."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fallow.coordinator.keeping import keep
from fallow.coordinator.plan import (
    AFFINITY,
    Group,
    Room,
    Seat,
    explain,
    needs,
    obstacle,
    plan,
    shrink,
    unfit,
)
from fallow.shared.runs import Reason

WORDS = ("gfortran", "gpu", "python3")
NAMES = ("desk", "loft", "lab")
OFFLINE = Reason("offline", "is offline")

_batches = st.sampled_from(["b1", "b2", "b3"])


@st.composite
def groups(draw: st.DrawFn) -> list[Group]:
    found = []
    for order in range(draw(st.integers(0, 4))):
        jobs = draw(st.sets(st.integers(0, 12), max_size=6))
        found.append(
            Group(
                batch=f"b{order}",
                owner=draw(st.sampled_from(["ana", "bob"])),
                order=order,
                jobs=sorted(jobs, reverse=True),
                cpus=draw(st.none() | st.integers(1, 5)),
                memory=draw(st.none() | st.integers(1, 40)),
                capabilities=tuple(draw(st.sets(st.sampled_from(WORDS), max_size=1))),
                avoid=frozenset(draw(st.sets(st.sampled_from(NAMES), max_size=1))),
                gpus=draw(st.integers(0, 2)),
                disk=draw(st.sampled_from([0, 0, 5])),
                priority=draw(st.integers(-1, 1)),
                waited=draw(st.booleans()),
            )
        )
    return found


@st.composite
def seats(draw: st.DrawFn) -> list[Seat]:
    found = []
    for name in NAMES[: draw(st.integers(0, 3))]:
        cpus, memory = draw(st.integers(1, 4)), draw(st.integers(4, 32))
        gpus, disk = draw(st.integers(0, 2)), draw(st.integers(0, 12))
        found.append(
            Seat(
                name=name,
                closed=draw(st.sampled_from([None, None, None, OFFLINE])),
                cpus=cpus,
                memory=memory,
                free_cpus=draw(st.integers(0, cpus)),
                free_memory=draw(st.integers(0, memory)),
                capabilities=frozenset(draw(st.sets(st.sampled_from(WORDS)))),
                affine=tuple(draw(st.lists(_batches, unique=True, max_size=2))),
                failed_builds=frozenset(draw(st.sets(_batches, max_size=1))),
                gpus=gpus,
                disk=disk,
                free_gpus=draw(st.integers(0, gpus)),
                free_disk=draw(st.integers(0, disk)),
                not_from=frozenset(draw(st.sets(st.sampled_from(["ana", "eve"]), max_size=1))),
            )
        )
    return found


_used = st.dictionaries(st.sampled_from(["ana", "bob"]), st.floats(0, 1e6))


@given(groups(), seats(), _used)
def test_never_over_capacity_and_each_job_once(
    queue: list[Group], stations: list[Seat], used: dict[str, float]
) -> None:
    placements = plan(queue, stations, used)
    jobs = Counter(each.job for each in placements)
    assert all(count == 1 for count in jobs.values())
    for seat in stations:
        here = [each for each in placements if each.node == seat.name]
        assert sum(each.room.cpus for each in here) <= seat.free_cpus
        assert sum(each.room.memory for each in here) <= seat.free_memory
        assert sum(each.room.gpus for each in here) <= seat.free_gpus
        assert sum(each.room.disk for each in here) <= seat.free_disk
        assert not (here and seat.closed)
        assert all(each.room.cpus == seat.cpus for each in here if each.whole)
    by_batch = {group.batch: group for group in queue}
    at = {seat.name: seat for seat in stations}
    for each in placements:
        group = by_batch[each.job.batch]
        assert each.job.index in group.jobs
        assert each.node not in group.avoid
        assert group.owner not in at[each.node].not_from


@given(groups(), seats(), _used)
def test_what_is_kept_is_kept_for_one_that_could_start_there_were_it_idle(
    queue: list[Group], stations: list[Seat], used: dict[str, float]
) -> None:
    kept = keep(queue, stations, used)
    at = {seat.name: seat for seat in stations}
    assert len(set(kept.values())) == len(kept), "one for each"
    for name, wish in kept.items():
        (group,) = (each for each in queue if each.wish == wish)
        assert group.waited
        reason = obstacle(group, at[name])
        assert reason is not None
        assert reason.kind == "busy"
        assert all(obstacle(group, seat) is not None for seat in stations)
    seated = [replace(seat, kept_for=kept.get(seat.name)) for seat in stations]
    for each in plan(queue, seated, used):
        assert each.node not in kept or kept[each.node].batch == each.job.batch


@given(groups(), seats(), _used, st.randoms(use_true_random=False))
def test_the_same_view_gives_the_same_plan(
    queue: list[Group], stations: list[Seat], used: dict[str, float], random: object
) -> None:
    assert plan(queue, stations, used) == plan(queue, list(reversed(stations)), dict(used))


@given(groups(), seats(), _used)
def test_explain_has_a_workstation_without_an_obstacle_exactly_when_a_job_is_placed(
    queue: list[Group], stations: list[Seat], used: dict[str, float]
) -> None:
    left = {seat.name: seat for seat in stations}
    placements = plan(queue, stations, used)
    for each in placements:
        left[each.node] = shrink(left[each.node], each.room)
    placed = Counter(each.job.batch for each in placements)
    for group in queue:
        if placed[group.batch] < len(group.jobs):
            # What still waits has an obstacle everywhere, and explain names each.
            assert len(explain(group, left.values())) == len(stations)
        if len(queue) == 1 and not placed[group.batch] and group.jobs:
            assert len(explain(group, stations)) == len(stations)


@given(groups(), seats())
def test_the_first_jobs_go_first(queue: list[Group], stations: list[Seat]) -> None:
    placed: dict[str, list[int]] = {}
    for each in plan(queue, stations, {}):
        placed.setdefault(each.job.batch, []).append(each.job.index)
    for group in queue:
        mine = placed.get(group.batch, [])
        assert mine == sorted(group.jobs)[: len(mine)]


def test_a_workstation_is_kept_for_one_whose_turn_it_is_and_that_waited_long() -> None:
    small = Group("small", "ana", 0, tuple(range(99, -1, -1)), cpus=1)
    wide = Group("wide", "bob", 1, (1, 0), waited=True)
    busy = [
        Seat("a", None, 4, 16, 1, 4),
        Seat("b", None, 4, 16, 2, 8),
        Seat("c", OFFLINE, 4, 16, 3, 12),
    ]
    used = {"ana": 5000.0, "bob": 10.0}
    assert keep([small, wide], busy, used) == {"b": wide.wish}
    patient = replace(wide, waited=False)
    assert keep([small, patient], busy, used) == {}
    assert keep([small, wide], busy, {"ana": 5.0, "bob": 1e6}) == {}, "not its turn"
    idle = Seat("d", None, 4, 16, 4, 16)
    assert keep([small, wide], [*busy, idle], used) == {}, "it starts there now"
    seated = [replace(each, kept_for=wide.wish if each.name == "b" else None) for each in busy]
    assert [each.node for each in plan([small, wide], seated, used)] == ["a"]


def test_those_that_are_alike_are_looked_at_once_but_for_whom_a_job_avoids() -> None:
    group = Group("b", "ana", 0, (2, 1, 0), cpus=4, avoid=frozenset({"a"}))
    stations = [seat("a"), seat("b"), seat("c")]
    assert [each.node for each in plan([group], stations, {})] == ["b", "c"]
    none = [Seat(name, None, 4, 16, 1, 4) for name in "abcd"]
    assert plan([group], none, {}) == ()


def seat(name: str = "desk", cpus: int = 4, memory: int = 16, **more: object) -> Seat:
    return Seat(name, None, cpus, memory, cpus, memory, **more)  # type: ignore[arg-type]


def test_with_no_word_about_it_a_job_takes_the_whole_workstation() -> None:
    assert needs(Group("b", "ana", 0, (0,)), seat()) == Room(4, 16)


def test_with_processors_only_it_takes_its_share_of_the_memory() -> None:
    assert needs(Group("b", "ana", 0, (0,), cpus=1), seat()) == Room(1, 4)


def test_with_memory_only_it_takes_all_processors() -> None:
    assert needs(Group("b", "ana", 0, (0,), memory=3), seat()) == Room(4, 3)


def test_a_workstation_stays_with_the_batch_it_has_built_for() -> None:
    queue = [Group("old", "ana", 0, (1, 0)), Group("built", "bob", 1, (1, 0))]
    placements = plan(queue, [seat(affine=("built",))], {"bob": AFFINITY - 1})
    assert [each.job.batch for each in placements] == ["built"]


def test_a_build_that_is_there_does_not_keep_others_out_for_ever() -> None:
    queue = [Group("old", "ana", 0, (1, 0)), Group("built", "bob", 1, (1, 0))]
    placements = plan(queue, [seat(affine=("built",))], {"bob": AFFINITY + 1})
    assert [each.job.batch for each in placements] == ["old"]


def test_an_owners_urgent_batch_goes_before_their_others_even_where_those_are_built() -> None:
    queue = [
        Group("built", "ana", 0, (1, 0), priority=0),
        Group("urgent", "ana", 1, (0,), priority=1),
        Group("whenever", "ana", 2, (0,), priority=-1),
    ]
    placements = plan(queue, [seat("a", affine=("built",)), seat("b"), seat("c"), seat("d")], {})
    assert [each.job.batch for each in placements] == ["urgent", "built", "built", "whenever"]


def test_only_what_is_built_there_has_the_advantage_of_it() -> None:
    queue = [
        Group("built", "ana", 0, (0,)),
        Group("urgent", "ana", 1, (0,), priority=1),
        Group("other", "bob", 2, (0,)),
    ]
    used = {"ana": 100.0}
    placements = plan(queue, [seat("a", affine=("built",)), seat("b")], used)
    assert [each.job.batch for each in placements] == ["other", "urgent"]


def test_calling_everything_urgent_gains_nothing_over_others() -> None:
    queue = [
        Group("a", "ana", 0, (3, 2, 1, 0), cpus=1, priority=1),
        Group("b", "bob", 1, (3, 2, 1, 0), cpus=1, priority=-1),
    ]
    owners = [each.job.batch for each in plan(queue, [seat()], {})]
    assert owners == ["a", "b", "a", "b"]


def test_each_gpu_is_given_once() -> None:
    queue = [Group("g", "ana", 0, (2, 1, 0), cpus=1, gpus=1)]
    placements = plan(queue, [seat(gpus=2, free_gpus=2)], {})
    assert [each.room.gpus for each in placements] == [1, 1]


def test_jobs_that_leave_a_gpu_alone_run_beside_the_one_that_has_it() -> None:
    queue = [Group("g", "ana", 0, (1, 0), cpus=1, gpus=1), Group("c", "ana", 1, (0,), cpus=1)]
    placements = plan(queue, [seat(gpus=1, free_gpus=1)], {})
    assert [each.job.batch for each in placements] == ["g", "c"]


def test_owners_take_turns() -> None:
    queue = [
        Group("a", "ana", 0, (3, 2, 1, 0), cpus=1),
        Group("b", "bob", 1, (3, 2, 1, 0), cpus=1),
    ]
    owners = [each.job.batch for each in plan(queue, [seat()], {})]
    assert owners == ["a", "b", "a", "b"]


def test_who_used_much_lately_waits() -> None:
    queue = [Group("a", "ana", 0, (0,)), Group("b", "bob", 1, (0,))]
    placements = plan(queue, [seat()], {"ana": 3600.0})
    assert [each.job.batch for each in placements] == ["b"]


def test_the_oldest_batch_of_an_owner_goes_first() -> None:
    queue = [Group("young", "ana", 7, (0,)), Group("old", "ana", 3, (0,))]
    assert [each.job.batch for each in plan(queue, [seat()], {})] == ["old"]


def told(group: Group, station: Seat) -> tuple[str, str]:
    reason = obstacle(group, station)
    assert reason is not None
    return reason.kind, reason.text


def test_obstacles_say_what_is_missing_and_how_much() -> None:
    group = Group("b", "ana", 0, (0,), capabilities=("gpu",))
    assert told(group, seat()) == ("capability", "has no gpu")
    group = Group("b", "ana", 0, (0,), cpus=9)
    assert told(group, seat()) == ("cpus", "has 4 of the 9 cores it needs")
    group = Group("b", "ana", 0, (0,), memory=32 << 30)
    station = seat(memory=8 << 30)
    assert told(group, station) == ("memory", "has 8.0 GiB of the 32.0 GiB of memory it needs")
    group = Group("b", "ana", 0, (0,), gpus=2)
    assert told(group, seat()) == ("gpus", "has none of the 2 GPUs it needs")
    group = Group("b", "ana", 0, (0,), disk=1 << 40)
    station = seat(disk=1 << 30)
    assert told(group, station) == ("disk", "has 1.0 GiB of the 1.0 TiB of disk it needs")
    failed = seat(failed_builds=frozenset({"b"}))
    assert told(Group("b", "ana", 0, (0,)), failed) == ("build", "could not build it")
    shy = seat(not_from=frozenset({"ana"}))
    assert told(Group("b", "ana", 0, (0,)), shy) == ("not_from", "does not run jobs of ana")
    assert unfit(Group("b", "bob", 0, (0,)), shy) is None
