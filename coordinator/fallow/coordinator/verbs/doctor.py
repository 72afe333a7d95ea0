"""`coordinator doctor`: look at this installation and say what to do.

It changes nothing. Each check is a function that gives one Finding.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import click
from msgspec import Struct

from fallow.coordinator import places, render
from fallow.coordinator.client import Client
from fallow.coordinator.verbs.options import coordinator_option, example, json_option
from fallow.shared.account import key_file
from fallow.shared.errors import FallowError
from fallow.shared.messages import Nodes, NodesReply


class Finding(Struct, frozen=True):
    """One thing that was looked at: whether it is as it should be, and what to do if not."""

    what: str
    ok: bool
    text: str
    hint: str = ""


@click.command(epilog=example("coordinator doctor"))
@json_option
@coordinator_option
def doctor(as_json: bool, coordinator: str | None) -> int:
    """Check this installation and say what to do. Exit code 1 when something is wrong."""
    findings = list(_look(coordinator))
    if as_json:
        render.print_json({"ok": all(one.ok for one in findings), "checks": findings})
    else:
        for one in findings:
            print(f"{'ok  ' if one.ok else 'FAIL'}  {one.what}: {one.text}")
            if one.hint and not one.ok:
                print(f"      hint: {one.hint}")
    return 0 if all(one.ok for one in findings) else 1


def _look(coordinator: str | None) -> Iterator[Finding]:
    try:
        target = places.choose(coordinator)
    except FallowError as error:
        yield Finding("coordinator", False, error.title, error.hint)
        return
    if isinstance(target, Path):
        yield from _data_dir(target)
    else:
        yield _private(key_file(target.key), "key")
    yield _answers(coordinator, target)


def _data_dir(folder: Path) -> Iterator[Finding]:
    if not folder.is_dir():
        yield Finding(
            "data folder", False, f"{folder} is not there", "start one: coordinator serve"
        )
        return
    free = os.statvfs(folder)
    room = free.f_bavail * free.f_frsize
    yield Finding(
        "data folder",
        os.access(folder, os.W_OK) and room > 1 << 30,
        f"{folder}, {render.size(room)} free",
        "make room on that disk, and see that this user may write there",
    )
    yield _private(folder / "keys" / "server", "server key")


def _private(path: Path, what: str) -> Finding:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return Finding(
            what, False, f"{path}: {error.strerror}", "join again, or start `serve` once"
        )
    return Finding(
        what,
        not mode & 0o077,
        f"{path} has mode {mode:04o}",
        f"others may have read it: chmod 600 {path}, or make a new one",
    )


def _answers(coordinator: str | None, target: places.Joined | Path) -> Finding:
    where = str(target) if isinstance(target, Path) else target.addresses[0]
    try:
        with Client(coordinator, timeout=5.0) as client:
            nodes = client.ask(Nodes(), NodesReply).nodes
    except FallowError as error:
        return Finding("coordinator", False, f"{where}: {error.title}", error.hint)
    online = sum(node.last_report_seconds is not None for node in nodes)
    return Finding(
        "coordinator", True, f"{where} answers; {len(nodes)} workstations, {online} seen"
    )
