"""What a person reads of a job is a sentence; the desk's doctor names the file of rules."""

from pathlib import Path

import pytest

from fallow.coordinator.verbs.why import show
from fallow.shared.messages import JobStateName, WhyReply
from fallow.tray.checkup import _rules_in


@pytest.mark.parametrize(
    ("state", "words"),
    [("succeeded", "has succeeded"), ("failed", "has failed"), ("killed", "is killed")],
)
def test_a_job_that_is_over_is_told_of_in_a_sentence(
    state: JobStateName, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(WhyReply(ref="ana:sweep/j0", state=state, text="as it is"))
    assert capsys.readouterr().out.startswith(f"ana:sweep/j0 {words}: as it is")


def test_doctor_names_the_file_of_rules_that_is_not_there_yet(tmp_path: Path) -> None:
    finding, _ = _rules_in(tmp_path / "agent.toml", tmp_path)
    assert str(tmp_path / "agent.toml") in finding.text
