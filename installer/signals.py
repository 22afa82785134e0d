"""What a cut connection, a stop from outside or a second Ctrl-C does to work that must not be left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def left_in_order() -> Iterator[None]:
    """A connection that is cut and a stop from outside end the work as a failure does: what was there is put back."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    # Under nohup the end of a connection stays nobody's concern.
    numbers = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN]
    known = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Putting back is not left half done by a second Ctrl-C."""
    known = {}
    if threading.current_thread() is threading.main_thread():
        # A handler, not SIG_IGN: programs that are started meanwhile would inherit that.
        known = {
            number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
    try:
        yield
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)
