"""Keeps a job away from abstract UNIX sockets: those of the X server and of the session's D-Bus.

Not the sandbox: hiding files does not hide these, since they belong to the network, which a job
shares. The opposite is `sandbox`, which hides everything that has a path. Linux 6.12 or newer.
"""

import ctypes
import functools
import os
import struct

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION = 1
_SCOPE_ABSTRACT_UNIX_SOCKET = 1
_FIRST_WITH_SCOPES = 6
_PR_SET_NO_NEW_PRIVS = 38


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def available() -> bool:
    """Whether this kernel can do it."""
    return bool(_libc().syscall(_CREATE_RULESET, None, 0, _VERSION) >= _FIRST_WITH_SCOPES)


def confine_this_thread() -> None:
    """From now on this thread and all it starts reach only abstract sockets made among themselves.

    There is no way back, so it is for a thread that ends soon. Raises OSError.
    """
    rules = struct.pack("QQQ", 0, 0, _SCOPE_ABSTRACT_UNIX_SOCKET)
    ruleset = _libc().syscall(_CREATE_RULESET, rules, len(rules), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    try:
        if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
        if _libc().syscall(_RESTRICT_SELF, ruleset, 0):
            raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    finally:
        os.close(ruleset)
