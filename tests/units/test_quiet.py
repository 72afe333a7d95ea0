"""Nobody outside fills the log."""

from fallow.shared.quiet import Quiet


def test_a_subject_is_due_again_only_after_its_time() -> None:
    quiet = Quiet(every=60)
    assert quiet.due("ana", 0.0)
    assert not quiet.due("ana", 59.9)
    assert quiet.due("bo", 59.9)
    assert quiet.due("ana", 60.0)


def test_ever_new_subjects_are_let_through_up_to_a_number() -> None:
    quiet = Quiet(every=60, most=10)
    assert sum(quiet.due(number, number / 1000) for number in range(5000)) == 10
    assert quiet.due("later", 61.0)
    assert sum(quiet.due(number, 61.0) for number in range(5000)) == 9
