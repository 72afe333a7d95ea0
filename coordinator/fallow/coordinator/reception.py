"""What comes in at the control sockets: who says it, whether they may, and whose business it is.

Not the answers: the core, `answers` and `people` have them. Rubbish and strangers are refused,
logged once in a while and disturb nobody. The opposite is `outbox`.
"""

import logging
import secrets
import string
from collections.abc import Callable
from typing import assert_never

import msgspec
from msgspec import Struct

from fallow.coordinator.answers import Answers
from fallow.coordinator.asking import failed
from fallow.coordinator.events import (
    AgentSaid,
    Caller,
    ClientAsked,
    Event,
    NodeJoined,
    NodeRevoked,
    Submission,
)
from fallow.coordinator.notifying import Notifying
from fallow.coordinator.outbox import Outbox, Peer
from fallow.coordinator.people import Caller as Known
from fallow.coordinator.people import People
from fallow.coordinator.soundness import check_said
from fallow.coordinator.watching import Watching
from fallow.shared.blobs import BlobStore
from fallow.shared.errors import FallowError, Refused
from fallow.shared.messages import (
    Bye,
    ClientVerb,
    Done,
    Drain,
    Enrol,
    Export,
    Failed,
    Hello,
    Hold,
    Import,
    Invite,
    Keys,
    KeysReply,
    Kill,
    Logs,
    Malformed,
    Nodes,
    Noticed,
    Pull,
    Rejected,
    Release,
    Remove,
    Reply,
    Report,
    Request,
    Retry,
    Revoke,
    Status,
    Submit,
    Tailed,
    Undrain,
    Watch,
    Why,
    decode_from,
)
from fallow.shared.moments import Moment
from fallow.shared.transport import Incoming

log = logging.getLogger(__name__)

_LOG_EVERY = 60.0  # seconds between two lines about the same peer


class Place(Struct, frozen=True):
    """Where invitations say that the coordinator is: addresses, and its public key."""

    addresses: tuple[str, ...]
    server: str


class _OnlyId(Struct):
    id: int


class Reception:
    """Takes in messages; `handle` hands an event to the core."""

    def __init__(
        self,
        place: Place,
        people: People,
        answers: Answers,
        watching: Watching,
        notifying: Notifying,
        blobs: BlobStore,
        outbox: Outbox,
        handle: Callable[[Event], None],
    ) -> None:
        self._place = place
        self._people = people
        self._answers = answers
        self._watching = watching
        self._notifying = notifying
        self._blobs = blobs
        self._outbox = outbox
        self._handle = handle
        self._quiet_until: dict[str | None, float] = {}

    def on_message(self, peer: Peer, incoming: Incoming, now: Moment) -> None:
        frame = incoming.frames[0]
        who = self._people.caller(incoming.user, now.wall)
        if who is None:
            self._complain(incoming.user, "its key is not allowed any more", now)
            self._turn_away(peer, frame, "This key or invitation is not allowed here any more")
            return
        try:
            message = decode_from(who.role, frame)
            if not isinstance(message, Request):
                check_said(message)
        except Malformed as error:
            self._complain(incoming.user, str(error), now)
            self._turn_away(peer, frame, f"The coordinator refused that: {error}")
            return
        log.debug("%s says %s", who.name, type(message).__name__)
        match message:
            case Request():
                reply = self._outbox.asked(peer, message.id)
                try:
                    self._on_request(reply, who, message.body, now)
                except FallowError as error:
                    self._outbox.answer(reply, failed(error))
            case Tailed():
                self._answers.tailed(who.name, message, now)
            case Noticed(number):
                self._notifying.shown(who.name, number, now)
            case Hello() | Report() | Bye():
                self._outbox.connected(who.name, peer)
                self._handle(AgentSaid(who.name, message))
                if isinstance(message, Report):
                    self._notifying.at_desk(who.name, message.people, now)
            case _:
                assert_never(message)

    def _on_request(self, reply: int, who: Known, body: ClientVerb, now: Moment) -> None:
        match body:
            case Submit():
                self._submit(reply, who, body)
            case (
                Kill()
                | Remove()
                | Hold()
                | Release()
                | Retry()
                | Export()
                | Import()
                | Drain()
                | Undrain()
                | Why()
                | Status()
                | Nodes()
            ):
                self._handle(ClientAsked(reply, _caller(who), body))
            case Logs():
                self._answers.logs(reply, body, now)
            case Watch():
                self._watching.watch(reply, body, now)
            case Pull():
                self._outbox.answer(reply, self._answers.pull(body))
            case Invite():
                place = self._place
                invited, saves = self._people.invite(body, place.addresses, place.server, now.wall)
                self._outbox.save(*saves)
                self._outbox.answer(reply, invited)
            case Enrol():
                self._enrol(reply, who, body, now)
            case Keys():
                self._outbox.answer(reply, KeysReply(self._people.listed()))
            case Revoke():
                self._revoke(reply, body, now)
            case _:
                assert_never(body)

    def _enrol(self, reply: int, who: Known, body: Enrol, now: Moment) -> None:
        if who.key is None:
            raise Refused("Only an invitation's key may enrol")
        enrolled, saves = self._people.enrol(body, who.key, now.wall)
        self._outbox.save(*saves)
        if saves and enrolled.role == "workstation":
            self._handle(NodeJoined(enrolled.name))
        self._outbox.answer(reply, enrolled)

    def _revoke(self, reply: int, body: Revoke, now: Moment) -> None:
        gone, saves = self._people.revoke(body.name, now.wall)
        self._outbox.save(*saves)
        for key in gone:
            if key.role == "workstation":
                self._handle(NodeRevoked(key.name))
                self._outbox.disconnected(key.name)
        self._outbox.answer(reply, Done(f"{body.name} is shut out"))

    def _submit(self, reply: int, who: Known, body: Submit) -> None:
        missing: dict[str, None] = {}
        for contents in body.contents.values():
            for content in contents:
                try:
                    found = self._blobs.path(content.hash).stat().st_size
                except FileNotFoundError:
                    missing[content.hash] = None
                    continue
                except ValueError as error:
                    raise Refused("The submission is damaged", str(error)) from None
                if found != content.size:
                    raise Refused(
                        "The submission is damaged",
                        f"It says that {content.hash} has {content.size} bytes; it has {found}.",
                    )
        uid = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
        self._handle(Submission(reply, _caller(who), uid, body, tuple(missing)))

    def _turn_away(self, peer: Peer, frame: bytes, why: str) -> None:
        """Answer a refused message if it can be told what it wanted, so that nobody waits."""
        try:
            asked = msgspec.msgpack.decode(frame, type=_OnlyId)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            try:
                decode_from("workstation", frame)
            except Malformed:
                return
            self._outbox.send(peer, Rejected(why))
            return
        refusal = Failed(why, hint="ask whoever runs the coordinator")
        self._outbox.send(peer, Reply(asked.id, refusal))

    def _complain(self, user: str | None, what: str, now: Moment) -> None:
        if now.boot < self._quiet_until.get(user, 0.0):
            return
        if len(self._quiet_until) > 1000:
            self._quiet_until.clear()
        self._quiet_until[user] = now.boot + _LOG_EVERY
        log.warning("refused a message of %s: %s", user or "a local client", what)


def _caller(who: Known) -> Caller:
    return Caller(who.name, "admin" if who.role == "admin" else "submitter")
