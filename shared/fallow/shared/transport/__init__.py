"""Sockets: ROUTER and DEALER with CURVE over TCP, plain over a private local socket.

Not the messages, nor what is answered: frames of bytes go in and out. The only home of zmq.
The opposite is `messages`, which knows what the bytes mean.
"""

from fallow.shared.transport.client_socket import ClientSocket, ConnectionEvent
from fallow.shared.transport.curve import AllowList, KeyPair, new_keys, public_of
from fallow.shared.transport.poller import HasDescriptor, Poller, Source
from fallow.shared.transport.server_socket import Incoming, IncomingChunk, ServerSocket
from fallow.shared.transport.settings import Limits
from fallow.shared.transport.wire import Wire, reserve_descriptors

__all__ = [
    "AllowList",
    "ClientSocket",
    "ConnectionEvent",
    "HasDescriptor",
    "Incoming",
    "IncomingChunk",
    "KeyPair",
    "Limits",
    "Poller",
    "ServerSocket",
    "Source",
    "Wire",
    "new_keys",
    "public_of",
    "reserve_descriptors",
]
