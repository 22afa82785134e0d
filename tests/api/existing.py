"""Schemathesis' hooks of test_schemathesis.py: requests are for objects that exist, and answers are looked through.

EXISTING names a file of what there is: ids by pool; `hidden`: what no answer may hold. SEEN names one to which each
request adds a line: the operation, the status, and what it showed of the hidden.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import Any

import requests
import schemathesis

KNOWN = json.loads(Path(os.environ["EXISTING"]).read_text(encoding="utf-8"))
SEEN = Path(os.environ["SEEN"])

APART = {
    "PATCH /api/calls/{call_id}": "calls_to_change",
    "DELETE /api/calls/{call_id}": "calls_to_go",
    "POST /api/calls/batch-delete": "calls_to_go_together",
    "DELETE /api/users/{user_id}": "users_to_go",
}
"""Requests that would leave nothing for the others, or nothing of a manager's, have objects of their own."""

POOLS = {"call_id": "calls", "ids": "calls", "calls": "calls", "session_id": "sessions", "reanalysis_id": "reanalyses"}

_turns: Counter[tuple[str, ...]] = Counter()
_lock = Lock()


def _next(pool: str, key: tuple[str, ...]) -> str:
    with _lock:
        turn = _turns[key]
        _turns[key] += 1
    return str(KNOWN[pool][turn % len(KNOWN[pool])])


def _key(case: Any, name: str) -> tuple[str, ...]:
    """What takes turns apart from the rest: a manager may set some fields of a call and not others, and is to try
    each with an own call and with another's.
    """
    fields = case.body if isinstance(case.body, dict) else {}
    return (_operation(case), name, *sorted(str(field) for field, value in fields.items() if value is not None))


def _pool(operation: str, name: str) -> str:
    method, path = operation.split()
    if name == "user_id":
        return APART.get(operation) or ("users" if method == "GET" else "users_to_change")
    if name == "name":
        return path.split("/")[-2]
    return APART.get(operation) or POOLS[name]


def _operation(case: Any) -> str:
    return f"{case.method.upper()} {case.path}"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Put ids of what exists into the path and the body."""
    operation = _operation(case)
    for name in case.path_parameters or {}:
        case.path_parameters[name] = _next(_pool(operation, name), _key(case, name))
    if isinstance(case.body, dict):
        for name in ("ids", "calls"):
            if isinstance(case.body.get(name), list):
                case.body[name] = [_next(_pool(operation, name), _key(case, name)) for _ in range(2)]


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Note what became of it."""
    said = response.content.decode("utf-8", "replace")
    if case.path == "/api/calls/export" and response.status_code == 200:
        said += requests.get(response.json()["download_url"], timeout=60).text
    shown = [sign for sign in KNOWN["hidden"] if sign in said]
    if response.status_code == 422:  # of the request alone: the object's turn is still to come
        with _lock:
            _turns.subtract(_key(case, name) for name in case.path_parameters or {})
    with _lock, SEEN.open("a", encoding="utf-8") as file:
        file.write(json.dumps([_operation(case), response.status_code, shown]) + "\n")
