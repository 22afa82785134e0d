"""Our decoder against the ffmpeg program: an hour of stereo to 16 kHz samples in a file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from appliance.engines import audio
from benchmarks.recordings import long_recording
from benchmarks.report import Line, compare, limit

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
    yield limit(
        "decode", f"peak memory, {MINUTES} min of stereo mp3", "MB", [_memory_mb(source, folder)], MOST_MEMORY_MB
    )


def _memory_mb(source: Path, folder: Path) -> float:
    script = "import sys; from pathlib import Path; from appliance.engines import audio; import resource\n"
    script += "audio.decode(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    script += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    command = [sys.executable, "-c", script, str(source), str(folder / "memory.s16")]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024
