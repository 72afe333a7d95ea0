"""A computer that is taken to another time zone while Fallow watches it."""

import os
import subprocess
import sys

# In a mount namespace of its own, so that only this process is taken there.
TRAVELS = """
import subprocess, sys
from datetime import datetime
from fallow.shared.clock import SystemClock
from fallow.tray.sensors.watch import Watch
from fallow.tray.windows import inside, parse_window

watch = Watch((), 0.0)
nights = (parse_window("18:00-08:00"),)
noon = 12 * 3600.0
for zone in ("Etc/UTC", "Asia/Tokyo", "America/New_York"):
    place = f"/usr/share/zoneinfo/{zone}"
    subprocess.run(["mount", "--bind", place, "/etc/localtime"], check=True)
    watch.readings(SystemClock().now())
    print(datetime.fromtimestamp(noon).hour, inside(nights, noon))
watch.close()
"""


def test_hours_are_those_of_where_the_computer_is() -> None:
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    words = ["unshare", *user, "--mount", sys.executable, "-c", TRAVELS]
    environment = {name: value for name, value in os.environ.items() if name != "TZ"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["12 False", "21 True", "7 True"]
