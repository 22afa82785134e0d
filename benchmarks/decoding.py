"""Our decoder against the ffmpeg program: an hour of stereo to 16 kHz samples in a file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from appliance.engines import audio
from benchmarks.recordings import long_recording
from benchmarks.report import Line, compare, limit, paired

MINUTES = 60
MOST_MEMORY_MB = 300


def measure(folder: Path) -> Iterator[Line]:
    if shutil.which("ffmpeg"):
        for kind in ("mp3", "m4a", "wav"):
            source = long_recording(folder, MINUTES * 60, kind)
            command = ["ffmpeg", "-y", "-loglevel", "error", "-i", str(source), "-ar", "16000", "-f", "s16le"]
            yield compare(
                "decode",
                f"{MINUTES} min of stereo {kind}",
                "ffmpeg",
                lambda source=source: audio.decode(source, folder / "ours.s16"),
                lambda command=command: subprocess.run([*command, str(folder / "theirs.s16")], check=True),
                target=1 / 1.3,
            )
    source = long_recording(folder, MINUTES * 60, "mp3")
    what = f"peak memory, {MINUTES} min of stereo mp3"
    yield limit("decode", what, "MB", [_memory_mb(source, folder)], MOST_MEMORY_MB)
    short = long_recording(folder, 60, "mp3")
    yield paired(
        "decode", what, "1 min", "MB", [(_memory_mb(source, folder), _memory_mb(short, folder))], target=1 / 1.2
    )


def _memory_mb(source: Path, folder: Path) -> float:
    """The most that a process of its own held in memory. Its own count begins with it; getrusage's is inherited."""
    script = "import sys; from pathlib import Path; from appliance.engines import audio\n"
    script += "audio.decode(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    script += "print(Path('/proc/self/status').read_text())"
    command = [sys.executable, "-c", script, str(source), str(folder / "memory.s16")]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM:")) / 1024
