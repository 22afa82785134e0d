"""Recordings are opened in children with limits: what a hostile file does to FFmpeg, it does there and nowhere else.

A small server of one thread, started once per process, has the libraries loaded and forks for every recording: a fresh
process each in some milliseconds, and no fork of a process with threads. `multiprocessing`'s fork server would do, did
it not load the whole program into every child. The children know no settings and no secrets.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliance.engines import audio
from appliance.engines.audio import AudioFacts, UnreadableAudio
from appliance.errors import is_disk_full

MEMORY_BYTES = 768 * 2**20
"""What a child may take beside the libraries: fifty times what an hour of stereo needs."""

CPU_S = {"probe": 20, "decode": 300}
WALL_S = {"probe": 45.0, "decode": 1800.0}
"""An hour of mp3 is probed in 1 s and decoded in 8 s on a slow core; beyond these a file is after something else."""

MESSAGE_BYTES = 65_536
KEPT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "CALL_ANALYTICS_SITE")
"""Variables that the server is given; the last one lets a start after a crash find it."""

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Job:
    """What a child is to do with the recording that comes with it. `target` and `longest_s` are for `decode`."""

    name: str
    target: str = ""
    longest_s: float = 0.0


def probe(path: Path) -> AudioFacts:
    """`audio.probe` within limits. Raises UnreadableAudio, also `audio_excessive` and `decoder_died`."""
    return AudioFacts(**_done(path, Job("probe")))


def decode(path: Path, target: Path, on_progress: Callable[[float], None], longest_s: float) -> int:
    """`audio.decode` within limits. Raises UnreadableAudio as `probe`, OSError where the disk is full.

    What `on_progress` raises ends the child.
    """
    channels: int = _done(path, Job("decode", str(target.absolute()), longest_s), on_progress)
    return channels


def _done(path: Path, job: Job, on_progress: Callable[[float], None] = lambda _: None) -> Any:
    for _ in range(3):  # a child that was shot by somebody else is no fault of the file
        began = time.monotonic()
        with path.open("rb") as file, _server.ask(job, file.fileno()) as answers:
            answers.settimeout(WALL_S[job.name] + 15)
            while answer := _heard(answers):
                if "progress" in answer:
                    on_progress(answer["progress"])
                elif "refused" in answer:
                    raise UnreadableAudio(*answer["refused"])
                elif "errno" in answer:
                    raise OSError(answer["errno"], os.strerror(answer["errno"]))
                else:
                    return answer["done"]
        if time.monotonic() - began >= 0.9 * CPU_S[job.name]:
            raise UnreadableAudio("audio_excessive", "reading it takes more time than a recording may")
    raise UnreadableAudio("decoder_died", "the file kills the decoder")


def _heard(answers: socket.socket) -> dict[str, Any] | None:
    try:
        message = answers.recv(MESSAGE_BYTES)
    except OSError:  # reset or silent: as good as dead
        return None
    found: dict[str, Any] | None = json.loads(message) if message else None
    return found


class _Server:
    """The fork server of this process, started when it is first needed and again when it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._pid = 0

    def ask(self, job: Job, recording: int) -> socket.socket:
        """Send a job; returns where its child answers."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            message = [json.dumps(asdict(job)).encode()]
            for last in (False, True):
                line = self._open()
                try:
                    socket.send_fds(line, message, [theirs.fileno(), recording])
                except OSError:
                    self._forget(line)
                    if last:
                        ours.close()
                        raise
                else:
                    break
        return ours

    def _open(self) -> socket.socket:
        with self._lock:
            if self._line is None:
                self._line, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                environment = {name: os.environ[name] for name in KEPT if name in os.environ}
                # The libraries' threads would not survive a fork, and one recording needs no more than one.
                environment |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
                with far:
                    self._pid = os.posix_spawn(
                        sys.executable,
                        [sys.executable, "-m", "appliance.engines.sandbox"],
                        environment,
                        file_actions=[(os.POSIX_SPAWN_DUP2, far.fileno(), 0)],
                    )
            return self._line

    def _forget(self, line: socket.socket) -> None:
        with self._lock:
            if self._line is line:
                self._line.close()
                self._line = None
                os.waitpid(self._pid, 0)


_server = _Server()


def serve(line: socket.socket) -> None:
    """The fork server: a child for every message until whoever asks is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the end of the line is ours
        signal.signal(number, signal.SIG_IGN)
    while True:
        message, fds, _, _ = socket.recv_fds(line, MESSAGE_BYTES, 2)
        if not message:
            return
        if os.fork() == 0:
            line.close()
            with socket.socket(fileno=fds[0]) as answers:
                _work(answers, fds[1], Job(**json.loads(message)))
            os._exit(0)
        for fd in fds:
            os.close(fd)


def _work(answers: socket.socket, recording: int, job: Job) -> None:
    def tell(**said: Any) -> None:
        answers.send(json.dumps(said).encode())

    try:
        _limit(job)
        tell(done=_read(Path(f"/proc/self/fd/{recording}"), job, lambda share: tell(progress=share)))
    except UnreadableAudio as error:
        tell(refused=[error.code, str(error)])
    except (BrokenPipeError, ConnectionResetError):
        pass  # nobody wants to know any more
    except MemoryError:
        tell(refused=["audio_excessive", "reading it takes more memory than a recording may"])
    except OSError as error:
        if is_disk_full(error):
            tell(errno=error.errno)
        else:
            tell(refused=["not_audio", type(error).__name__])
    except Exception as error:  # noqa: BLE001 - whatever the file does to the libraries is the file's fault
        tell(refused=["not_audio", type(error).__name__])


def _read(path: Path, job: Job, on_progress: Callable[[float], None]) -> Any:
    if job.name == "probe":
        return asdict(audio.probe(path))
    return audio.decode(path, Path(job.target), on_progress, job.longest_s)


def _limit(job: Job) -> None:
    """Die with the server; die by the kernel's hand where time is up: no library can be asked to stop."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    for limit, most in (
        (resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S[job.name]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, audio.decoded_bytes(job.longest_s)),
    ):
        resource.setrlimit(limit, (most, most))
    signal.setitimer(signal.ITIMER_REAL, WALL_S[job.name])


if __name__ == "__main__":
    serve(socket.socket(fileno=0))
