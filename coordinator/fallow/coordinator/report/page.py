"""The page: what happened, in pictures and in tables that say the same, in one HTML text.

Not the pictures (`timeline`, `charts`) nor the file (`verbs.report`). Nothing on it asks for
anything from anywhere, nothing on it is a program, and every name on it is only a text.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from fallow.coordinator.report import charts, figures, timeline
from fallow.coordinator.report.history import History, Job
from fallow.coordinator.report.style import CSS, PATTERNS
from fallow.coordinator.report.words import clock, lasting, safe, safe_lines, zone

_MOST_JOBS = 10_000  # rows of the table of all jobs
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LEGEND = (
    ("running", "running"),
    ("paused", "paused"),
    ("building", "building"),
    ("staging", "staging: files on their way"),
    ("other", "jobs of other batches"),
    ("free", "free"),
    ("away", "away: its owner needs it"),
    ("off", "off: no word from it"),
)
_OUTCOMES = ("succeeded", "failed", "killed")


class Failure(Struct, frozen=True):
    """A job that failed: what was said of it, and the last lines of its error output."""

    ref: str
    attempt: int
    node: str
    why: str
    stderr: str
    wall: float | None = None


class Report(Struct, frozen=True):
    """What a page is made of; `mine` are the batches and jobs it is about, None for all."""

    title: str
    history: History
    made: float
    mine: frozenset[str] | None = None
    failures: tuple[Failure, ...] = ()
    failed: int = 0


def render(report: Report) -> str:
    """The whole page."""
    jobs = [job for job in report.history.jobs.values() if _is_mine(job, report.mine)]
    parts = [
        _head(report),
        _figures(report, jobs),
        _workstations(report),
        _times(report.history, jobs),
        _throughput(report.history, jobs),
        _batches(jobs) if report.mine is None or len({job.batch for job in jobs}) > 1 else "",
        _failures(report),
        _jobs(jobs),
        f"<footer>Made by Fallow on {safe(clock(report.made))}. Times are local:"
        f" {safe(zone(report.made))}.</footer></main></body></html>\n",
    ]
    return "".join(parts)


def figures_of(report: Report) -> dict[str, float | int | None]:
    """The numbers at the top of the page, for programs."""
    jobs = [job for job in report.history.jobs.values() if _is_mine(job, report.mine)]
    history = _only(report.history, jobs)
    counts = {outcome: sum(job.outcome == outcome for job in jobs) for outcome in _OUTCOMES}
    found = figures.distribution(figures.waits(history))
    return {
        "jobs": len(jobs),
        **counts,
        "run_seconds": round(sum(figures.run_times(history)), 3),
        "paused_share": figures.paused_share(history),
        "median_wait_seconds": found.median if found is not None else None,
        "jobs_per_hour": _per_hour(report.history, jobs),
    }


def _head(report: Report) -> str:
    history = report.history
    length = lasting(history.end - history.begin)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{safe(report.title)} · Fallow report</title><style>{CSS}</style></head><body>"
        f"{PATTERNS}<main><h1>{safe(report.title)}</h1>"
        f'<p class="soft">{safe(clock(history.begin))} to {safe(clock(history.end))} ({length})</p>'
    )


def _figures(report: Report, jobs: Sequence[Job]) -> str:
    found = figures_of(report)
    rows = [("jobs", f"{len(jobs):,}")]
    rows += [(outcome, f"{found[outcome]:,}") for outcome in _OUTCOMES if found[outcome]]
    going = len(jobs) - sum(job.outcome in _OUTCOMES for job in jobs)
    if going:
        rows.append(("not over", f"{going:,}"))
    share, wait, rate = (
        found[each] for each in ("paused_share", "median_wait_seconds", "jobs_per_hour")
    )
    rows.append(("running time in all", lasting(found["run_seconds"] or 0.0)))
    if share is not None:
        rows.append(("of its time paused", f"{share * 100:.1f} %"))
    if wait is not None:
        rows.append(("half of them waited less than", lasting(wait)))
    if rate is not None:
        rows.append(("jobs per hour", f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"))
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f'<dl class="figures">{cells}</dl>'


def _workstations(report: Report) -> str:
    history = report.history
    if not history.stations:
        return "<h2>Workstations</h2><p>None had anything to do in this time.</p>"
    with_others = any(not _is_mine_ref(each.ref, report.mine) for each in history.attempts())
    legend = "".join(
        f'<li><svg viewBox="0 0 26 13" aria-hidden="true"><rect class="{kind}" width="26"'
        f' height="13" stroke="var(--line)"/></svg>{words}</li>'
        for kind, words in _LEGEND
        if kind != "other" or with_others
    )
    columns = ("jobs", "staging", "building", "running", "paused", "free", "away", "off")
    uses = figures.uses(history)
    rows = [
        [each.name, f"{each.jobs:,}", *(lasting(getattr(each, name)) for name in columns[1:])]
        for each in uses
    ]
    total = ["in all", f"{sum(each.jobs for each in uses):,}"]
    total += [lasting(sum(getattr(each, name) for each in uses)) for name in columns[1:]]
    if len(rows) > 1:
        rows.append(total)
    picture = timeline.draw(history, report.mine)
    return (
        f'<h2>Workstations</h2><ul class="legend">{legend}</ul>{picture}'
        + _table(("workstation", *columns), rows, 1, "sum" if len(rows) > 1 else "")
        + '<p class="soft">Jobs side by side each count. Free is the time with no job there; away'
        " and off count whether a job waits there or not.</p>"
    )


def _times(history: History, jobs: Sequence[Job]) -> str:
    only = _only(history, jobs)
    parts = []
    for title, values, what, kind in (
        ("How long jobs waited to run", figures.waits(only), "waited", "staging"),
        ("How long they ran", figures.run_times(only), "ran", "running"),
    ):
        found = figures.distribution(values)
        if found is None:
            continue
        cells = (found.least, found.quarter, found.median, found.three_quarters, found.most)
        names = ("shortest", "¼ below", "half below", "¾ below", "longest")
        parts.append(
            f"<div><h3>{title}</h3>{charts.histogram(found, what, kind)}"
            + _table((*names, "mean"), [[lasting(each) for each in (*cells, found.mean)]], 0)
            + "</div>"
        )
    if not parts:
        return ""
    return f'<h2>Waits and run times</h2><div class="two">{"".join(parts)}</div>'


def _throughput(history: History, jobs: Sequence[Job]) -> str:
    buckets = figures.throughput(_only(history, jobs))
    if len(buckets) < 3:  # one or two columns say no more than the number of jobs
        return ""
    step = lasting(buckets[0].end - buckets[0].begin)
    picture = charts.columns(buckets, history.begin, history.end)
    best = max(buckets, key=lambda bucket: bucket.succeeded + bucket.failed)
    legend = "".join(
        f'<li><svg viewBox="0 0 26 13" aria-hidden="true"><rect class="{kind}" width="26"'
        f' height="13"/></svg>{words}</li>'
        for kind, words in (("succeeded", "succeeded"), ("failed", "failed or killed"))
    )
    return (
        f'<h2>Jobs done in each {step}</h2><ul class="legend">{legend}</ul>{picture}'
        f'<p class="soft">Most in one: {best.succeeded + best.failed:,}, from'
        f" {safe(clock(best.begin))}.</p>"
    )


def _batches(jobs: Sequence[Job]) -> str:
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.batch, []).append(job)
    rows = []
    for name, of_it in found.items():
        counts = [sum(job.outcome == outcome for job in of_it) for outcome in _OUTCOMES]
        rows.append(
            [
                name,
                f"{len(of_it):,}",
                *(f"{count:,}" for count in counts),
                lasting(sum(job.run_seconds for job in of_it)),
                lasting(sum(job.paused_seconds for job in of_it)),
            ]
        )
    columns = ("batch", "jobs", *_OUTCOMES, "ran", "paused")
    return f"<h2>Batches</h2>{_table(columns, rows, 1)}"


def _failures(report: Report) -> str:
    if not report.failed:
        return ""
    parts = [f"<h2>Failures ({report.failed:,})</h2>"]
    for each in report.failures:
        where = f"attempt {each.attempt} on {safe(each.node)}"
        when = f", {safe(clock(each.wall))}" if each.wall is not None else ""
        parts.append(
            f'<h3 class="fail">{safe(each.ref)}</h3><p class="soft">{safe(each.why)}; {where}'
            f"{when}</p>"
        )
        if each.stderr.strip():
            parts.append(f"<pre>{safe_lines(each.stderr)}</pre>")
        else:
            parts.append('<p class="soft">It wrote no error output.</p>')
    if len(report.failures) < report.failed:
        more = report.failed - len(report.failures)
        parts.append(f'<p class="soft">… and {more:,} more: coordinator status REF</p>')
    return "".join(parts)


def _jobs(jobs: Sequence[Job]) -> str:
    shown = jobs[:_MOST_JOBS]
    one = len({job.batch for job in shown}) == 1
    rows = (
        [
            job.ref.partition("/")[2] if one else job.ref,
            job.outcome or "not over",
            job.node,
            clock(job.started) if job.started is not None else "",
            lasting(job.run_seconds) if job.run_seconds else "",
            lasting(job.paused_seconds) if job.paused_seconds else "",
            str(job.attempts or ""),
        ]
        for job in shown
    )
    columns = ("job", "outcome", "workstation", "began", "ran", "paused", "attempts")
    left = len(jobs) - len(shown)
    more = f'<p class="soft">… and {left:,} more.</p>' if left else ""
    return (
        f"<details><summary>All {len(jobs):,} jobs</summary>{_table(columns, rows, 4)}{more}"
        "</details>"
    )


def _table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int, kind: str = ""
) -> str:
    """Every cell is a text of somebody's; of the `kind` "sum" the last row adds up the others."""
    head = "".join(
        f"<th{' class=n' if place >= numbers_from else ''}>{safe(name)}"
        for place, name in enumerate(columns)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=n' if place >= numbers_from else ''}>{safe(cell)}"
            for place, cell in enumerate(row)
        )
        for row in rows
    )
    return f'<div class="wide {kind}"><table><thead><tr>{head}<tbody>{body}</table></div>'


def _only(history: History, jobs: Sequence[Job]) -> History:
    """The history of these jobs alone."""
    refs = {job.ref for job in jobs}
    if len(refs) == len(history.jobs):
        return history
    stations = {
        name: type(station)(
            name, station.spans, [each for each in station.attempts if each.ref in refs]
        )
        for name, station in history.stations.items()
    }
    kept = {ref: job for ref, job in history.jobs.items() if ref in refs}
    return History(history.begin, history.end, stations, kept, history.submitted)


def _per_hour(history: History, jobs: Sequence[Job]) -> float | None:
    over = [job.done for job in jobs if job.done is not None]
    begins = [job.started for job in jobs if job.started is not None]
    if not over or not begins or max(over) <= min(begins):
        return None
    return len(over) / (max(over) - min(begins)) * 3600


def _is_mine(job: Job, mine: frozenset[str] | None) -> bool:
    return _is_mine_ref(job.ref, mine)


def _is_mine_ref(ref: str, mine: frozenset[str] | None) -> bool:
    return mine is None or ref in mine or ref.partition("/")[0] in mine
