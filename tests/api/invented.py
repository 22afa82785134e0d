"""Schemathesis' hook of test_schemathesis.py: what the tests need to the end is only read.

KEPT names a file of ids. A generator learns them from the answers, and would have an admin end the own session, after
which it asks as a stranger, or delete whoever asks next.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import schemathesis

KEPT = frozenset(json.loads(Path(os.environ["KEPT"]).read_text(encoding="utf-8")))


def _other(value: Any) -> Any:
    """An invented id in the place of a kept one."""
    return str(uuid4()) if str(value).lower() in KEPT else value


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Let nothing but a GET name what is kept."""
    if case.method.upper() == "GET":
        return
    for name, value in (case.path_parameters or {}).items():
        case.path_parameters[name] = _other(value)
    if isinstance(case.body, dict):
        for name in ("ids", "calls"):
            if isinstance(case.body.get(name), list):
                case.body[name] = [_other(value) for value in case.body[name]]
