"""Uploads of 95 MB, against the minio SDK putting the same file; and what an upload costs in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

from benchmarks.installation import Installation
from benchmarks.recordings import RATE
from benchmarks.report import Line, compare, limit
from installer import stack

MEGABYTES = 95
CLIENTS = (1, 8)
MEMORY_PER_UPLOAD_MB = 20
SILENCE = b"\0" * (1 << 20)


def measure(folder: Path, here: Installation) -> Iterator[Line]:
    recording = _recording(folder)
    for worker in ("speech", "analysis"):  # what is uploaded is not to be worked on meanwhile
        here.pause(worker)
    http, (store, bucket) = here.client(), stack.store_of(here.site)

    def ours() -> None:
        with recording.open("rb") as file:
            form = {"type": "incoming", "managerName": "Анна Смирнова"}
            answer = http.post("/api/calls", data=form, files={"audio": (recording.name, file)})
        assert answer.is_success, answer.text

    def theirs() -> None:
        store.fput_object(bucket, f"bench/{uuid4()}.wav", str(recording), part_size=128 * 1024 * 1024)

    for clients in CLIENTS:
        name = f"{MEGABYTES} MB by {clients} client{'s' if clients > 1 else ''}"
        yield compare("upload", name, "minio SDK", _times(ours, clients), _times(theirs, clients), runs=2, target=0.8)
    yield limit(
        "upload", "memory of the API per upload", "MB", [here.memory_added_mb("api", ours)], MEMORY_PER_UPLOAD_MB
    )


def _times(work: Callable[[], None], clients: int) -> Callable[[], object]:
    def together() -> None:
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda _: work(), range(clients)))

    return together


def _recording(folder: Path) -> Path:
    """A wav of nothing: 16-bit stereo."""
    target = folder / "large.wav"
    frames = MEGABYTES * 1024 * 1024 // 4
    import wave

    with target.open("wb") as file, wave.open(file, "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        for _ in range(frames * 4 // len(SILENCE)):
            sound.writeframes(SILENCE)
    return target
