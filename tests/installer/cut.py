"""Work that is cut off before a change of the file system. For programs apart from pytest, because they fork."""

from __future__ import annotations

import os
import sys
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "shutil.copyfile"}
CUT = 9


def forked(work: Any, after: int) -> bool:
    """Do it in a process that dies before change number `after`; whether it came to its end."""
    child = os.fork()
    if not child:
        left = [after]

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in CHANGES or writes:
                left[0] -= 1
                if left[0] < 0:
                    os._exit(CUT)

        sys.addaudithook(count)
        work()
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in {0, CUT}, ended
    return ended == 0
