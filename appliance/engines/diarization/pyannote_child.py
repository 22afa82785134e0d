"""pyannote.audio at work: run as a script by the interpreter of its own environment, so it imports nothing of ours.

It speaks with `pyannote_process` over its standard input and output, one line of JSON a message:

    child:  {"ready": {"pyannote": "4.0.7", "device": "cuda"}}
    parent: {"samples": 160000, "voices": [2, 2]}, then so many samples of 16 bits at 16 kHz
    child:  {"progress": 0.4} as often as there is news, then {"turns": [[start_ms, end_ms, speaker], ...]}

or {"failed": [code, reason]} instead of `ready` and `turns`. The child ends when its input does, whatever it is doing.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

SAMPLE_RATE = 16_000

NETWORK = {
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyaddr",
    "socket.gethostbyname",
    "socket.getnameinfo",
    "socket.sendmsg",
    "socket.sendto",
}
"""What Python tells its audit hooks before it reaches for a network."""

STEPS = {"segmentation": (0.05, 0.5), "embeddings": (0.5, 0.95)}
"""Share of the work at which pyannote's two long steps begin and end."""

Request = tuple[dict[str, Any], bytes]


def refuse_network(event: str, _arguments: tuple[Any, ...]) -> None:
    """An audit hook: telemetry is switched off, and should a new release not heed that, it still gets nowhere."""
    if event in NETWORK:
        raise PermissionError(f"{event}: the diarizer has no business on a network")


def main() -> None:
    """Load, say so, and answer requests until the input ends."""
    options = argparse.ArgumentParser()
    options.add_argument("weights", type=Path)
    options.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options.add_argument("--memory-mb", type=int, required=True)
    chosen = options.parse_args()
    sys.addaudithook(refuse_network)
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the end of the input is ours
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print must not come between the messages
    warnings.simplefilter("ignore")
    try:
        diarizer = Loaded(chosen.weights, chosen.device, chosen.memory_mb)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from loading, the parent is to know
        tell(answers, failed=_reason(error, "diarizer_weights_unusable"))
        return
    tell(answers, ready={"pyannote": diarizer.version, "device": diarizer.device})
    requests: queue.Queue[Request] = queue.Queue(1)
    threading.Thread(target=listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    while True:
        asked, sound = requests.get()
        try:
            turns = diarizer.turns(sound, asked["voices"], lambda share: tell(answers, progress=share))
        except Exception as error:  # noqa: BLE001 - the recording's fault or the card's: this process goes on
            tell(answers, failed=_reason(error, "diarizer_failed"))
        else:
            tell(answers, turns=turns)


def tell(answers: BinaryIO, **said: Any) -> None:
    """Send one message."""
    answers.write(json.dumps(said).encode() + b"\n")


def listen(source: BinaryIO, requests: queue.Queue[Request]) -> None:
    """Read requests; end the process at once where whoever asks is gone: nobody wants the answer any more."""
    try:
        while line := source.readline():
            asked = json.loads(line)
            requests.put((asked, source.read(2 * asked["samples"])))
    except MemoryError:
        sys.stderr.write("no memory left for the recording\n")
    finally:
        os._exit(0)


def _reason(error: Exception, code: str) -> tuple[str, str]:
    text = str(error).strip().splitlines()
    short = f"{type(error).__name__}: {text[0] if text else ''}"[:300]
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "can't allocate memory" in short:
        return "diarizer_out_of_memory", short
    return code, short


class Loaded:
    """The pipeline of a folder, on its device, within its memory."""

    def __init__(self, weights: Path, device: str, memory_mb: int) -> None:
        import pyannote.audio
        import torch
        from pyannote.audio import Pipeline

        if not (weights / "config.yaml").is_file():
            raise FileNotFoundError(f"{weights} holds no config.yaml: it is no pipeline of pyannote")
        self._torch = torch
        self.version = str(pyannote.audio.__version__)
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._limit(memory_mb)
        self._pipeline: Any = Pipeline.from_pretrained(str(weights))
        self._pipeline.to(torch.device(self.device))

    def _limit(self, memory_mb: int) -> None:
        """On a card of the card's memory, which others plan with; without one of this process's own."""
        limit = memory_mb * 2**20
        if self.device == "cuda":
            total = self._torch.cuda.get_device_properties(0).total_memory
            self._torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total))
        else:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    def turns(
        self, sound: bytes, voices: tuple[int, int], progress: Callable[[float], None]
    ) -> list[tuple[int, int, int]]:
        """Who speaks when, one at a time; `voices` are the fewest and the most that there may be."""

        def hook(step: str, *_: Any, completed: int | None = None, total: int | None = None, **_rest: Any) -> None:
            if step in STEPS and completed is not None and total:
                begin, end = STEPS[step]
                progress(begin + (end - begin) * completed / total)

        heard = self._torch.frombuffer(bytearray(sound), dtype=self._torch.int16).float() / 32768
        found = self._pipeline(
            {"waveform": heard[None], "sample_rate": SAMPLE_RATE},
            min_speakers=voices[0],
            max_speakers=voices[1],
            hook=hook,
        )
        exclusive = getattr(
            found, "exclusive_speaker_diarization", found
        )  # a pipeline set to be `legacy` has one alone
        numbers = {label: number for number, label in enumerate(exclusive.labels())}
        return [
            (round(1000 * segment.start), round(1000 * segment.end), numbers[label])
            for segment, _, label in exclusive.itertracks(yield_label=True)
        ]


if __name__ == "__main__":
    main()
