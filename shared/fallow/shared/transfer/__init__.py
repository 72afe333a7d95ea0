"""The threads that carry blobs: a server for all peers of a coordinator, a client for one server.

Not what is asked for or sent next: `exchange` decides, and is the opposite. Data has sockets and
threads of its own, so that a big file never delays a heartbeat.
"""

from fallow.shared.exchange import Delivered, NotMoved, Progressed, Stored
from fallow.shared.transfer.client import (
    ClientEvent,
    Connected,
    DataClient,
    Denied,
    Disconnected,
)
from fallow.shared.transfer.command import Item, move_all
from fallow.shared.transfer.finisher import DATA_LIMITS
from fallow.shared.transfer.server import DataServer

__all__ = [
    "DATA_LIMITS",
    "ClientEvent",
    "Connected",
    "DataClient",
    "DataServer",
    "Delivered",
    "Denied",
    "Disconnected",
    "Item",
    "NotMoved",
    "Progressed",
    "Stored",
    "move_all",
]
