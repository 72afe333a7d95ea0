"""A web server of the test's own on 127.0.0.1: it keeps what it is told and answers as it is told.

Not a chat server: it stands in for a webhook's host and for a Matrix homeserver.
"""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Call(NamedTuple):
    method: str
    path: str
    token: str
    content: Any


Answer = Callable[[Call], tuple[int, dict[str, Any]]]


def says_yes(call: Call) -> tuple[int, dict[str, Any]]:
    return 200, {}


class WebStandIn:
    """Use it in a `with`; `calls` is what came, `answer` may be changed."""

    def __init__(self, answer: Answer = says_yes, port: int = 0) -> None:
        self.calls: list[Call] = []
        self.answer = answer
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def _take(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                call = Call(
                    self.command,
                    self.path,
                    self.headers.get("Authorization", ""),
                    json.loads(self.rfile.read(length)) if length else None,
                )
                stand_in.calls.append(call)
                code, content = stand_in.answer(call)
                data = json.dumps(content).encode()
                self.send_response(code)
                if "location" in content:
                    self.send_header("Location", content["location"])
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = _take

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
