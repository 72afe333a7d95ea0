"""A stand-in for a Wayland compositor: a real socket, the wire format, and idleness by command.

It is no compositor, and is written from the protocol's text: what KWin really says is another
test. It checks what it is asked, so that a wrong request ends the conversation.
"""

import contextlib
import socket
import struct
import threading
from pathlib import Path

HEAD = struct.Struct("=II")
SEAT, NOTIFIER, UNKNOWN = "wl_seat", "ext_idle_notifier_v1", "wl_compositor"


def word(value: int) -> bytes:
    return struct.pack("=I", value)


def text(value: str) -> bytes:
    data = value.encode() + b"\0"
    return word(len(data)) + data.ljust(len(data) + -len(data) % 4, b"\0")


class WaylandServer:
    """One client at a time. `offers` are interfaces and versions; `silent` answers nothing."""

    def __init__(self, path: Path, offers: list[tuple[str, int]], silent: bool = False) -> None:
        self.offers = offers
        self.silent = silent
        self.faults: list[str] = []
        self.notifications: dict[int, tuple[int, int, int]] = {}
        self.syncs = 0
        self.highest = 1
        self._objects: dict[int, str] = {}
        self._client: socket.socket | None = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        self._thread.join(5.0)

    def drop(self) -> None:
        """Ends the client's connection."""
        if self._client is not None:
            # It may have gone by itself.
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)

    def idled(self, number: int = 0) -> None:
        self._event(list(self.notifications)[number], 0)

    def resumed(self, number: int = 0) -> None:
        self._event(list(self.notifications)[number], 1)

    def add(self, interface: str, version: int) -> None:
        """Something is plugged in later."""
        self.offers.append((interface, version))
        self._offer(len(self.offers))

    def complain(self) -> None:
        self._event(1, 0, word(2) + word(1) + text("invalid arguments"))

    def babble(self) -> None:
        """Something that is not Wayland at all."""
        assert self._client is not None
        self._client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def _serve(self) -> None:
        while True:
            try:
                self._client, _ = self._listener.accept()
            except OSError:
                return
            self._objects, self.highest = {1: "wl_display"}, 1
            self.notifications = {}
            try:
                self._talk(self._client)
            except OSError:
                pass
            self._client.close()

    def _talk(self, client: socket.socket) -> None:
        data = b""
        while more := client.recv(65536):
            data += more
            while len(data) >= HEAD.size:
                thing, head = HEAD.unpack_from(data)
                size = head >> 16
                if len(data) < size:
                    break
                if not self.silent:
                    self._asked(thing, head & 0xFFFF, data[HEAD.size : size])
                data = data[size:]

    def _asked(self, thing: int, opcode: int, body: bytes) -> None:
        match self._objects.get(thing), opcode:
            case "wl_display", 1:
                (registry,) = struct.unpack("=I", body)
                self._make(registry, "wl_registry")
                for number in range(1, len(self.offers) + 1):
                    self._offer(number)
            case "wl_display", 0:
                (callback,) = struct.unpack("=I", body)
                self.syncs += 1
                self._make(callback, "wl_callback")
                self._event(callback, 0, word(7))
                del self._objects[callback]
                self._event(1, 1, word(callback))
            case "wl_registry", 0:
                number, length = struct.unpack_from("=II", body)
                interface = body[8 : 8 + length - 1].decode()
                version, made = struct.unpack("=II", body[8 + length + -length % 4 :])
                known, offered = self.offers[number - 1]
                if interface != known or not 1 <= version <= offered:
                    self.faults.append(f"bound {interface} {version} of {known} {offered}")
                self._make(made, interface)
            case "ext_idle_notifier_v1", 1 | 2:
                made, timeout, seat = struct.unpack("=III", body)
                if self._objects.get(seat) != SEAT:
                    self.faults.append(f"{seat} is no seat")
                self._make(made, "ext_idle_notification_v1")
                self.notifications[made] = (opcode, timeout, seat)
            case known, _:
                self.faults.append(f"request {opcode} of {known} {thing}")

    def _make(self, thing: int, interface: str) -> None:
        if thing in self._objects or thing > self.highest + 1:
            self.faults.append(f"{interface} as {thing}, which is not the next number")
        self.highest = max(self.highest, thing)
        self._objects[thing] = interface

    def _offer(self, number: int) -> None:
        interface, version = self.offers[number - 1]
        registry = next(each for each, kind in self._objects.items() if kind == "wl_registry")
        self._event(registry, 0, word(number) + text(interface) + word(version))

    def _event(self, thing: int, opcode: int, body: bytes = b"") -> None:
        assert self._client is not None
        # In two halves, as a socket may deliver it.
        message = HEAD.pack(thing, (HEAD.size + len(body)) << 16 | opcode) + body
        self._client.sendall(message[:5])
        self._client.sendall(message[5:])
