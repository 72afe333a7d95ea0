"""The tray's line to its agent: its status comes in; what people ask and what sensors see go out.

Not what is shown (`view`, `ui/`) and no Qt. The other end is the agent's `LocalServer`. While the
line is cut the agent knows nothing of this session's keyboard, and its presence rule says so.
"""

import contextlib
import logging
import select
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from fallow.shared.clock import Clock, SystemClock
from fallow.shared.errors import FallowError, Unreachable
from fallow.shared.waker import Waker
from fallow.tray import local
from fallow.tray.presence import Reading
from fallow.tray.sensors.choice import for_session
from fallow.tray.sensors.sensor import Sensor
from fallow.tray.sensors.watch import Watch
from fallow.tray.status import AgentStatus

log = logging.getLogger(__name__)

READ_EVERY = 3.0
# Sensors take a moment to connect to the X server.
READ_SOON = 0.3
SETTLED_AFTER = 5.0
# The agent is asked now and then, so that one which hangs is told from one with no news; and is
# told again what it knows, which it would not believe for long.
ASK_EVERY = 10.0
SILENT_AFTER = 25.0
# An agent that starts, or is started anew, is not missing.
MISSING_AFTER = 3.0
RECONNECT_AFTER = 0.5
# Far below any idle time one would ask for: else the first key after a pause could go untold.
TELL_EVERY = 0.25

MakeSensors = Callable[[Callable[[], None]], Sequence[Sensor]]


class Line:
    """One connection in a thread of its own, made anew whenever it is lost.

    `on_status` gets each status, None when no agent answers; `on_refused` what the agent refused,
    `on_notice` what a coordinator tells this session's person, whose keys `keys_of` finds. All are
    called in the line's thread. The first sensor is the one that wakes.
    """

    def __init__(
        self,
        data_dir: Path,
        on_status: Callable[[AgentStatus | None], None],
        on_refused: Callable[[FallowError], None],
        sensors: MakeSensors = for_session,
        clock: Clock | None = None,
        on_notice: Callable[[local.NoticeIs], None] = lambda notice: None,
        keys_of: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._data_dir = data_dir
        self._on_status = on_status
        self._on_refused = on_refused
        self._on_notice = on_notice
        self._keys_of = keys_of
        self._keys: tuple[str, ...] = ()
        self._clock = clock or SystemClock()
        self._waker = Waker()
        self._closing = threading.Event()
        self._client: local.LocalClient | None = None
        self._sending = threading.Lock()
        self._answers = True
        self._heard = self._clock.now().boot
        self._told_at = 0.0
        self._readings: dict[str, Reading] = {}
        self._told: dict[str, Reading] = {}
        self._sensors: tuple[Sensor, ...] = ()
        self._sensors = tuple(sensors(self.activity))
        self._watch = Watch(self._sensors, self._clock.now().boot)
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Cuts the line; waits two seconds at most."""
        self._closing.set()
        self._waker.wake()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def retry(self) -> None:
        """Look for an agent now instead of in a second."""
        self._waker.wake()

    def say(self, request: local.LocalRequest) -> None:
        """Sends this now, from any thread, without waiting; a refusal comes to `on_refused`."""
        if not self._send(request):
            self._on_refused(
                Unreachable(
                    "The part of Fallow that runs jobs does not answer",
                    "So nothing was changed.",
                    "choose “Start it again” in the menu",
                )
            )

    # -- in a sensor's thread

    def activity(self) -> None:
        """Somebody is there: tells the agent at once, and again now and then while it goes on."""
        now = self._clock.now()
        if now.boot - self._told_at < TELL_EVERY or not self._sensors:
            return
        self._told_at = now.boot
        # Only the sensor that woke us is asked: others may have to wait for the X server.
        reading = self._sensors[0].read(now)
        self._readings[reading.sensor] = reading
        self._tell()

    def _tell(self) -> bool:
        self._told = dict(self._readings)
        return self._send(local.Activity(tuple(self._readings.values())))

    def _send(self, request: local.LocalRequest) -> bool:
        """False when there is nobody to send to, or nobody who reads."""
        with self._sending:
            client = self._client
            if client is None:
                return False
            try:
                # An agent that hangs must not make us hang.
                if not select.select([], [client], [], 0)[1]:
                    return False
                client.send(request)
            except (Unreachable, OSError, ValueError):
                self._waker.wake()
                return False
        return True

    # -- in the line's thread

    def _run(self) -> None:
        next_read = next_ask = 0.0
        started = self._clock.now().boot
        while not self._closing.is_set():
            now = self._clock.now()
            if self._client is None and not self._connect():
                if now.boot - self._heard > MISSING_AFTER:
                    self._say_silent()
                self._wait(RECONNECT_AFTER)
                continue
            if now.boot >= next_read:
                settled = now.boot - started > SETTLED_AFTER
                next_read = now.boot + (READ_EVERY if settled else READ_SOON)
                self._look()
                if self._readings != self._told:
                    self._tell()
            if now.boot >= next_ask:
                next_ask = now.boot + ASK_EVERY
                self._tell()
                self._send(local.AskStatus())
                self._say_who()
            if now.boot - self._heard > SILENT_AFTER:
                self._say_silent()
            self._wait(min(next_read, next_ask) - self._clock.now().boot)
            self._receive()
        self._drop()
        self._watch.close()

    def _connect(self) -> bool:
        try:
            client = local.LocalClient(self._data_dir)
        except FallowError:
            return False
        self._client = client
        self._heard = self._clock.now().boot
        log.info("connected to the agent of %s", self._data_dir)
        self._look()
        # What is seen comes first: until then the agent holds the desk for unwatched.
        self._keys = self._keys_of()
        here = local.Here(self._keys)
        return self._tell() and self._send(local.Subscribe()) and self._send(here)

    def _say_who(self) -> None:
        """Whoever joined a coordinator since is told of their batches from now on."""
        keys = self._keys_of()
        if keys != self._keys and self._send(local.Here(keys)):
            self._keys = keys

    def _look(self) -> None:
        for reading in self._watch.readings(self._clock.now()):
            self._readings[reading.sensor] = reading

    def _wait(self, seconds: float) -> None:
        sources: list[local.LocalClient | Waker] = [self._waker]
        if self._client is not None:
            sources.append(self._client)
        ready = select.select(sources, [], [], max(seconds, 0.0))[0]
        if self._waker in ready:
            self._waker.drain()

    def _receive(self) -> None:
        client = self._client
        if client is None:
            return
        try:
            while (reply := client.receive(0)) is not None:
                self._heard = self._clock.now().boot
                self._take(reply)
        except Unreachable:
            log.info("the agent has ended")
            self._drop()
        except Exception:
            # Another release of the agent, or not an agent: nothing it says can be used.
            log.exception("the agent said what cannot be understood")
            self._drop()

    def _take(self, reply: local.LocalReply) -> None:
        match reply:
            case local.StatusIs(status=status):
                self._answers = True
                self._on_status(status)
            case local.CannotBe(title=title, detail=detail, hint=hint):
                self._on_refused(FallowError(title, detail, hint))
            case local.NoticeIs(id=number):
                self._on_notice(reply)
                self._send(local.Shown(number))
            case local.Done():
                pass

    def _say_silent(self) -> None:
        if self._answers:
            self._answers = False
            self._on_status(None)

    def _drop(self) -> None:
        with self._sending, contextlib.suppress(OSError):
            if self._client is not None:
                self._client.close()
            self._client = None
