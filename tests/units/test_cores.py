"""Which processors a run gets."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fallow.shared.work.cores import choose
from fallow.shared.work.machine import cores

PLAIN = tuple(frozenset((each,)) for each in range(4))
THREADS = tuple(frozenset((each, each + 4)) for each in range(4))


def test_the_desk_keeps_the_first_core_longest() -> None:
    assert choose(PLAIN, 1, ()) == {3}
    assert choose(PLAIN, 3, ()) == {1, 2, 3}


def test_a_core_comes_with_both_of_its_threads() -> None:
    assert choose(THREADS, 2, ()) == {2, 6, 3, 7}


def test_a_run_on_all_of_them_is_not_held_to_any() -> None:
    assert choose(PLAIN, 4, ()) == frozenset()
    assert choose(PLAIN, 9, ()) == frozenset()
    assert choose((), 1, ()) == frozenset()


def test_free_cores_come_first() -> None:
    first = choose(THREADS, 1, ())
    second = choose(THREADS, 2, [first])
    assert not first & second
    assert choose(THREADS, 1, [first, second]) == {0, 4}


@given(
    st.integers(1, 12),
    st.lists(st.integers(1, 12), max_size=12),
)
def test_runs_that_fit_together_never_share_a_core(number: int, wishes: list[int]) -> None:
    here = tuple(frozenset((each, each + number)) for each in range(number))
    taken: list[frozenset[int]] = []
    for wish in wishes:
        if sum(len(each) // 2 for each in taken) + wish > number or wish == number:
            continue
        mine = choose(here, wish, taken)
        assert len(mine) == 2 * wish
        assert not any(mine & other for other in taken)
        taken.append(mine)


def test_threads_of_one_core_are_found_together(tmp_path: Path) -> None:
    here = [number for each in cores() for number in each]
    for number in here:
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text("all of them\n")
    assert cores(tmp_path) == (frozenset(here),)
    (tmp_path / f"cpu{here[0]}" / "topology" / "thread_siblings_list").unlink()
    assert cores(tmp_path) == tuple(frozenset((each,)) for each in sorted(here))
