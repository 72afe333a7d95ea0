"""What counts as an address, and which ones only this computer can reach."""

import pytest

from fallow.shared.addresses import data_address, is_loopback, is_wildcard, split_address
from fallow.shared.errors import FallowError


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("tcp://lab-server:8952", "lab-server", 8952),
        ("tcp://10.0.0.7:0", "10.0.0.7", 0),
        ("tcp://[fe80::1]:8952", "[fe80::1]", 8952),
        ("tcp://*:8952", "*", 8952),
    ],
)
def test_addresses_are_read(address: str, host: str, port: int) -> None:
    assert split_address(address) == (host, port)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "lab:8952",
        "tcp://lab",
        "tcp://lab:",
        "tcp://lab:99999",
        "tcp://a b:1",
        "tcp://:1",
        "tcp://fe80::1:8952",
        "ipc:///x",
        "tcp://lab:1/x",
        "tcp://lab:8952\n",
    ],
)
def test_other_texts_are_refused(address: str) -> None:
    with pytest.raises(FallowError, match="is not an address"):
        split_address(address)


def test_the_data_port_is_the_next_one() -> None:
    assert data_address("tcp://lab:8952") == "tcp://lab:8953"
    assert data_address("tcp://[::1]:8952") == "tcp://[::1]:8953"


def test_loopback_and_wildcard() -> None:
    loopback = ["tcp://127.0.0.1:1", "tcp://127.8.8.8:1", "tcp://localhost:1", "tcp://[::1]:1"]
    outside = ["tcp://lab:1", "tcp://10.0.0.7:1", "tcp://[fe80::1]:1"]
    everywhere = ["tcp://*:1", "tcp://0.0.0.0:1", "tcp://[::]:1"]
    assert all(is_loopback(one) for one in loopback)
    assert not any(is_loopback(one) for one in outside + everywhere)
    assert all(is_wildcard(one) for one in everywhere)
    assert not any(is_wildcard(one) for one in outside + loopback)
