"""One call to a web address: JSON there, JSON back, or the reason why not.

Not what is said, nor to whom (`couriers`). A module of its own because few coordinators ever call
anybody, and what it imports takes megabytes. A redirect is not followed: what was asked to be told
is told there or nowhere.
"""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

_PATIENCE = 10.0  # seconds to connect, and again for each piece of an answer
_LONGEST = 64 << 10  # bytes of an answer
_AGAIN = {408, 425, 429}


class NotDone(Exception):
    """Why not; `final` when asking again cannot help, `status` the answer's number or 0."""

    def __init__(self, why: str, final: bool, status: int = 0) -> None:
        super().__init__(why)
        self.final = final
        self.status = status


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def call(method: str, address: str, content: object = None, token: str = "") -> dict[str, Any]:
    """The answer's JSON object, if it is one; NotDone when it is none of success."""
    headers = {"Content-Type": "application/json", "User-Agent": "Fallow"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(content).encode() if content is not None else None
    try:
        request = urllib.request.Request(address, data, headers, method=method)
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        if urlsplit(address).scheme == "http":  # this computer itself: no proxy in between
            handlers.append(urllib.request.ProxyHandler({}))
        else:
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context()))
        with urllib.request.build_opener(*handlers).open(request, timeout=_PATIENCE) as reply:
            text = reply.read(_LONGEST)
    except urllib.error.HTTPError as error:
        error.close()
        if 300 <= error.code < 400:
            raise NotDone("it answers with a redirect; name the address itself", True) from None
        final = error.code < 500 and error.code not in _AGAIN
        raise NotDone(f"it answers {error.code} {error.reason}", final, error.code) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        final = isinstance(error, ValueError) and not isinstance(error, OSError)
        raise NotDone(f"{reason}" or type(error).__name__, final) from None
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
