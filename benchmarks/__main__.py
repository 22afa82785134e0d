"""`make bench`: speed as ratios against peers, measured side by side in one run. Above 1 we are faster."""

from __future__ import annotations

import json
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import numpy as np
from rich.console import Console
from rich.table import Table

from appliance.engines import audio
from appliance.engines.speech.demo_weights import FOLDER, materialise
from appliance.engines.speech.faster_whisper import BEAM, TEMPERATURES, FasterWhisper

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
RUNS = 5
THREADS = 2
MINUTES = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison: medians in seconds, the ratio peer / ours, and the spread of that ratio over the runs."""

    name: str
    peer: str
    ours_s: float
    peer_s: float
    ratio: float
    lowest: float
    highest: float


def compare(name: str, peer: str, ours: Callable[[], object], theirs: Callable[[], object]) -> Line:
    """Run both alternately, after one round to warm up."""
    pairs = []
    for run in range(RUNS + 1):
        times = []
        for work in (ours, theirs) if run % 2 else (theirs, ours):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        pairs.append(tuple(times if run % 2 else reversed(times)))
    pairs = pairs[1:]
    ratios = [theirs_s / ours_s for ours_s, theirs_s in pairs]
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    return Line(name, peer, *medians, statistics.median(ratios), min(ratios), max(ratios))


def long_recording(folder: Path, minutes: int) -> Path:
    """A stereo mp3 of so many minutes, from a sample call over and over."""
    decoded = folder / "sample.s16"
    audio.decode(ROOT / "samples" / "ru-trade-in.mp3", decoded)
    once = np.fromfile(decoded, "<i2").reshape(1, -1)
    target = folder / "long.mp3"
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libmp3lame", rate=16_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(once, "s16", "stereo")
        frame.sample_rate = 16_000
        resampler = av.AudioResampler(stream.codec_context.format, "stereo", 16_000, 1152)
        for _ in range(minutes * 60 * 32_000 // once.size):
            frame.pts = None
            for piece in resampler.resample(frame):
                container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return target


def decoding(folder: Path) -> Line | None:
    """Our decoder against the ffmpeg program, stereo mp3 to 16 kHz samples in a file."""
    if shutil.which("ffmpeg") is None:
        return None
    source, target = long_recording(folder, MINUTES), folder / "out.s16"
    command = [
        "ffmpeg",
        "-y",
        "-loglevel",
        "error",
        "-i",
        str(source),
        "-ar",
        "16000",
        "-f",
        "s16le",
        str(folder / "x.s16"),
    ]
    return compare(
        f"decode {MINUTES} min of stereo mp3",
        "ffmpeg",
        lambda: audio.decode(source, target),
        lambda: subprocess.run(command, check=True),
    )


def recognition(folder: Path) -> Line:
    """Our path against the library's own, same weights, threads, beam and word times."""
    from faster_whisper import WhisperModel

    materialise(ROOT / "weights" / "demo", folder / "weights")
    weights = folder / "weights" / FOLDER
    decoded = folder / "call.s16"
    audio.decode(ROOT / "samples" / "ru-test-drive.mp3", decoded)
    samples = audio.samples_of(decoded, 1, 0)
    ours = FasterWhisper(weights, "demo", device="cpu", threads=THREADS)
    plain = WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=THREADS, local_files_only=True)

    def theirs() -> None:
        segments, _ = plain.transcribe(
            samples,
            language="ru",
            beam_size=BEAM,
            temperature=TEMPERATURES,
            word_timestamps=True,
            vad_filter=True,
            condition_on_previous_text=False,
        )
        list(segments)

    return compare(
        "recognise a 50 s call (demo weights)",
        "faster-whisper",
        lambda: ours.transcribe(samples, languages=("ru",)),
        theirs,
    )


def main() -> None:
    """Measure, print, and write benchmarks/results/latest.json and .md."""
    console = Console()
    with tempfile.TemporaryDirectory() as scratch, console.status("measuring (a minute or two)"):
        lines = [line for line in (decoding(Path(scratch)), recognition(Path(scratch))) if line is not None]
    table = Table("what", "peer", "ours, s", "peer, s", "peer / ours", "spread")
    rows = ["| what | peer | ours, s | peer, s | peer / ours | spread |", "|---|---|---|---|---|---|"]
    for line in lines:
        cells = [line.name, line.peer, f"{line.ours_s:.2f}", f"{line.peer_s:.2f}", f"{line.ratio:.2f}"]
        cells.append(f"{line.lowest:.2f}-{line.highest:.2f}")
        table.add_row(*cells)
        rows.append("| " + " | ".join(cells) + " |")
    console.print(table)
    if len(lines) < 2:
        console.print("ffmpeg is not installed: decoding was not compared")
    RESULTS.mkdir(exist_ok=True)
    machine = {"machine": platform.machine(), "python": platform.python_version(), "threads": THREADS, "runs": RUNS}
    report = {**machine, "lines": [asdict(line) for line in lines]}
    (RESULTS / "latest.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "latest.md").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
