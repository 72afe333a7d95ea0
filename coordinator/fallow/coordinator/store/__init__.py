"""What the coordinator knows, on disk: one database, and the lock of its folder.

Not the decisions (`core`). `database` has the transactions, `rows` the tables row by row.
"""

from fallow.coordinator.store.database import NAME, Store
from fallow.coordinator.store.lock import DataDirLock
from fallow.coordinator.store.saves import (
    AnySave,
    BuildOutputKept,
    Cleared,
    Committing,
    Doomed,
    ForgetEvents,
    Kept,
    NoticeGone,
    NoticeKept,
    RoomKept,
    Undone,
)

__all__ = [
    "NAME",
    "AnySave",
    "BuildOutputKept",
    "Cleared",
    "Committing",
    "DataDirLock",
    "Doomed",
    "ForgetEvents",
    "Kept",
    "NoticeGone",
    "NoticeKept",
    "RoomKept",
    "Store",
    "Undone",
]
