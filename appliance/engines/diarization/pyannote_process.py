"""pyannote.audio 4 in a process of its own: started once, kept warm, started anew when it has died.

torch is there of another build than speech recognition's CUDA, and what it crashes on takes no worker with it. The
process knows no settings and no secrets, and cannot reach a network.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from appliance.engines.diarization import SpeakerTurn, name_of
from appliance.engines.diarization.handover import by_sides
from appliance.engines.diarization.turns import in_order_of_appearance
from appliance.engines.recall import Recall, afresh
from appliance.engines.speech import SAMPLE_RATE, Sound
from appliance.errors import EngineError

CHILD = Path(__file__).with_name("pyannote_child.py")

START_S = 300.0
"""torch and the weights from a cold disk; seconds from a warm one."""

LEAST_S, PER_SECOND_OF_SOUND = 120.0, 3.0
"""Time for a recording: on a card it takes a hundredth of its length, on a slow processor one and a half times that."""

SHORTEST = SAMPLE_RATE // 10
"""Nothing is said in a tenth of a second, and the networks' kernels are wider than some shorter inputs."""

WITH_HANDOVER = 3
"""Voices that are listened for; unless one of them takes over from another it is asked for two."""

BLOCK = 2**20
"""Samples that are converted and written at a time."""

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CALL_ANALYTICS_SITE")
"""Variables that the process is given; the last one lets a start after a crash find it."""

SILENT = {
    "PYANNOTE_METRICS_ENABLED": "0",
    "OTEL_SDK_DISABLED": "true",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}
"""pyannote.audio 4 tells its makers of every recording unless it is told not to."""


class PyannoteDiarizer:
    """Tells voices apart with a local pipeline of pyannote.audio (community-1, or 3.1), one recording at a time."""

    def __init__(self, weights: Path, python: Path, *, memory_mb: int, device: str = "auto") -> None:
        """Start the process and load the pipeline. Raises EngineError.

        python: the interpreter of pyannote's environment. memory_mb: of the card, or without one of the process.
        """
        self.name = name_of(str(weights))
        options = ["--device", device, "--memory-mb", str(memory_mb)]
        self._command = [str(python), "-P", "-s", str(CHILD), str(weights.absolute()), *options]
        self._turn = threading.Lock()
        self._child = _Child(self._command)

    def diarize(
        self,
        samples: Sound,
        *,
        speakers: int = 2,
        on_progress: Callable[[float], None] = lambda _: None,
        recall: Recall = afresh,  # noqa: ARG002 - its pipeline takes a recording whole
    ) -> list[SpeakerTurn]:
        """See Diarizer. Raises EngineError; what `on_progress` raises ends the process's work."""
        if len(samples) < SHORTEST:
            return []
        with self._my_turn(on_progress):
            if not self._child.lives:
                self._child.end()
                self._child = _Child(self._command)
            found = self._child.diarize(samples, (speakers, max(speakers, WITH_HANDOVER)), on_progress)
            if len({turn.speaker for turn in found}) <= speakers:
                return found
            return by_sides(found) or self._child.diarize(samples, (speakers, speakers), lambda _: on_progress(0.95))

    @contextmanager
    def _my_turn(self, on_progress: Callable[[float], None]) -> Iterator[None]:
        while not self._turn.acquire(timeout=1.0):
            on_progress(0.0)
        try:
            yield
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the process."""
        self._child.end()


class _Child:
    """One process of `pyannote_child` and the pipes to it."""

    def __init__(self, command: list[str]) -> None:
        """Start it and wait until it is ready. Raises EngineError."""
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        environment = {name: os.environ[name] for name in KEPT if name in os.environ} | SILENT
        try:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,
            )
        except OSError as error:
            raise EngineError("diarizer_unusable", f"{command[0]} cannot be run: {error.strerror}") from None
        self._heard = b""
        self._exchange("ready", START_S, lambda: None, lambda _: None)

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def diarize(
        self, samples: Sound, voices: tuple[int, int], on_progress: Callable[[float], None]
    ) -> list[SpeakerTurn]:
        """Turns of so many voices, the fewest and the most. Raises EngineError."""
        request = {"samples": len(samples), "voices": voices}

        def send() -> None:
            to = _pipe(self.process.stdin)
            to.write(json.dumps(request).encode() + b"\n")
            for start in range(0, len(samples), BLOCK):
                block = np.rint(samples[start : start + BLOCK] * 32768).clip(-32768, 32767)
                _write(to, block.astype("<i2").tobytes())

        limit_s = LEAST_S + PER_SECOND_OF_SOUND * len(samples) / SAMPLE_RATE
        turns = self._exchange("turns", limit_s, send, on_progress)
        # The last window is filled up with silence, into which a turn may reach.
        end_ms = 1000 * len(samples) // SAMPLE_RATE
        within = [SpeakerTurn(start, min(end, end_ms), voice) for start, end, voice in sorted(turns) if start < end_ms]
        return in_order_of_appearance(within)

    def _exchange(
        self, wanted: str, limit_s: float, send: Callable[[], None], on_progress: Callable[[float], None]
    ) -> Any:
        """Send, then hear what comes until what is wanted does; a process that does not answer in time is ended."""
        late = threading.Event()

        def end_it() -> None:
            late.set()
            self.process.kill()

        watchdog = threading.Timer(limit_s, end_it)
        watchdog.daemon = True
        watchdog.start()
        try:
            send()
            return self._answer(wanted, on_progress)
        except (BrokenPipeError, EOFError):
            if late.is_set():
                why = EngineError("diarizer_timeout", f"no answer within {limit_s:.0f} s", retryable=True)
            else:
                why = EngineError("diarizer_died", f"the process ended: {self._last_complaint()}", retryable=True)
            self.end()
            raise why from None
        except BaseException as error:
            # Told what failed it works on; asked to stop amid its work it must not answer the next request with this.
            if not isinstance(error, EngineError) or wanted == "ready":
                self.end()
            raise
        finally:
            watchdog.cancel()

    def _answer(self, wanted: str, on_progress: Callable[[float], None]) -> Any:
        share = 0.0
        for said in self._messages():
            if "failed" in said:
                code, reason = said["failed"]
                raise EngineError(code, reason, retryable=code == "diarizer_out_of_memory")
            if wanted in said:
                return said[wanted]
            share = said.get("progress", share)
            on_progress(share)
        raise EOFError

    def _messages(self) -> Iterator[dict[str, Any]]:
        """What the child says; an empty message for every second of silence."""
        source = _pipe(self.process.stdout)
        with selectors.DefaultSelector() as ready:
            ready.register(source, selectors.EVENT_READ)
            while True:
                if not ready.select(timeout=1.0):
                    yield {}
                    continue
                more = source.read(65_536)
                if not more:
                    return
                *lines, self._heard = (self._heard + more).split(b"\n")
                yield from map(json.loads, lines)

    def _last_complaint(self) -> str:
        status = self.process.wait()
        self._complaints.seek(0)
        said = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return (said[-1] if said else f"exit status {status}")[:300]

    def end(self) -> None:
        """Kill the process where it still lives, and forget it."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self._complaints):
            if pipe:
                pipe.close()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None or pipe.closed:
        raise EOFError
    return pipe


def _write(to: IO[bytes], block: bytes) -> None:
    """All of it: an unbuffered pipe takes what fits."""
    left = memoryview(block)
    while left:
        left = left[to.write(left) :]
