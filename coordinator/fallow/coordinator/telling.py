"""Whom a batch's end or standstill is told, in which words: off unless its submitter asks for it.

Not the sending (`couriers`) nor the keeping (`notifying`). Pure: what this coordinator can send is
a value, `Ways`; the opposite is `fallow.shared.terms`, which reads the same words in a batch file.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from fallow.shared.batch import Batch
from fallow.shared.errors import Refused

DESKTOP = "desktop"
MATRIX = "matrix:"
GIVE_UP = 86400.0
"""Seconds after which nobody tries a message to Matrix or a webhook any more."""
KEEP = 7 * 86400.0
"""Seconds for which a message waits for its person to be at a desk."""
_FIRST, _LONGEST = 5.0, 3600.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Ways(Struct, frozen=True):
    """What this coordinator can send: to Matrix, and to which hosts (None: any)."""

    matrix: bool = False
    hosts: tuple[str, ...] | None = None


class Message(Struct, frozen=True):
    """One message for one target; `content` is what a webhook gets."""

    ref: str
    person: str
    target: str
    title: str
    text: str
    content: dict[str, Any]


def targets(batch: Batch) -> tuple[str, ...]:
    """Everybody who is to be told, once."""
    asked = dict.fromkeys(batch.notify)
    if batch.meta.matrix is not None:
        asked[MATRIX + batch.meta.matrix] = None
    return tuple(asked)


def check(batch: Batch, ways: Ways) -> tuple[str, ...]:
    """Warnings; Refused when `notify` asks for what this coordinator cannot do.

    For `meta.matrix` it is a warning: files that were written for another system run unchanged.
    """
    for target in batch.notify:
        problem = _problem(target, ways)
        if problem is not None:
            raise Refused(
                f"This coordinator cannot tell {said(target)}",
                problem,
                "leave it out of notify, or ask whoever runs the coordinator",
            )
    matrix = batch.meta.matrix
    if matrix is None or ways.matrix or MATRIX + matrix in batch.notify:
        return ()
    return (f"{matrix} will not be told of the end: {_NO_MATRIX}",)


_NO_MATRIX = "no [matrix] homeserver is set in its coordinator.toml."


def _problem(target: str, ways: Ways) -> str | None:
    if target == DESKTOP:
        return None
    if target.startswith(MATRIX):
        return None if ways.matrix else _NO_MATRIX[0].upper() + _NO_MATRIX[1:]
    try:
        parts = urlsplit(target)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "That is no web address."
    if not host or parts.scheme not in ("http", "https"):
        return "That is no web address."
    if parts.username is not None or parts.password is not None:
        return "A web address with a password in it would be seen by others."
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "Over http anybody on the way could read it: only https can be used."
    if ways.hosts is not None and host not in ways.hosts:
        return f"Its coordinator.toml does not have {host} among the [webhooks] hosts."
    return None


def said(target: str) -> str:
    """The target as others may see it: the rest of a webhook's address is often a secret."""
    if target == DESKTOP:
        return "its desktop"
    if target.startswith(MATRIX):
        return target.removeprefix(MATRIX)
    try:
        parts = urlsplit(target)
    except ValueError:
        return "that webhook"
    return f"{parts.scheme}://{parts.hostname}/…"


def messages(
    namespace: str,
    name: str,
    owner: str,
    batch: Batch,
    state: str,
    counts: dict[str, int],
    held: str = "",
) -> Iterable[Message]:
    """What to say now that the batch has ended, or that none of it goes on: `held` says why."""
    ref = f"{namespace}:{name}"
    told = {state: number for state, number in counts.items() if number}
    words = ", ".join(f"{number} {state}" for state, number in told.items())
    jobs = sum(told.values())
    title = f"{ref} is held" if held else f"{ref} has ended"
    if held:
        some = f" Of {jobs} jobs: {words}." if jobs > 1 else ""
        text = f"Because {held}.{some} What helps: coordinator why {ref}"
    elif told.get("succeeded", 0) == jobs:
        text = "Its job succeeded." if jobs == 1 else f"All {jobs} jobs succeeded."
    else:
        text = f"Of {jobs} jobs: {words}."
    content = {
        "schema": 1,
        "event": "batch_held" if held else "batch_ended",
        "namespace": namespace,
        "batch": name,
        "owner": owner,
        "state": state,
        "counts": told,
        # By this key chat servers show a webhook's message.
        "text": f"{title}. {text}",
    }
    for target in targets(batch):
        yield Message(ref, owner, target, title, text, content)


def back_off(tries: int) -> float:
    """Seconds until the next try after so many."""
    return min(_FIRST * 2.0 ** min(max(tries - 1, 0), 20), _LONGEST)
