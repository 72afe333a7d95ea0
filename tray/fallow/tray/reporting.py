"""What a workstation tells its coordinator about itself: its Hello and its Reports. Pure.

Not when it does (`core`, `session`) nor what it tells people (`show`).
"""

from collections.abc import Iterable

from msgspec.structs import replace

from fallow.shared.messages import PROTOCOL, Hello, Report, RunReport
from fallow.shared.moments import Moment
from fallow.shared.runs import Verdict
from fallow.shared.work import build as builds
from fallow.shared.work import phases
from fallow.shared.work.phases import Run
from fallow.shared.work.workload import Workload
from fallow.tray.session import Open
from fallow.tray.settings import Settings

# What a person has open is shown at the desk, and is nobody else's business.
_FOR_OTHERS = {
    "exclusive": "a program is open that wants this computer for itself",
    "inhibitor": "a film, a presentation or a call goes on",
}
_SAME_END = 15.0  # seconds; the end of "you are here" moves with every key


def hello(settings: Settings) -> Hello:
    """What opens a session: which computer this is, and what it offers."""
    it = settings
    return Hello(it.host, it.boot_id, PROTOCOL, it.version, it.resources)


def report(
    link: Open,
    verdict: Verdict,
    accepting: bool,
    work: Workload,
    people: Iterable[str],
    now: Moment,
) -> Report:
    """The whole truth now; `people` are the public keys of those who look at a tray here."""
    known = (builds.report(each) for each in work.builds.values())
    return Report(
        link.session,
        link.seq,
        link.heard,
        for_others(verdict),
        accepting,
        tuple(each for each in known if each is not None),
        tuple(_of_run(each, now) for each in work.runs.values()),
        tuple(sorted(set(people))),
    )


def for_others(verdict: Verdict) -> Verdict:
    """The same verdict in words that name no program of the person at the desk."""
    return Verdict(
        verdict.kind,
        tuple(
            replace(each, text=_FOR_OTHERS.get(each.kind, each.text)) for each in verdict.reasons
        ),
    )


def differs(before: Verdict, after: Verdict) -> bool:
    """Whether people or the coordinator would see a difference; a moved end by seconds is none."""
    if (before.kind, len(before.reasons)) != (after.kind, len(after.reasons)):
        return True
    return any(
        one.kind != other.kind or one.text != other.text or not _close(one.until, other.until)
        for one, other in zip(before.reasons, after.reasons, strict=True)
    )


def _of_run(run: Run, now: Moment) -> RunReport:
    ran, paused = phases.seconds(run, now)
    return RunReport(
        run.attempt,
        phases.report_state(run),
        phases.stands_still(run),
        round(ran, 3),
        round(paused, 3),
        run.progress,
    )


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) < _SAME_END
