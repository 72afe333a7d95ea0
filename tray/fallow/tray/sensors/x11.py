"""Is there an X server whose input can be seen, and does it answer? Asked before every connection.

It watches nothing itself: `pynput_input` and `xscreensaver` do. Xlib would wait for ever for a
server that accepts a connection and stays silent.
"""

import contextlib
import os
import re
import socket
import struct
from collections.abc import Mapping

_DISPLAY = re.compile(r"(?:unix/|tcp/|unix)?(?P<host>[^:/]*):(?P<number>\d+)(?:\.\d+)?")


def refusal(environment: Mapping[str, str], patience: float) -> str | None:
    """Why X11 cannot show the input of this session, or None if it can; `patience` in seconds."""
    if environment.get("XDG_SESSION_TYPE") == "wayland" or environment.get("WAYLAND_DISPLAY"):
        return "this is a Wayland session, in which X11 sees only some of the windows"
    display = environment.get("DISPLAY", "")
    if not display:
        return "this process belongs to no graphical session (DISPLAY is not set)"
    found = _DISPLAY.fullmatch(display)
    if found is None:
        return f"DISPLAY names no X server: {display!r}"
    try:
        with contextlib.closing(_connect(found["host"], int(found["number"]), patience)) as server:
            # Version 11.0 and no cookie: whether it agrees or refuses, a server that works answers.
            server.sendall(struct.pack("<cxHHHHxx", b"l", 11, 0, 0, 0))
            if not server.recv(1):
                return f"the X server {display} hangs up"
    except TimeoutError:
        return f"the X server {display} does not answer"
    except OSError as error:
        return f"no X server at {display}: {os.strerror(error.errno or 0)}"
    return None


def _connect(host: str, number: int, patience: float) -> socket.socket:
    if host:
        return socket.create_connection((host, 6000 + number), patience)
    path = f"/tmp/.X11-unix/X{number}"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.settimeout(patience)
    try:
        server.connect(path if os.path.exists(path) else f"\0{path}")
    except BaseException:
        server.close()
        raise
    return server
