"""agent.toml: every key of the format is known, and what is wrong is named."""

import pytest

from fallow.shared.errors import FallowError
from fallow.shared.work.settings import Jobs
from fallow.tray.config import Config, Offer, loads
from fallow.tray.presence import Policy

FULL = """
[presence]
idle_after = "5m"
settle = "10s"
hours = []
ac_only = false
exclusive = []
desk = false
foreign_cpu = 0.5
[offer]
capabilities = ["gfortran", "python3"]
cpus = 4
memory = "16GiB"
gpus = "all"
disk_reserve = "20GiB"
bandwidth = "none"
not_from = []
[jobs]
sandbox = "bubblewrap"
read_only = ["/opt/conda"]
nice = 10
max_pause = "never"
"""


def test_all_keys_are_understood() -> None:
    assert loads(FULL) == Config(
        Policy(idle_after=300.0, settle=10.0, desk=False, ac_only=False),
        Offer(("gfortran", "python3"), 4, float(16 << 30), 20 << 30),
        Jobs("bubblewrap", ("/opt/conda",), 10),
    )


def test_all_has_a_default() -> None:
    assert loads("") == Config()
    assert Config().presence.idle_after == 600.0
    assert Config().offer.memory == 0.8


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('[presence]\nidle_afer = "1m"', "idle_after"),
        ('[presense]\nidle_after = "1m"', "presence"),
        ('[presence]\nidle_after = "soon"', "presence.idle_after = 'soon'"),
        ("[presence]\nidle_after = 600", "quotes"),
        ("[presence]\ndesk = 1", "true or false"),
        ('[offer]\nmemory = "120%"', "share"),
        ('[offer]\nmemory = "much"', "share"),
        ("[offer]\ncpus = 0", "at least 1"),
        ("[offer]\ncpus = true", "at least 1"),
        ('[offer]\ncapabilities = "gfortran"', "list of words"),
        ('[jobs]\nsandbox = "yes"', '"auto"'),
        ("[jobs]\nnice = 20", "0 to 19"),
        ('[jobs]\nread_only = ["opt"]', "absolute"),
        ('jobs = "none"', "section"),
        ("[jobs", "not TOML"),
        ('[presence]\nhours = ["18:00-08:00"]', "not supported by this release"),
        ('[presence]\nexclusive = ["blender"]', "not supported by this release"),
        ("[presence]\nforeign_cpu = 0.9", "not supported by this release"),
        ("[offer]\ngpus = 1", "not supported by this release"),
        ('[offer]\nbandwidth = "20MB/s"', "not supported by this release"),
        ('[offer]\nnot_from = ["ana"]', "not supported by this release"),
        ('[jobs]\nmax_pause = "2h"', "not supported by this release"),
    ],
)
def test_what_is_wrong_is_named(line: str, said: str) -> None:
    with pytest.raises(FallowError) as caught:
        loads(line)
    assert said in str(caught.value)
    assert str(caught.value).startswith("agent.toml")
