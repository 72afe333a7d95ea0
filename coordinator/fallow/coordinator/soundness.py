"""What a workstation says, looked at before anybody acts on it: hashes are hashes, numbers sane.

Not who may say it (`messages.VERBS`), nor what is listed in a manifest (`results`). One workstation
that is out of order must not bring the coordinator down for all.
"""

import math
import re
from collections.abc import Iterator

from fallow.shared.messages import (
    BuildReport,
    Bye,
    Hello,
    Malformed,
    Noticed,
    Report,
    RunReport,
    Tailed,
)
from fallow.shared.runs import Exited, Finished, Signalled, Staging

_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 1 << 60
_MOST_CPUS = 1 << 20
_LATEST = 1e11  # seconds: as a wall clock's the year 5138
_LONGEST = 100_000  # characters of a text for people
_MOST_WORDS = 1000


def check_said(message: Hello | Report | Bye | Tailed | Noticed) -> None:
    """Refuse what no workstation of ours would say; Malformed names the first such thing."""
    for problem in _problems(message):
        raise Malformed(problem)


def _problems(message: Hello | Report | Bye | Tailed | Noticed) -> Iterator[str]:
    match message:
        case Hello(resources=offer):
            if not 0 <= offer.cpus <= _MOST_CPUS:
                yield f"{offer.cpus} processors"
            for count in (offer.memory, offer.disk, offer.gpus):
                if not _is_size(count):
                    yield f"an offer of {count}"
            if len(offer.capabilities) > _MOST_WORDS:
                yield f"{len(offer.capabilities)} capabilities"
            if len(offer.not_from) > _MOST_WORDS:
                yield f"{len(offer.not_from)} people whose jobs are not wanted"
            named = (*offer.capabilities, *offer.not_from)
            for text in (message.host, message.boot, message.version, *named):
                yield from _text(text)
        case Report():
            for reason in message.verdict.reasons:
                yield from _text(reason.text)
                yield from _seconds(reason.until)
            for build in message.builds:
                yield from _build(build)
            for run in message.runs:
                yield from _run(run)
            if len(message.people) > _MOST_WORDS:
                yield f"{len(message.people)} people"
            for key in message.people:
                yield from _text(key)
        case Tailed():
            if not _is_size(message.offset) or not _is_size(message.size):
                yield f"an output of {message.size} bytes"
        case Bye() | Noticed():
            pass


def _build(build: BuildReport) -> Iterator[str]:
    if build.log is not None and not _HASH.fullmatch(build.log):
        yield "a build's log that is no hash"
    if not _is_size(build.log_size):
        yield f"a build's log of {build.log_size} bytes"
    yield from _text(build.key)
    yield from _text(build.text)


def _run(run: RunReport) -> Iterator[str]:
    yield from _seconds(run.run_seconds)
    yield from _seconds(run.paused_seconds)
    if run.progress is not None:
        yield from _seconds(run.progress.share)
    match run.state:
        case Staging(received, total):
            if not _is_size(received) or not _is_size(total):
                yield f"{received} of {total} bytes"
        case Finished() as finished:
            if finished.manifest is not None and not _HASH.fullmatch(finished.manifest):
                yield "a list of outputs that is no hash"
            if not _is_size(finished.size):
                yield f"outputs of {finished.size} bytes"
            yield from _seconds(finished.started)
            yield from _seconds(finished.ended)
            if isinstance(finished.exit, Exited) and not abs(finished.exit.code) < 1 << 32:
                yield f"exit code {finished.exit.code}"
            if isinstance(finished.exit, Signalled) and not 0 < finished.exit.signal < 1 << 16:
                yield f"signal {finished.exit.signal}"


def _is_size(count: int) -> bool:
    return 0 <= count <= _MOST_BYTES


def _seconds(value: float | None) -> Iterator[str]:
    if value is not None and not (math.isfinite(value) and 0 <= value <= _LATEST):
        yield f"a time of {value} seconds"


def _text(text: str) -> Iterator[str]:
    if len(text) > _LONGEST:
        yield f"a text of {len(text)} characters"
