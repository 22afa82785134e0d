"""Too little disk, too long a queue, files that are larger within than without: refused, and everything works on."""

from __future__ import annotations

import io
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from http import client as http_client
from pathlib import Path

import av
import numpy as np
import pytest

from appliance.engines import audio, sandbox
from installer.site import Site
from tests.api.test_calls import everything_stored, wav
from tests.conftest import SAMPLES, Running, _free_port, processed, upload, wait_until

RECORDING = SAMPLES / "ru-wrong-number.wav"


def _with(site: Site, **environment: str) -> Running:
    made = Running(site, _free_port(), environment=environment)
    made.start("api")
    return made


@pytest.fixture
def full(site: Site, running: Running, people: dict[str, str]) -> Iterator[Running]:
    """An API that wants more free space than there is."""
    made = _with(site, DISK_RESERVE_MB=str(shutil.disk_usage(site.data_dir).total // 2**20 + 1))
    yield made
    made.stop()


@pytest.fixture
def crowded(site: Site, running: Running, people: dict[str, str]) -> Iterator[Running]:
    """An API that lets one call wait."""
    made = _with(site, QUEUE_LIMIT="1")
    yield made
    made.stop()


def test_a_disk_below_its_reserve_takes_no_recording(full: Running, running: Running, people: dict[str, str]) -> None:
    http = full.client(people["admin"])  # logging in writes to the database
    before = everything_stored()
    answer = upload(http, RECORDING)
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert answer.headers["content-type"] == "application/problem+json"
    assert http.get("/api/calls").status_code == 200
    assert everything_stored() == before
    assert upload(running.client(people["admin"]), RECORDING).status_code == 200


def test_a_full_queue_says_when_to_come_back(crowded: Running, running: Running, people: dict[str, str]) -> None:
    http = crowded.client(people["admin"])
    accepted = [upload(running.client(people["admin"]), SAMPLES / "ru-test-drive.mp3").json()["id"] for _ in range(2)]
    answer = upload(http, RECORDING)
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
    assert answer.headers["retry-after"] == "60"
    for call_id in accepted:
        processed(http, call_id)


def test_a_stranger_fills_no_disk(running: Running) -> None:
    """The answer comes before the body is sent."""
    connection = http_client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(90 << 20)}
    connection.request("POST", "/api/calls", headers=headers)
    assert connection.getresponse().status == 401
    connection.close()


def inflated(seconds_declared: int, packets: int) -> bytes:
    """An m4a whose sample table names one silent packet again and again: hours of sound in some kilobytes."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for n in range(40):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 16_000, n * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return _with_tables(buffer.getvalue(), seconds_declared, packets)


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def _find(data: bytes, name: bytes) -> tuple[int, int]:
    at = data.rindex(name) - 4
    return at, struct.unpack(">I", data[at : at + 4])[0]


def _with_tables(data: bytes, seconds: int, packets: int) -> bytes:
    at, length = _find(data, b"stsz")
    sizes = struct.unpack(">III", data[at + 20 : at + 32])
    size = sizes[2]  # of the third packet: the first ones prime the decoder
    chunk_at, _ = _find(data, b"stco")
    first = struct.unpack(">I", data[chunk_at + 16 : chunk_at + 20])[0] + sizes[0] + sizes[1]
    tables = {
        b"stsz": struct.pack(">III", 0, size, packets),
        b"stts": struct.pack(">IIII", 0, 1, packets, max(1, seconds * 16_000 // packets)),
        b"stsc": struct.pack(">IIIII", 0, 1, 1, 1, 1),
        b"stco": struct.pack(">II", 0, packets) + struct.pack(">I", first) * packets,
    }
    made = data.replace(b"edts", b"free")  # an edit list would cut the sound off
    for name, body in tables.items():
        at, length = _find(made, name)
        new = _box(name, body)
        made = made[:at] + new + made[at + length :]
        for outer in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            outer_at, outer_length = _find(made, outer)
            made = made[:outer_at] + struct.pack(">I", outer_length + len(new) - length) + made[outer_at + 4 :]
    return made


def test_hours_of_silence_in_some_kilobytes(running: Running, people: dict[str, str], tmp_path: Path) -> None:
    """60,000 packets that are one: where the header tells the truth the upload is refused, where it lies the stage."""
    honest, lying = tmp_path / "honest.m4a", tmp_path / "lying.m4a"
    honest.write_bytes(inflated(3840, 60_000))
    lying.write_bytes(inflated(60, 60_000))
    http = running.client(people["admin"])
    answer = upload(http, honest)
    assert (answer.status_code, answer.json()["code"]) == (413, "recording_too_long"), answer.text
    call = processed(http, upload(http, lying).json()["id"])
    assert call["processing_error"]["code"] == "audio_excessive"
    # What was decoded of it does not stay for a day.
    scratch = running.site.data_dir / "scratch" / call["id"]
    wait_until(lambda: not scratch.exists(), 30, "the scratch files of a call that was given up to go")
    assert upload(http, RECORDING).status_code == 200


def test_a_table_of_two_thousand_million_packets_takes_no_memory_of_ours(
    running: Running, people: dict[str, str]
) -> None:
    data = inflated(60, 1000)
    at, _ = _find(data, b"stsz")
    bomb = data[: at + 16] + struct.pack(">I", 0x7FFFFFFF) + data[at + 20 :]
    http = running.client(people["admin"])
    assert 400 <= upload(http, ("bomb.m4a", bomb)).status_code < 500
    assert upload(http, RECORDING).status_code == 200


def test_a_wav_that_claims_to_have_no_end(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    data = bytearray(wav(2))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert upload(http, ("endless.wav", bytes(data))).status_code in {200, 415, 422}
    assert upload(http, RECORDING).status_code == 200


def test_a_decoder_that_is_shot_is_started_again(tmp_path: Path) -> None:
    """The fork server may die like any process; the next recording has a new one."""
    sandbox.probe(RECORDING)
    import os
    import signal

    os.kill(sandbox._server._pid, signal.SIGKILL)
    assert sandbox.probe(RECORDING).duration_ms > 9000


@pytest.mark.parametrize(
    ("limit", "work", "ended_by"),
    [
        ("", "bytearray(2 << 30)", "MemoryError"),
        ("sandbox.CPU_S = {'probe': 1}", "while True: pass", signal.SIGKILL),
        ("sandbox.WALL_S = {'probe': 1.0}", "import time; time.sleep(60)", signal.SIGALRM),
    ],
)
def test_the_kernel_ends_a_child_that_takes_too_much(limit: str, work: str, ended_by: signal.Signals | str) -> None:
    """Of memory, of the processor and of time, whatever a library does with it."""
    script = f"from appliance.engines import sandbox\n{limit}\nsandbox._limit(sandbox.Job('probe'))\n{work}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    if isinstance(ended_by, signal.Signals):
        assert done.returncode == -ended_by
    else:
        assert done.stderr.strip().endswith(ended_by)


def test_a_child_knows_no_settings() -> None:
    sandbox.probe(RECORDING)
    environment = Path(f"/proc/{sandbox._server._pid}/environ").read_bytes()
    assert b"APPLIANCE_ENV_FILE" not in environment


def test_a_decoder_that_may_write_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The limit of the decoded length reaches the child."""
    with pytest.raises(audio.UnreadableAudio):
        sandbox.decode(RECORDING, tmp_path / "x.s16", lambda _: None, -1)
