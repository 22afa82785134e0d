"""One at a time: whoever installs, upgrades or brings to an end what was cut off. Standard library alone.

The lock is the process's: it goes with it, however it ends, and stays with it when another program takes its place.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from installer.setup import layout

_held: list[int] = []


class Busy(Exception):
    """Another process is at it."""


@contextmanager
def held() -> Iterator[None]:
    """Raises Busy. Who has it already may ask again."""
    if _held:
        yield
        return
    lock = os.open(layout.LOGS / "install.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Not flock: that would be refused to the second half of an installation, which opens the file once more.
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Busy from None
    os.set_inheritable(lock, True)
    _held.append(lock)
    try:
        yield
    finally:
        _held.remove(lock)
        os.close(lock)
