"""The picture of `status --watch`: what is on it, and that it fits the terminal."""

import io

from rich.console import Console

from fallow.coordinator.screen import Screen, most_wanted, progress
from fallow.shared.messages import BatchStatus, JobStatus


def a_batch(
    name: str = "b", state: str = "running", submitted: float = 0.0, *jobs: JobStatus
) -> BatchStatus:
    counts = {"queued": 1, "running": 2, "succeeded": 1}
    return BatchStatus("ana", name, "ana", submitted, state, counts, 60.0, jobs or None)


def shown(*batches: BatchStatus, width: int = 100, height: int = 24, trouble: str = "") -> str:
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, record=True
    )
    with Screen(console) as screen:
        screen.show(batches, trouble)
    text = console.export_text()
    # It is drawn once more when it ends.
    return text[text.rfind(" batch ") + 1 :]


def test_a_job_takes_one_line_whatever_it_is_called() -> None:
    long = "x" * 100
    jobs = [
        JobStatus(f"{number}{long}", "running", workstation=long, reason=long, progress=0.5)
        for number in range(5)
    ]
    text = shown(a_batch("b", "running", 0.0, *jobs))
    lines = [line for line in text.splitlines() if "50 %" in line]
    assert len(lines) == 5
    assert all(len(line) <= 100 and "…" in line for line in lines)
    assert all("running" in line for line in lines)


def test_texts_of_others_do_not_steer_the_terminal() -> None:
    job = JobStatus("j", "paused", workstation="w", reason="\x1b[2J[bold]here[/bold]")
    text = shown(a_batch("b", "running", 0.0, job))
    assert "\x1b" not in text
    assert "[bold]" in text


def test_the_bar_counts_what_running_jobs_say() -> None:
    jobs = [JobStatus("a", "running", progress=0.5), JobStatus("b", "running")]
    assert progress(a_batch("b", "running", 0.0, *jobs)) == 1.5
    assert "38 %" in shown(a_batch("b", "running", 0.0, *jobs))


def test_nobody_answers() -> None:
    assert "nobody there; trying again" in shown(a_batch(), trouble="nobody there; trying again")
    assert "No batches yet" in shown()


def test_what_goes_on_comes_before_what_is_over() -> None:
    batches = [
        a_batch(f"b{place}", "succeeded" if place % 3 else "running", float(place))
        for place in range(30)
    ]
    picked = most_wanted(batches, 12)
    assert len(picked) == 12
    assert [batch for batch in picked if batch.state == "running"] == batches[::3]
    assert [batch.submitted for batch in picked if batch.state == "succeeded"] == [28.0, 29.0]
    text = shown(*batches, height=18)
    assert "… and 18 more" in text
    assert len(text.splitlines()) <= 17
