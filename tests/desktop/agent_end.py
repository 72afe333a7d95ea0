"""The agent's end of the local socket, which says whatever status a test wants.

Not an agent: it judges nothing and runs nothing. The socket and its words are the real ones, and so
is what it says to Preferences.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from fallow.shared.clock import SystemClock
from fallow.shared.loop import Loop
from fallow.tray import local, preferences
from fallow.tray.local_server import LocalServer, Visitor
from fallow.tray.status import AgentStatus

RULES = "agent.toml"
HANG = AgentStatus("idle", "online", "away", host="hang")


class Heard(NamedTuple):
    """One request: of which connection, at which boot-clock second; None when it has gone."""

    who: str
    at: float
    request: local.LocalRequest | None


class AgentEnd:
    """Serves in a thread; `heard` is everything that came so far, `refuse` what it says no to.

    `rules` is the text of its agent.toml, which it says is in `file`; `writable` says whether that
    may be changed.
    """

    def __init__(self, data_dir: Path, status: AgentStatus | None = None) -> None:
        self.data_dir = data_dir
        self.status = status or AgentStatus("idle", "online", "away")
        self.heard: list[Heard] = []
        self.refuse: type[local.LocalRequest] | None = None
        self.rules = ""
        self.file = data_dir / RULES
        self.writable = True
        self._ended = False
        self._go_on = threading.Event()
        self._clock = SystemClock()
        self._loop: Loop[AgentStatus | tuple[str, local.NoticeIs]] = Loop(
            self._clock, on_event=self._publish, on_turn=lambda: None, deadline=lambda: None
        )
        self._server = LocalServer(data_dir, on_request=self._answer, on_gone=self._gone)
        self._thread = threading.Thread(target=self._loop.run, daemon=True)

    def __enter__(self) -> Self:
        self._server.watch(self._loop)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends as an agent does that is stopped: every connection closes."""
        if self._ended:
            return
        self._ended = True
        self._loop.stop()
        self._thread.join(5)
        self._server.close()

    def say(self, status: AgentStatus) -> None:
        """Publishes this from now on."""
        self._loop.post(status)

    def tell(self, key: str, notice: local.NoticeIs) -> None:
        """Passes this on to who has that public key."""
        self._loop.post((key, notice))

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """While it lasts, the agent's loop stands still and reads nothing."""
        self._loop.post(HANG)
        try:
            yield
        finally:
            self._go_on.set()

    def said(self, kind: type) -> list[local.LocalRequest]:
        """The requests of one kind, in order."""
        came = (each.request for each in self.heard)
        return [request for request in came if request is not None and isinstance(request, kind)]

    def _publish(self, status: AgentStatus | tuple[str, local.NoticeIs]) -> None:
        if isinstance(status, tuple):
            self._server.show(*status)
            return
        if status is HANG:
            self._go_on.wait(60)
            return
        self.status = status
        self._server.publish(status)

    def _answer(self, visitor: Visitor, request: local.LocalRequest) -> local.LocalReply | None:
        self.heard.append(Heard(visitor.name, self._clock.now().boot, request))
        if self.refuse is not None and isinstance(request, self.refuse):
            return local.CannotBe("This cannot be", "So says the test.", "ask for less")
        if isinstance(request, local.Here):
            visitor.keys = request.keys
        if isinstance(request, local.AskConfig):
            values = preferences.shown(self.rules, RULES)
            return local.ConfigIs(values, str(self.file), self.writable)
        if isinstance(request, local.Configure):
            self.rules = preferences.changed(self.rules, request.changes, RULES)
        if isinstance(request, local.AskStatus | local.Subscribe):
            return local.StatusIs(self.status)
        unanswered = local.Activity | local.Here | local.Shown
        return None if isinstance(request, unanswered) else local.Done()

    def _gone(self, visitor: Visitor) -> None:
        self.heard.append(Heard(visitor.name, self._clock.now().boot, None))
