"""What supervisor's log and the workers' own sign tell of processes that are down, restart, or say nothing."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from appliance.config import Settings
from appliance.services import certificates, processes, readiness
from appliance.tasks import alive


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    chosen = Settings.offline().model_copy(update={"data_dir": tmp_path, "node_name": "", "tls_cert_file": ""})
    for module in (processes, alive, certificates):
        monkeypatch.setattr(module, "settings", lambda: chosen)
    (tmp_path / "log").mkdir()
    return tmp_path


def log(home: Path, *lines: tuple[float, str]) -> None:
    """Lines as supervisor writes them, by how many seconds ago."""
    now = datetime.now().astimezone()
    text = [f"{now - timedelta(seconds=ago):%Y-%m-%d %H:%M:%S},123 {said}\n" for ago, said in lines]
    (home / processes.LOG).write_text("".join(text), encoding="utf-8")


def crash(ago: float) -> list[tuple[float, str]]:
    return [
        (ago, "WARN exited: speech (terminated by SIGKILL; not expected)"),
        (ago, "INFO spawned: 'speech' with pid 4242"),
        (ago, "INFO success: speech entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)"),
    ]


def test_one_crash_is_mended_and_three_in_ten_minutes_are_told(home: Path) -> None:
    started = [(4000, "INFO supervisord started with pid 1"), (4000, "INFO spawned: 'speech' with pid 2")]
    log(home, *started, *crash(500))
    assert processes.troubles() == processes.Troubles([], [], frozenset())
    log(home, *started, *crash(3000), *crash(2000), *crash(500))
    assert not processes.troubles().restarting
    log(home, *started, *crash(500), *crash(300), *crash(200))
    assert processes.troubles().restarting == ["speech"]
    log(home, *started, *crash(500), *crash(300), *crash(200), (100, "INFO supervisord started with pid 9"))
    assert not processes.troubles().restarting, "what was before the start is past"


def test_what_has_ended_and_is_not_started_again_is_down(home: Path) -> None:
    log(
        home,
        (90, "INFO spawned: 'vllm' with pid 4"),
        (90, "INFO spawned: 'api' with pid 5"),
        (80, "WARN exited: vllm (exit status 1; not expected)"),
        (80, "INFO gave up: vllm entered FATAL state, too many start retries too quickly"),
        (70, "INFO stopped: api (exit status 0)"),
    )
    assert processes.troubles().down == ["vllm"]


def test_a_log_that_is_missing_or_strange_tells_of_nothing(home: Path) -> None:
    assert processes.troubles() == processes.Troubles([], [], frozenset())
    (home / processes.LOG).write_bytes(b"\xff\x00\nno line of a log\n")
    assert processes.troubles() == processes.Troubles([], [], frozenset())


def test_a_worker_that_beats_is_alive_and_one_that_stopped_is_silent(home: Path) -> None:
    assert alive.silent() == ["speech", "analysis", "housekeeping"]
    stop = Event()
    for name in ("speech", "analysis", "housekeeping"):
        alive.keep(name, stop)
    deadline = time.monotonic() + 60
    while alive.silent() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive.silent()
    stop.set()
    long_ago = time.time() - alive.SILENT_S - 1
    os.utime(home / alive.FOLDER / "analysis", (long_ago, long_ago))
    assert alive.silent() == ["analysis"]
    log(home, (3, "INFO spawned: 'analysis' with pid 7"))
    assert readiness.machine().workers_silent == [], "it has only just been started"
    log(home, (300, "INFO spawned: 'analysis' with pid 7"))
    found = readiness.machine()
    assert found.workers_silent == ["analysis"]
    assert readiness.problems_of(found)["worker_silent"]
