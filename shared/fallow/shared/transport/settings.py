"""What every socket has in common: its limits, its options, its one thread.

Not what it is used for. The options are those that held when they were tried: half-open
connections, dead peers and oversize frames end soon.
"""

import threading

import msgspec
import zmq

WORTH_SHARING = 64 * 1024  # bytes of a frame from which on ZeroMQ is lent it instead of a copy


class Limits(msgspec.Struct, frozen=True):
    """What a socket accepts: frames per message, bytes per frame, messages queued per peer."""

    frames: int = 1
    frame_bytes: int = 64 << 20
    queue: int = 1000


def set_options(socket: zmq.Socket[bytes], limits: Limits, address: str) -> None:
    socket.linger = 0
    socket.maxmsgsize = limits.frame_bytes
    socket.sndhwm = socket.rcvhwm = limits.queue
    if address.startswith("tcp://"):
        socket.ipv6 = "[" in address
        # Short: 400 half-open connections starve a server for as long as this lasts.
        socket.handshake_ivl = 3000
        socket.connect_timeout = 5000
        socket.heartbeat_ivl = 5000
        socket.heartbeat_timeout = 15000
        socket.heartbeat_ttl = 20000
        socket.tcp_keepalive = 1
        socket.tcp_keepalive_idle = 60


def last_endpoint(socket: zmq.Socket[bytes]) -> str:
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


class Owned:
    """A socket belongs to the thread that first uses it: ZeroMQ's are not safe for two."""

    _thread: int | None = None

    def check_thread(self) -> None:
        here = threading.get_ident()
        if self._thread is None:
            self._thread = here
        elif self._thread != here:
            raise RuntimeError("a socket was used from two threads")
