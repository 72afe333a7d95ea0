"""What trays and commands of this computer ask of its agent: whether they may, and the answer.

Not the socket (`local_server`) nor what follows from a wish (`core`). Everybody may look, some may
pause, few may write the rules (`rights`).
"""

from collections.abc import Callable, Collection
from pathlib import Path

from msgspec.structs import replace

from fallow.shared.errors import FallowError
from fallow.tray import core_words as words
from fallow.tray import farewell, preferences, rights
from fallow.tray.config import Config, loads, read_text
from fallow.tray.local import (
    Activity,
    AskConfig,
    AskStatus,
    ConfigIs,
    Configure,
    Done,
    Eject,
    Finish,
    Here,
    Leave,
    LendFor,
    LocalReply,
    LocalRequest,
    PauseFor,
    Rejoined,
    Resume,
    Shown,
    StatusIs,
    Subscribe,
)
from fallow.tray.local_server import Visitor
from fallow.tray.presence import Reading
from fallow.tray.rights import Person
from fallow.tray.status import AgentStatus
from fallow.tray.wishes import LONGEST

_MOST_KEYS = 20


class Answers:
    """Answers each request of a visitor.

    `kept` says whether the last wish is on disk. `check` raises FallowError for rules that cannot
    be, `obey` follows new ones and returns what there is to say about that; `seated` are the users
    with a session at a seat of this computer.
    """

    def __init__(
        self,
        *,
        agent: int,
        seated: Callable[[], Collection[int]],
        step: Callable[[words.Event], None],
        status: Callable[[], AgentStatus],
        kept: Callable[[], bool],
        file: Path,
        check: Callable[[Config], object],
        obey: Callable[[Config], str],
        rejoin: Callable[[], None],
    ) -> None:
        self._agent = agent
        self._seated = seated
        self._step = step
        self._status = status
        self._kept = kept
        self._file = file
        self._check = check
        self._obey = obey
        self._rejoin = rejoin

    def may_change(self, person: Person) -> bool:
        """Whether this person may pause and resume here."""
        return rights.may_change(person, self._agent, self._seated())

    def gone(self, visitor: Visitor) -> None:
        """What this visitor saw is not seen any more."""
        self._step(words.SourceGone(visitor.name))

    def answer(self, visitor: Visitor, request: LocalRequest) -> LocalReply | None:
        """The reply, None where there is none; FallowError for what cannot be, or may not."""
        match request:
            case AskStatus() | Subscribe():
                may = self.may_change(visitor.person)
                return StatusIs(replace(self._status(), may_change=may))
            case AskConfig():
                return self._rules(visitor.person)
            case Activity(readings, on_battery):
                if self.may_change(visitor.person):
                    # Freezes before this returns.
                    readings = tuple(self._vouched(each, visitor.person) for each in readings)
                    self._step(words.Seen(visitor.name, readings, on_battery))
                return None
            case Here(keys):
                # The kernel knows whose account it is; which keys are theirs, only they do.
                visitor.keys = tuple(
                    f"uid:{visitor.person.uid}" if key == "uid" else key
                    for key in keys[:_MOST_KEYS]
                    if not key.startswith("uid:")
                )
                self._step(words.PeopleCame(visitor.name, visitor.keys))
                return None
            case Shown(number):
                self._step(words.NoticeShown(number))
                return None
            case Configure(changes):
                if not rights.is_administrator(visitor.person, self._agent):
                    raise rights.refuse_rules()
                return Done(self._configure(changes))
            case Rejoined():
                if not rights.is_administrator(visitor.person, self._agent):
                    raise rights.refuse_rules()
                self._rejoin()
                return Done("joined")
            case Leave():
                if visitor.person.uid not in {0, self._agent} or visitor.person.job:
                    raise rights.refuse_change()
                self._step(words.LeaveAsked(farewell.LONGEST))
                return Done("the jobs are given back")
            case PauseFor() | Resume() | LendFor() | Eject() | Finish():
                if not self.may_change(visitor.person):
                    raise rights.refuse_change()
                done = self._wished(request)
                if not self._kept():
                    raise FallowError(
                        "It is so now, but only until Fallow or this computer is started anew",
                        "What you asked for cannot be written to the disk.",
                        "make room on the disk, then ask again",
                    )
                return done

    def _wished(self, request: PauseFor | Resume | LendFor | Eject | Finish) -> Done:
        match request:
            case PauseFor(seconds):
                if seconds is not None and not 0 < seconds <= LONGEST:
                    raise FallowError(f"A pause of {seconds:g} seconds cannot be")
                self._step(words.PauseAsked(seconds))
                return Done("paused")
            case LendFor(seconds):
                if not 0 < seconds <= LONGEST:
                    raise FallowError(f"A computer cannot be lent for {seconds:g} seconds")
                self._step(words.LendAsked(seconds))
                return Done("lent")
            case Eject():
                self._step(words.EjectAsked())
                return Done("the jobs leave")
            case Finish():
                self._step(words.FinishAsked())
                return Done("no more jobs after these")
            case Resume():
                self._step(words.ResumeAsked())
                return Done("resumed")

    def _vouched(self, reading: Reading, person: Person) -> Reading:
        """Whom the agent does not know speaks for one session only, and never says: nobody is here.

        A film counts whoever tells of it; it can only keep jobs away.
        """
        if person.uid in {0, self._agent} or reading.kind == "inhibitor":
            return reading
        cover = reading.covers
        own = cover is not None and not cover.everything and cover.uid == person.uid
        if reading.kind == "input" and own:
            return replace(reading, vacant=False, desks=())
        why = "it speaks for more than its own session"
        return Reading(reading.sensor, reading.kind, False, why)

    def _rules(self, person: Person) -> ConfigIs:
        values = preferences.shown(read_text(self._file), str(self._file))
        mine = rights.is_administrator(person, self._agent)
        return ConfigIs(values, str(self._file), mine and preferences.writable(self._file))

    def _configure(self, changes: preferences.Changes) -> str:
        """Write these into the file and obey them; what has to be said about that."""
        text = preferences.changed(read_text(self._file), changes, str(self._file))
        config = loads(text, str(self._file))
        self._check(config)
        preferences.write(self._file, text)
        return self._obey(config)
