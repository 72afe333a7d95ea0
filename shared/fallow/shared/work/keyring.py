"""Keeps a job away from the keys that the kernel holds for a login: tickets, opened folders.

Not the sandbox: the kernel's keys have no path, and a child inherits them. The opposites are
`sandbox`, for what has a path, and `landlock`, for abstract sockets.
"""

import ctypes
import errno
import os

# Its number in this architecture; libc has no function for it.
KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280}
_JOIN_SESSION_KEYRING = 1


def leave_keys_behind() -> None:
    """From now on this thread and all it starts have an empty keyring of their own.

    A kernel without keys, and a container that forbids to ask for them, have none to hide. Raises
    OSError.
    """
    number = KEYCTL.get(os.uname().machine)
    if number is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, _JOIN_SESSION_KEYRING, None) < 0:
        code = ctypes.get_errno()
        if code not in {errno.ENOSYS, errno.EPERM}:
            raise OSError(code, "KEYCTL_JOIN_SESSION_KEYRING")
