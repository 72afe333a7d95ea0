"""A coordinator's door and its visitors, on real sockets.

Not a coordinator: what comes in is read by the test. The opposite is `fakes`, without sockets.
"""

from collections.abc import Generator

import pytest

from sockets.doors import Door


@pytest.fixture
def door() -> Generator[Door]:
    with Door() as door:
        yield door
