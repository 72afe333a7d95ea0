"""Who may say what, and how every message is turned into bytes and back.

Not the sockets (`transport`). The tables of verbs are literal: what is not in them is refused.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from fallow.shared.ids import parse_attempt
from fallow.shared.messages.client import (
    ClientVerb,
    Drain,
    Enrol,
    Export,
    Hold,
    Import,
    Invite,
    Keys,
    Kill,
    Logs,
    Nodes,
    Pull,
    Release,
    Remove,
    Retry,
    Revoke,
    Status,
    Submit,
    Undrain,
    Watch,
    Why,
)
from fallow.shared.messages.data import Chunk, DataMessage, Fetch, Gone, Have, Offer
from fallow.shared.messages.replies import ClientReply
from fallow.shared.messages.workstation import (
    Accepted,
    AgentMessage,
    Assign,
    Bye,
    CoordinatorMessage,
    Hello,
    Missing,
    Noticed,
    Report,
    Tail,
    Tailed,
    Withdraw,
)
from fallow.shared.runs import Manifest

PROTOCOL = 1

Role = Literal["workstation", "submitter", "admin", "newcomer"]
"""What a key may do; `newcomer` is the one-time key inside a token."""


class Request(Struct, frozen=True, tag="request"):
    """A client's question; `id` comes back in the Reply."""

    id: int
    body: ClientVerb


class Reply(Struct, frozen=True, tag="reply"):
    id: int
    body: ClientReply


_SUBMITTER = frozenset(
    {
        Submit,
        Kill,
        Remove,
        Hold,
        Release,
        Retry,
        Export,
        Import,
        Status,
        Nodes,
        Why,
        Logs,
        Pull,
        Watch,
    },
)
VERBS: dict[Role, frozenset[type]] = {
    "workstation": frozenset({Hello, Report, Bye, Tailed, Noticed}),
    "submitter": _SUBMITTER,
    "admin": _SUBMITTER | {Drain, Undrain, Invite, Keys, Revoke},
    "newcomer": frozenset({Enrol}),
}
"""The literal table of verbs per role; what is not here is refused."""

DATA_VERBS: dict[Role, frozenset[type]] = {
    "workstation": frozenset({Fetch, Chunk, Offer, Have, Gone}),
    "submitter": frozenset({Fetch, Chunk, Offer, Have, Gone}),
    "admin": frozenset({Fetch, Chunk, Offer, Have, Gone}),
    "newcomer": frozenset(),
}

_encoder = msgspec.msgpack.Encoder()
_to_coordinator: msgspec.msgpack.Decoder[AgentMessage | Request] = msgspec.msgpack.Decoder(
    AgentMessage | Request
)
_to_agent: msgspec.msgpack.Decoder[CoordinatorMessage] = msgspec.msgpack.Decoder(CoordinatorMessage)
_to_client: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_data: msgspec.msgpack.Decoder[DataMessage] = msgspec.msgpack.Decoder(DataMessage)
_manifest: msgspec.msgpack.Decoder[Manifest] = msgspec.msgpack.Decoder(Manifest)


class Malformed(ValueError):
    """Bytes that are no message of ours, or not one the sender's role may send."""


def encode(message: object) -> bytes:
    """The bytes of any message or Manifest."""
    return _encoder.encode(message)


def decode_from(role: Role, data: bytes) -> AgentMessage | Request:
    """Read what a peer of this role sent to the coordinator; Malformed if it may not say that."""
    try:
        message = _to_coordinator.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None
    verb = type(message.body) if isinstance(message, Request) else type(message)
    if verb not in VERBS[role]:
        raise Malformed(f"a {role} may not say {verb.__struct_config__.tag}")
    return message


def decode_for_agent(data: bytes) -> CoordinatorMessage:
    """Read what the coordinator sent to a workstation; Malformed if it is none of its messages.

    Folders are called after attempts, so one whose batch is no plain word is refused here.
    """
    try:
        message = _to_agent.decode(data)
        if isinstance(message, Assign | Withdraw | Accepted | Missing | Tail):
            parse_attempt(str(message.attempt))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(str(error)) from None
    return message


def decode_reply(data: bytes) -> Reply:
    """Read the coordinator's reply to a client; Malformed if it is none."""
    try:
        return _to_client.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None


def decode_data(data: bytes) -> DataMessage:
    """Read the header frame of a message on the data socket; Malformed if it is none."""
    try:
        return _data.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None


def decode_manifest(data: bytes) -> Manifest:
    """Read an encoded Manifest; Malformed if it is none."""
    try:
        return _manifest.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None
