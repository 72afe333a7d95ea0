"""Which GPUs a run gets, and what its programs are told about them."""

from fallow.shared.work.gpus import Gpu, choose, variables

NVIDIA = tuple(Gpu("nvidia", index, f"GPU-{index}") for index in range(3))
AMD = tuple(Gpu("amd", index) for index in range(2))


def names(chosen: tuple[Gpu, ...] | None) -> list[str] | None:
    return None if chosen is None else [each.name for each in chosen]


def test_the_first_that_are_free() -> None:
    assert names(choose(NVIDIA, 2, [])) == ["nvidia-0", "nvidia-1"]
    assert names(choose(NVIDIA, 2, ["nvidia-1"])) == ["nvidia-0", "nvidia-2"]
    assert names(choose(NVIDIA, 0, ["nvidia-1"])) == []


def test_none_is_shared() -> None:
    assert choose(NVIDIA, 2, ["nvidia-0", "nvidia-2"]) is None
    assert choose((), 1, []) is None


def test_one_job_gets_cards_of_one_kind_where_there_are_enough() -> None:
    both = (*AMD, *NVIDIA)
    assert names(choose(both, 2, ["amd-0"])) == ["nvidia-0", "nvidia-1"]
    assert names(choose(both, 2, [])) == ["amd-0", "amd-1"]
    assert names(choose(both, 4, [])) == ["amd-0", "amd-1", "nvidia-0", "nvidia-1"]


def test_a_name_for_good_is_told_where_it_is_known() -> None:
    assert variables(NVIDIA, NVIDIA[1:], hidden=True) == {"CUDA_VISIBLE_DEVICES": "GPU-1,GPU-2"}
    assert variables(NVIDIA, NVIDIA[1:], hidden=False) == {"CUDA_VISIBLE_DEVICES": "GPU-1,GPU-2"}


def test_without_a_name_the_number_depends_on_what_can_be_seen() -> None:
    assert variables(AMD, AMD[1:], hidden=False) == {"ROCR_VISIBLE_DEVICES": "1"}
    assert variables(AMD, AMD[1:], hidden=True) == {"ROCR_VISIBLE_DEVICES": "0"}


def test_who_was_given_none_is_told_so() -> None:
    every = variables((*AMD, *NVIDIA), (), hidden=False)
    assert every == {"ROCR_VISIBLE_DEVICES": "", "CUDA_VISIBLE_DEVICES": ""}
    assert variables((), (), hidden=False) == {}
    # A card that its owner only says is there has no variable.
    assert variables((Gpu("other", 0),), (), hidden=False) == {}
