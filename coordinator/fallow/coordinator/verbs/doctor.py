"""`coordinator doctor`: look at this installation and say what to do.

It changes nothing. The looking is `fallow.coordinator.checkup`.
"""

import click

from fallow.coordinator import checkup, render
from fallow.coordinator.verbs.options import coordinator_option, example, json_option


@click.command(epilog=example("coordinator doctor", "coordinator doctor --json"))
@json_option
@coordinator_option
def doctor(as_json: bool, coordinator: str | None) -> int:
    """Check this installation and say what to do. Exit code 1 when something is wrong."""
    findings = list(checkup.examine(coordinator))
    if as_json:
        render.print_json({"ok": all(one.ok for one in findings), "checks": findings})
    else:
        for one in findings:
            print(f"{'ok  ' if one.ok else 'FAIL'}  {one.what}: {one.text}")
            if one.hint and not one.ok:
                print(f"      hint: {one.hint}")
    return 0 if all(one.ok for one in findings) else 1
