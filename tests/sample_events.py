"""An event stream of a made-up group, as a coordinator would have told it: for reports.

Not a coordinator. Always the same for the same arguments.
"""

import random

from fallow.shared.messages import Happening

STATES = ("staging", "building", "running")


class Stream:
    """Events in the order of their time, numbered."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str, str, str, int, str, float, float]] = []

    def say(
        self,
        wall: float,
        kind: str,
        ref: str = "",
        node: str = "",
        attempt: int = 0,
        text: str = "",
        run: float = 0.0,
        paused: float = 0.0,
    ) -> None:
        self.events.append((wall, kind, ref, node, attempt, text, run, paused))

    def told(self) -> list[Happening]:
        ordered = sorted(self.events, key=lambda event: event[0])
        return [Happening(number, *event) for number, event in enumerate(ordered, start=1)]


def a_group_at_work(
    begin: float, jobs: int = 120, desks: int = 5, length: float = 600.0, seed: int = 1
) -> list[Happening]:
    """Two batches on desks whose owners come and go; jobs of about `length` seconds."""
    dice = random.Random(seed)
    stream = Stream()
    batches = ("ana_cfd:channel_sweep", "bo:spectra_2026")
    for place, batch in enumerate(batches):
        stream.say(begin + place * length, "submitted", batch, text=f"{jobs} jobs by ana")
    queue = [f"{batches[index % 2]}/re{100 + index}" for index in range(jobs)]
    lanes = []
    end = begin
    for desk in range(desks):
        name = f"desk-{desk + 1:02d}"
        stream.say(begin - 0.5, "online", node=name)
        stream.say(begin - 0.4, "verdict", node=name, text="away: ")
        lanes += [(begin + dice.random() * 5, name) for _ in range(1 + desk % 3)]
    pauses: dict[str, list[tuple[float, float]]] = {}
    for _, name in lanes:
        if name in pauses:
            continue
        at, found = begin + dice.random() * 8 * length, []
        for _ in range(3):
            lasting = dice.uniform(0.5, 3.0) * length
            found.append((at, at + lasting))
            stream.say(at, "verdict", node=name, text="present: you are here")
            stream.say(at + lasting, "verdict", node=name, text="away: ")
            at += lasting + dice.uniform(4, 12) * length
        pauses[name] = found
    while queue:
        lanes.sort()
        at, name = lanes.pop(0)
        blocked = [off for on, off in pauses[name] if on <= at < off]
        if blocked:
            lanes.append((blocked[0] + dice.random(), name))
            continue
        ref = queue.pop(0)
        at = _one_job(stream, dice, ref, name, at, length, pauses[name])
        end = max(end, at)
        lanes.append((at + dice.uniform(0.1, 0.02 * length), name))
    stream.say(end + length, "offline", node="desk-01", text="shutdown")
    return stream.told()


def _one_job(
    stream: Stream,
    dice: random.Random,
    ref: str,
    name: str,
    at: float,
    length: float,
    pauses: list[tuple[float, float]],
) -> float:
    stream.say(at, "assigned", ref, name, 1)
    at += dice.uniform(0.005, 0.03) * length
    if dice.random() < 0.06:
        stream.say(at, "building", ref, name, 1)
        at += dice.uniform(0.2, 0.6) * length
    stream.say(at, "running", ref, name, 1)
    run = dice.lognormvariate(0, 0.45) * length
    left, paused = run, 0.0
    for on, off in pauses:
        if at <= on < at + left:
            left -= on - at
            stream.say(on, "paused", ref, name, 1)
            stream.say(off, "resumed", ref, name, 1)
            paused += off - on
            at = off
    at += left
    fails = dice.random() < 0.05
    stream.say(at, "ending", ref, name, 1)
    at += 0.01 * length
    stream.say(at, "finished", ref, name, 1, run=run, paused=paused)
    stream.say(at + 0.01, "ended", ref, name, 1, "failed: exit code 2" if fails else "succeeded")
    stream.say(at + 0.02, "done", ref, text="failed" if fails else "succeeded")
    return at + 0.02
