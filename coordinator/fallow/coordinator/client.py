"""The connection of a verb: one request, one reply, each tried again when a reply is lost.

Not the verbs, nor what is printed. The opposite is `server`, which answers.
"""

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from fallow.coordinator.places import Joined, choose
from fallow.shared import addresses, keys
from fallow.shared.account import key_file
from fallow.shared.errors import FallowError, Refused, Unreachable, UsageError
from fallow.shared.messages import (
    ClientReply,
    ClientVerb,
    Failed,
    Malformed,
    Request,
    decode_reply,
    encode,
)
from fallow.shared.transport import ClientSocket, KeyPair, Limits, Wire

TIMEOUT = 20.0
# Whoever asks has asked for it: one job's results alone may be a million files.
_ANSWERS = Limits(frame_bytes=1 << 30)
_PATIENCE = 600.0  # seconds a coordinator may be away while somebody waits for a batch
_PAUSE = 0.5

R = TypeVar("R", bound=ClientReply)


class DataWay(NamedTuple):
    """The data socket's addresses and, unless it is local, our keys and the server's."""

    addresses: list[str]
    keys: KeyPair | None
    server: str | None


class Client:
    """A verb's connection to its coordinator; closed by leaving the `with`."""

    def __init__(self, wanted: str | None = None, timeout: float = TIMEOUT) -> None:
        self._target = choose(wanted)
        self._timeout = timeout
        self._wire = Wire()
        self._socket: ClientSocket | None = None
        self._id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._wire.close()

    @property
    def wire(self) -> Wire:
        return self._wire

    @property
    def where(self) -> str:
        """What a person calls this coordinator."""
        return self._target.addresses[0] if isinstance(self._target, Joined) else str(self._target)

    def _connect(self) -> ClientSocket:
        if isinstance(self._target, Joined):
            return self._wire.connect(
                self._target.addresses,
                _ANSWERS,
                keys=keys.load_keys(key_file(self._target.key)),
                server=self._target.server,
            )
        return self._wire.connect(local_addresses(self._target)[0], _ANSWERS)

    def data_way(self) -> DataWay:
        """Where and with which keys blobs are moved, for `transfer.move_all`."""
        if isinstance(self._target, Joined):
            return DataWay(
                [addresses.data_address(place) for place in self._target.addresses],
                keys.load_keys(key_file(self._target.key)),
                self._target.server,
            )
        return DataWay([local_addresses(self._target)[1]], None, None)

    def ask(self, body: ClientVerb, expected: type[R], timeout: float | None = None) -> R:
        """As `ask_any`, for a question with one kind of answer."""
        reply = self.ask_any(body, timeout)
        if not isinstance(reply, expected):
            raise FallowError(
                f"The coordinator answered with {type(reply).__name__}, not {expected.__name__}",
                hint="it may be of another version of Fallow: update the older one",
            )
        return reply

    def ask_patiently(self, body: ClientVerb, expected: type[R], timeout: float | None = None) -> R:
        """As `ask`, for what goes on anyway: a coordinator that is being restarted is waited for.

        Says once on stderr that it waits; Unreachable after ten minutes.
        """
        began = time.monotonic()
        said = False
        while True:
            try:
                return self.ask(body, expected, timeout)
            except Unreachable as error:
                if time.monotonic() - began > _PATIENCE:
                    raise
                if not said:
                    print(f"{error.title}; trying again for a while", file=sys.stderr)
                    said = True
                time.sleep(_PAUSE)

    def ask_any(self, body: ClientVerb, timeout: float | None = None) -> ClientReply:
        """Send one request and return its reply, unless that is a refusal.

        Refused (or as the coordinator says) when it says no, Unreachable when nobody answers.
        A lost reply costs nothing: every verb may be said again.
        """
        self._id += 1
        message = encode(Request(self._id, body))
        if len(message) > Limits().frame_bytes:
            raise FallowError(
                "The batch is too large to be sent in one piece",
                f"Written out it has {len(message) // 1_000_000} MB.",
                "use a sweep instead of a list of jobs, or several batches",
            )
        patience = timeout or self._timeout
        for last in (False, True):
            began = time.monotonic()
            if self._socket is None:
                self._socket = self._connect()
            try:
                frames = self._socket.request(message, timeout=patience)
                reply = decode_reply(frames[0])
                if reply.id == self._id:
                    return _unless_failed(reply.body)
            except Unreachable:
                self._drop()
                # Silence may be a lost reply; a door that nobody opens is not.
                if last or time.monotonic() - began < 0.9 * patience:
                    raise
            except Malformed as error:
                raise FallowError(
                    "The coordinator's answer cannot be understood",
                    str(error),
                    "it may be of another version of Fallow: update the older one",
                ) from None
            except BaseException:
                self._drop()
                raise
        raise Unreachable(f"The coordinator at {self.where} gave no answer to this question")

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def local_addresses(data_dir: Path) -> tuple[str, str]:
    """The local sockets (control, data); Unreachable when no coordinator lives there."""
    try:
        control, data = addresses.find_local_addresses(data_dir)
    except FallowError as error:
        raise Unreachable(error.title, error.detail, error.hint) from None
    if not Path(control.removeprefix("ipc://")).exists():
        raise Unreachable(
            f"The coordinator in {data_dir} does not run",
            hint=f"start it with: coordinator serve --data-dir {data_dir}",
        )
    return control, data


def _unless_failed(body: ClientReply) -> ClientReply:
    if isinstance(body, Failed):
        kinds: dict[int, type[FallowError]] = {1: Refused, 2: UsageError, 3: Unreachable}
        raise kinds.get(body.exit_code, FallowError)(body.title, body.detail, body.hint)
    return body
