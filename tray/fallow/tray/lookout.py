"""What is known about this desk, collected from all who see it, and the verdict on it.

Not the rule itself (`presence`), nor what follows for runs (`core`). Who says nothing for long is
not believed any more. Pure, like the rule.
"""

from msgspec.structs import replace

from fallow.shared.moments import Moment
from fallow.shared.runs import Verdict
from fallow.tray import wishes as by_hand
from fallow.tray.presence import Facts, Policy, Reading, disturbed, inhibiting, judge
from fallow.tray.wishes import Wishes

SILENT_AFTER = 30.0  # seconds; sensors are read every few


class Lookout:
    """One desk: tell it what was seen and wished, then `look`."""

    def __init__(self, policy: Policy, boot_id: str, now: Moment) -> None:
        self.policy = policy
        self.facts = Facts(started=now.boot)
        self.wishes = Wishes()
        self.sources: dict[str, tuple[Reading, ...]] = {}
        self._boot_id = boot_id
        self._silent_at: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._judged = self.facts
        self.judgement = judge(self.facts, policy, now)

    @property
    def verdict(self) -> Verdict:
        return self.judgement.verdict

    @property
    def accepts(self) -> bool:
        """Whether the desk and its owner allow new jobs."""
        return self.verdict.accepts and not self.wishes.finishing

    def saw(self, source: str, readings: tuple[Reading, ...], now: Moment) -> None:
        """What the sensors of one place say now."""
        self.sources[source] = readings
        self._since.setdefault(source, now.boot)
        self._silent_at[source] = now.boot + SILENT_AFTER
        self._recollect()

    def around(
        self,
        on_battery: bool | None,
        exclusive: tuple[str, ...] | None,
        foreign_cpu: float | None,
    ) -> None:
        """What else is so now; None changes nothing."""
        facts = self.facts
        self.facts = replace(
            facts,
            on_battery=facts.on_battery if on_battery is None else on_battery,
            exclusive=facts.exclusive if exclusive is None else exclusive,
            foreign_cpu=facts.foreign_cpu if foreign_cpu is None else foreign_cpu,
        )

    def lost(self, source: str) -> None:
        """One of those who see has gone, and its eyes with it."""
        self.sources.pop(source, None)
        self._silent_at.pop(source, None)
        self._since.pop(source, None)
        self._recollect()

    def drop_silent(self, now: Moment, speaks: str = "") -> None:
        """What somebody said long ago, and has not said again, says nothing about now.

        Who `speaks` this very moment is not silent, however long that was.
        """
        for source in [each for each, at in self._silent_at.items() if now.boot >= at]:
            if source != speaks:
                self.lost(source)

    def woke(self, now: Moment) -> None:
        """The computer has slept until now."""
        self.facts = replace(self.facts, woke=now.boot)

    def wish(self, wishes: Wishes, now: Moment) -> None:
        """The owner's wishes are these from now on."""
        self.wishes = wishes
        self.facts = by_hand.as_facts(wishes, self.facts, now, self._boot_id)

    def obey(self, policy: Policy) -> None:
        """These are the owner's rules from now on."""
        if policy != self.policy:
            self.policy = policy
            # The facts are the same, and yet the verdict is out of date.
            self.facts = replace(self.facts)

    def drop_over(self, now: Moment) -> bool:
        """Forget the wishes that are over; whether there were any."""
        held = by_hand.still_held(self.wishes, now, self._boot_id)
        if held is self.wishes:
            return False
        self.wish(held, now)
        return True

    def outdated(self, now: Moment) -> bool:
        """Whether the verdict may be another one by now."""
        again_at = self.judgement.again_at
        return self.facts is not self._judged or (again_at is not None and now.boot >= again_at)

    def look(self, now: Moment) -> None:
        """Judge anew."""
        if disturbed(self._judged, self.policy) and not disturbed(self.facts, self.policy):
            self.facts = replace(self.facts, undisturbed=now.boot)
        self._judged = self.facts
        self.judgement = judge(self.facts, self.policy, now)

    def deadline(self) -> float | None:
        """When it is to be looked again although nothing new was said, in boot-clock seconds."""
        due = [self.judgement.again_at, *self._silent_at.values()]
        return min((each for each in due if each is not None), default=None)

    def _recollect(self) -> None:
        readings = tuple(reading for each in self.sources.values() for reading in each)
        # Who logs in brings a tray that has seen nothing of it.
        new = (self._since[source] for source, each in self.sources.items() if _saw_nobody(each))
        self.facts = replace(
            self.facts,
            readings=readings,
            watched=max(new, default=None),
            inhibitors=inhibiting(readings),
        )


def _saw_nobody(readings: tuple[Reading, ...]) -> bool:
    """Whether keyboard and mouse are watched here, and no input was ever seen."""
    eyes = [each for each in readings if each.healthy and each.kind == "input"]
    return bool(eyes) and all(each.last_activity is None for each in eyes)
