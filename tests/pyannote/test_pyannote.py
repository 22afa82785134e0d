"""A real pyannote.audio in its own process: tiny networks with random weights, loaded and run by all of its code."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from appliance.config import Settings
from appliance.engines import audio
from appliance.engines.diarization.pyannote_process import SILENT, PyannoteDiarizer
from appliance.engines.speech import SAMPLE_RATE, Samples
from appliance.errors import EngineError
from appliance.pipeline.equipment import PYANNOTE_PYTHON, Equipment
from tests.conftest import ROOT, SAMPLES

MEMORY_MB = 3000
INTERPRETER = """#!/bin/sh
PYTHONPATH={hooks} exec {python} "$@"
"""
HOOK = """
import os, sys, traceback

# urllib3 tries, when it is imported, whether a socket of IPv6 can be bound on this machine.
LOCAL = {{"socket.__new__", "socket.bind"}}

def watch(event, arguments):
    if event.startswith("socket.") and event not in LOCAL:
        with open({log!r}, "a") as log:
            log.write(event + "\\n")
            traceback.print_stack(file=log)
        os._exit(99)

sys.addaudithook(watch)
"""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PYANNOTE_PYTHON.exists():
        pytest.skip("NO PYANNOTE: `make test-pyannote` installs it where a CPU torch can be had")
    folder = tmp_path_factory.mktemp("pyannote") / "tiny"
    command = [str(PYANNOTE_PYTHON), "-W", "ignore", str(ROOT / "tests" / "pyannote" / "make_weights.py"), str(folder)]
    subprocess.run(command, check=True, env={**os.environ, **SILENT})
    return folder


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An interpreter that ends at the first look-up of a name or use of a socket, and the file where it says which."""
    folder = tmp_path_factory.mktemp("watched")
    log = folder / "sockets"
    (folder / "sitecustomize.py").write_text(HOOK.format(log=str(log)))
    python = folder / "python"
    python.write_text(INTERPRETER.format(hooks=folder, python=PYANNOTE_PYTHON))
    python.chmod(0o755)
    return python, log


@pytest.fixture(scope="module")
def diarizer(weights: Path, watched: tuple[Path, Path]) -> Iterator[PyannoteDiarizer]:
    made = PyannoteDiarizer(weights, watched[0], memory_mb=MEMORY_MB, device="cpu")
    yield made
    made.close()


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    decoded = tmp_path_factory.mktemp("call") / "samples.s16"
    return audio.samples_of(decoded, audio.decode(SAMPLES / "ru-wrong-number.wav", decoded), 0)


def test_it_tells_two_voices_apart_without_any_socket(
    diarizer: PyannoteDiarizer, call: Samples, watched: tuple[Path, Path]
) -> None:
    told: list[float] = []
    turns = diarizer.diarize(call, on_progress=told.append)
    assert {turn.speaker for turn in turns} == {0, 1}
    assert turns[0].speaker == 0
    assert turns[-1].end_ms <= 1000 * len(call) / SAMPLE_RATE
    for before, after in pairwise(turns):
        assert before.start_ms < before.end_ms <= after.start_ms
    assert told == sorted(told)
    assert 0.5 < told[-1] < 1
    assert diarizer.name == "pyannote tiny"
    assert not watched[1].exists(), watched[1].read_text()


def test_the_hook_sees_what_telemetry_would_do(weights: Path, watched: tuple[Path, Path], tmp_path: Path) -> None:
    """The same pipeline with telemetry on reaches for a network, and is ended for it: so the test above can fail."""
    python, log = watched
    script = tmp_path / "loud.py"
    script.write_text(
        "import sys, time\nfrom pyannote.audio import Pipeline\nPipeline.from_pretrained(sys.argv[1])\ntime.sleep(20)\n"
    )
    loud = {"PATH": os.environ["PATH"], "PYANNOTE_METRICS_ENABLED": "1"}
    done = subprocess.run([str(python), "-W", "ignore", str(script), str(weights)], env=loud, check=False)
    assert done.returncode == 99
    assert log.read_text().startswith("socket.")
    log.unlink()


def test_the_child_refuses_a_network_itself() -> None:
    child = ROOT / "appliance" / "engines" / "diarization" / "pyannote_child.py"
    script = (
        "import runpy, socket, sys\n"
        f"sys.addaudithook(runpy.run_path({str(child)!r})['refuse_network'])\n"
        "try: socket.getaddrinfo('localhost', 80)\n"
        "except PermissionError: print('refused')\n"
    )
    done = subprocess.run(["python3", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_silence_and_next_to_nothing(diarizer: PyannoteDiarizer) -> None:
    assert diarizer.diarize(np.zeros(100, np.float32)) == []
    assert isinstance(diarizer.diarize(np.zeros(SAMPLE_RATE // 4, np.float32)), list)


def test_it_is_started_anew_when_it_has_died(diarizer: PyannoteDiarizer, call: Samples) -> None:
    before = diarizer._child.process
    before.kill()
    before.wait()
    assert diarizer.diarize(call)
    assert diarizer._child.process.pid != before.pid


def test_one_that_dies_at_work_costs_one_attempt(diarizer: PyannoteDiarizer, call: Samples) -> None:
    with pytest.raises(EngineError) as failed:
        diarizer.diarize(call, on_progress=lambda _: diarizer._child.process.kill())
    assert (failed.value.code, failed.value.retryable) == ("diarizer_died", True)
    assert diarizer.diarize(call)


def test_one_that_hangs_is_ended(diarizer: PyannoteDiarizer, call: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    assert diarizer.diarize(call)
    hanging = diarizer._child.process
    hanging.send_signal(signal.SIGSTOP)
    monkeypatch.setattr("appliance.engines.diarization.pyannote_process.LEAST_S", 1.0)
    monkeypatch.setattr("appliance.engines.diarization.pyannote_process.PER_SECOND_OF_SOUND", 0.0)
    with pytest.raises(EngineError) as failed:
        diarizer.diarize(np.tile(call, 20))  # more than the pipe holds
    assert failed.value.code == "diarizer_timeout"
    assert hanging.poll() is not None


def test_asked_to_stop_it_stops(diarizer: PyannoteDiarizer, call: Samples) -> None:
    class StoppingNow(Exception):
        pass

    def stop(_share: float) -> None:
        raise StoppingNow

    with pytest.raises(StoppingNow):
        diarizer.diarize(call, on_progress=stop)
    assert diarizer.diarize(call)


def test_a_recording_beyond_its_memory_is_an_error_and_the_next_goes_on(weights: Path, call: Samples) -> None:
    small = PyannoteDiarizer(weights, PYANNOTE_PYTHON, memory_mb=1000, device="cpu")
    try:
        with pytest.raises(EngineError) as failed:
            small.diarize(np.tile(call, 1200))
        assert failed.value.code in {"diarizer_out_of_memory", "diarizer_died"}
        assert small.diarize(call)
    finally:
        small.close()


def test_it_ends_with_whoever_started_it(weights: Path) -> None:
    child = PyannoteDiarizer(weights, PYANNOTE_PYTHON, memory_mb=MEMORY_MB, device="cpu")._child
    assert child.process.stdin
    child.process.stdin.close()  # what the kernel does where the parent dies
    assert child.process.wait(timeout=10) == 0
    child.end()


def test_what_cannot_be_used_is_said(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be run") as failed:
        PyannoteDiarizer(weights, tmp_path / "python", memory_mb=MEMORY_MB)
    assert failed.value.code == "diarizer_unusable"
    with pytest.raises(EngineError, match=r"holds no config.yaml") as failed:
        PyannoteDiarizer(tmp_path, PYANNOTE_PYTHON, memory_mb=MEMORY_MB)
    assert failed.value.code == "diarizer_weights_unusable"
    assert threading.active_count() < 20


def test_the_settings_choose_it(weights: Path, call: Samples) -> None:
    made = Equipment(
        Settings.offline().model_copy(update={"pyannote_weights": str(weights), "pyannote_memory_mb": MEMORY_MB}),
        stored=False,
    ).diarizer
    try:
        began = time.monotonic()
        assert made.diarize(call)
        assert time.monotonic() - began < 60
        assert made.name == "pyannote tiny"
    finally:
        made.close()
