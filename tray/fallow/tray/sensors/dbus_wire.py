"""The D-Bus wire, as far as a client that asks needs it: calls out, replies and signals in.

Not a connection (`bus`): bytes and values only. The library for it would take 10 MB of the agent's
memory and as much of the tray's, which is why it is written again here, and only this much of it.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
NO_AUTO_START = 2
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = (
    *(1, 2, 3, 4, 5, 6),
    8,
)
LONGEST = 16 << 20
_HEAD = 16
# Type: format of struct, bytes, which are also its alignment.
_FIXED = {
    "y": ("B", 1),
    "b": ("I", 4),
    "n": ("h", 2),
    "q": ("H", 2),
    "i": ("i", 4),
    "u": ("I", 4),
    "x": ("q", 8),
    "t": ("Q", 8),
    "d": ("d", 8),
    "h": ("I", 4),
}
_ALIGN = {"s": 4, "o": 4, "g": 1, "v": 1, "a": 4, "(": 8, "{": 8}


class Received(NamedTuple):
    """A message that came; `reply_to` is the serial of the call it answers, or 0."""

    kind: int
    reply_to: int
    interface: str
    member: str
    error: str
    body: list[Any]


def call(
    serial: int,
    service: str,
    path: str,
    member: str,
    signature: str,
    body: tuple[Any, ...],
    start: bool = False,
) -> bytes:
    """A call of `member`, written `interface.Name`; `start` says to start a service for it.

    Without, one that does not run has nothing to tell. Arguments may be of the types s, o, u, i, b,
    y, as and a{sv}; the values of the latter are pairs of type and value.
    """
    interface, _, name = member.rpartition(".")
    content = bytearray()
    for sort, value in zip(_split(signature), body, strict=True):
        _put(content, sort, value)
    fields = bytearray()
    for code, sort, value in (
        (_PATH, "o", path),
        (_INTERFACE, "s", interface),
        (_MEMBER, "s", name),
        (_DESTINATION, "s", service),
        (_SIGNATURE, "g", signature),
    ):
        _pad(fields, 8)
        fields += struct.pack("<BB", code, 1) + sort.encode() + b"\0"
        _put(fields, sort, value)
    flags = 0 if start else NO_AUTO_START
    head = struct.pack("<cBBBIII", b"l", CALL, flags, 1, len(content), serial, len(fields))
    message = bytearray(head + fields)
    _pad(message, 8)
    return bytes(message + content)


def take(data: bytearray) -> Iterator[Received]:
    """The whole messages at the start of `data`, which they leave; ValueError when it is none."""
    while len(data) >= _HEAD:
        if data[0] not in b"lB":
            raise ValueError("this is no message bus")
        order = "<" if data[0] == ord("l") else ">"
        (length,) = struct.unpack_from(order + "I", data, 4)
        (fields,) = struct.unpack_from(order + "I", data, 12)
        start = _HEAD + fields + -fields % 8
        if length > LONGEST or fields > LONGEST:
            raise ValueError("a message that is too long")
        if len(data) < start + length:
            return
        message = bytes(data[: start + length])
        del data[: start + length]
        yield _parse(message, order, start)


def _parse(message: bytes, order: str, start: int) -> Received:
    known = dict(_Reader(message, order, 12).value("a(yv)"))
    reader = _Reader(message, order, start)
    body = [reader.value(each) for each in _split(known.get(_SIGNATURE, ""))]
    return Received(
        kind=message[1],
        reply_to=known.get(_REPLY_SERIAL, 0),
        interface=known.get(_INTERFACE, ""),
        member=known.get(_MEMBER, ""),
        error=known.get(_ERROR_NAME, ""),
        body=body,
    )


def _pad(data: bytearray, size: int) -> None:
    data += bytes(-len(data) % size)


def _put(data: bytearray, sort: str, value: Any) -> None:
    if sort == "g":
        data += struct.pack("<B", len(value)) + value.encode() + b"\0"
        return
    if sort == "y":
        data += struct.pack("<B", value)
        return
    _pad(data, 4)
    if sort in {"as", "a{sv}"}:
        _put_many(data, sort, value)
    elif sort == "i":
        data += struct.pack("<i", value)
    elif sort in "so":
        text = value.encode()
        data += struct.pack("<I", len(text)) + text + b"\0"
    elif sort in "ub":
        data += struct.pack("<I", value)
    else:
        raise ValueError(f"arguments of type {sort!r} are not sent")


def _put_many(data: bytearray, sort: str, values: Any) -> None:
    """An array: its length in bytes, which counts no padding before the first, then each."""
    at = len(data)
    data += bytes(4)
    if sort == "a{sv}":
        _pad(data, 8)
    start = len(data)
    for each in values:
        if sort == "a{sv}":
            _pad(data, 8)
            _put(data, "s", each)
            _put(data, "g", values[each][0])
            _put(data, *values[each])
        else:
            _put(data, "s", each)
    struct.pack_into("<I", data, at, len(data) - start)


class _Reader:
    """Values out of bytes: structs as tuples, dictionaries as such, variants as their content."""

    def __init__(self, data: bytes, order: str, at: int) -> None:
        self._data = data
        self._order = order
        self._at = at

    def value(self, sort: str) -> Any:
        kind = sort[0]
        if kind in _FIXED:
            return self._fixed(kind)
        match kind:
            case "s" | "o":
                return self._text(self._fixed("u"))
            case "g":
                return self._text(self._fixed("y"))
            case "v":
                return self.value(self._text(self._fixed("y")))
            case "(":
                self._align(8)
                return tuple(self.value(each) for each in _split(sort[1:-1]))
            case "a":
                return self._array(sort[1:])
            case _:
                raise ValueError(f"a value of the unknown type {sort!r}")

    def _array(self, sort: str) -> Any:
        length = self._fixed("u")
        self._align(_FIXED[sort[0]][1] if sort[0] in _FIXED else _ALIGN[sort[0]])
        end = self._at + length
        if sort[0] == "{":
            key, value = _split(sort[1:-1])
            found = {}
            while self._at < end:
                self._align(8)
                name = self.value(key)
                found[name] = self.value(value)
            return found
        values = []
        while self._at < end:
            values.append(self.value(sort))
        return values

    def _fixed(self, kind: str) -> Any:
        form, size = _FIXED[kind]
        self._align(size)
        (value,) = struct.unpack_from(self._order + form, self._data, self._at)
        self._at += size
        return bool(value) if kind == "b" else value

    def _text(self, length: int) -> str:
        data = self._data[self._at : self._at + length]
        self._at += length + 1
        return data.decode(errors="replace")

    def _align(self, size: int) -> None:
        self._at += -self._at % size


def _split(signature: str) -> list[str]:
    """The single complete types of a signature: `a{sv}u` is `a{sv}` and `u`."""
    found, at = [], 0
    while at < len(signature):
        end = _end(signature, at)
        found.append(signature[at:end])
        at = end
    return found


def _end(signature: str, at: int) -> int:
    while signature[at] == "a":
        at += 1
    if signature[at] not in "({":
        return at + 1
    depth = 0
    while True:
        depth += (signature[at] in "({") - (signature[at] in ")}")
        at += 1
        if depth == 0:
            return at
