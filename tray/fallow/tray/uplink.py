"""The agent's connection to its coordinator: messages in the loop's thread, blobs in their own.

Not what is said (`core`) nor which coordinator it is (`membership`). Opposite: the coordinator's
`reception` and `transfer.server`.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fallow.shared import addresses
from fallow.shared.blobs import BlobStore
from fallow.shared.clock import Clock
from fallow.shared.loop import Loop
from fallow.shared.messages import AgentMessage, Malformed, decode_for_agent, encode
from fallow.shared.transfer import ClientEvent, DataClient, Progressed
from fallow.shared.transport import ClientSocket, ConnectionEvent, Poller, Wire
from fallow.shared.work.deliveries import Carried
from fallow.tray import core_words as words
from fallow.tray.membership import CONTROL_LIMITS, Membership, load_own_keys

log = logging.getLogger(__name__)

TELL_PROGRESS_EVERY = 0.5
_FAREWELL = 0.2


class Uplink:
    """Connected to one coordinator or to none.

    `step` is told, in the loop's thread, what happens to the connection and what comes; `moved` is
    told of blobs in the thread that moves them.
    """

    def __init__(
        self,
        loop: Loop[Any],
        clock: Clock,
        cache: BlobStore,
        step: Callable[[words.Event], None],
        moved: Callable[[Carried], None],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._cache = cache
        self._step = step
        self._moved = moved
        self._wire = Wire()
        self._control: ClientSocket | None = None
        self._progressed_at = clock.now().boot
        self.data: DataClient | None = None

    @property
    def address(self) -> str | None:
        """Which of the coordinator's addresses is used, None without a connection."""
        return self._control.address if self._control is not None else None

    def connect(self, data_dir: Path, member: Membership, rate: int | None, held: bool) -> None:
        """Connect, with the workstation's keys; `rate` bounds blobs, `held` keeps them back."""
        keys = load_own_keys(data_dir)
        self._control = self._wire.connect(
            member.addresses, CONTROL_LIMITS, keys=keys, server=member.server
        )
        self._loop.watch(self._control, self._on_control)
        self.data = DataClient(
            self._wire,
            [addresses.data_address(each) for each in member.addresses],
            self._cache,
            on_event=self._on_data,
            keys=keys,
            server=member.server,
            clock=self._clock,
            rate=rate,
        )
        if held:
            self.data.pause()
        self.data.start()

    def disconnect(self) -> None:
        """Have no coordinator any more."""
        if self._control is not None:
            self._loop.unwatch(self._control)
            self._control.close()
            self._control = None
        if self.data is not None:
            self.data.stop()
            self.data = None

    def send(self, message: AgentMessage) -> None:
        """Say this, where there is somebody to say it to."""
        if self._control is not None:
            log.debug("send %s", type(message).__name__)
            self._control.send(encode(message))

    def reconnect(self) -> None:
        """Make the connection anew."""
        if self._control is not None:
            self._control.reconnect()

    def hold(self, held: bool) -> None:
        """Move no blobs, or move them again."""
        if self.data is not None:
            (self.data.pause if held else self.data.resume)()

    def limit(self, rate: int | None) -> None:
        """Move at most so many bytes per second each way."""
        if self.data is not None:
            self.data.limit(rate)

    def close(self) -> None:
        """Let what was said last go out, and end."""
        if self._control is not None and self._control.connected:
            # Closing drops what is not on the way yet: give the farewell a moment.
            poller = Poller()
            poller.add(self._control)
            poller.wait(_FAREWELL)
        self.disconnect()
        self._wire.close()

    def _on_control(self) -> None:
        assert self._control is not None
        for event in self._control.events():
            log.debug("control connection: %s", event.value)
            match event:
                case ConnectionEvent.CONNECTED:
                    self._step(words.Connected())
                case ConnectionEvent.DENIED:
                    self._step(words.Denied("the coordinator does not know this workstation's key"))
                case ConnectionEvent.MISUNDERSTOOD:
                    self._step(words.Denied("what answers there is not the coordinator we joined"))
                case ConnectionEvent.DISCONNECTED | ConnectionEvent.UNANSWERED:
                    self._step(words.Lost())
        for frames in self._control.receive_all():
            try:
                message = decode_for_agent(frames[0])
            except Malformed as error:
                log.warning("the coordinator said what cannot be understood: %s", error)
                continue
            log.debug("got %s", type(message).__name__)
            self._step(words.Said(message))

    def _on_data(self, event: ClientEvent) -> None:
        """In the data thread."""
        if isinstance(event, Progressed):
            now = self._clock.now().boot
            if now - self._progressed_at < TELL_PROGRESS_EVERY:
                return
            self._progressed_at = now
        if isinstance(event, Carried):
            self._moved(event)
