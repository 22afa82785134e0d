"""What a log line may hold."""

from __future__ import annotations

import json
import subprocess
import sys

FAILS = """
from appliance import logs

logs.configure("info", "trial")
log = logs.get("appliance.trial")


def failing(client_phone):
    password = "hunter2"
    raise ValueError(f"no good number: {client_phone}")


try:
    failing("+7 495 123-45-67")
except ValueError:
    log.exception("trial_failed", call_id="c1")
"""


def test_a_logged_crash_tells_where_but_not_with_what() -> None:
    done = subprocess.run([sys.executable, "-c", FAILS], capture_output=True, text=True, check=True)
    line = json.loads(done.stderr)
    assert line["event"] == "trial_failed"
    assert line["call_id"] == "c1"
    [crash] = line["exception"]
    assert crash["exc_type"] == "ValueError"
    assert crash["frames"][-1]["name"] == "failing"
    assert "495 123-45-67" not in done.stderr
    assert "hunter2" not in done.stderr
