"""Damaged recordings by the hundred (`make fuzz`: by the ten thousand): refused or read, never a crash, never a 5xx."""

from __future__ import annotations

import io
import itertools
import os
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.engines import sandbox
from appliance.engines.audio import UnreadableAudio
from appliance.services.calls import REFUSALS
from tests.conftest import Running, upload

COUNTED = itertools.count(1)
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
UPLOADS = max(40, EXAMPLES // 50)

FORMATS = {
    "pcm.wav": ("wav", "pcm_s16le", 8000, "mono"),
    "stereo.wav": ("wav", "pcm_s16le", 16000, "stereo"),
    "alaw.wav": ("wav", "pcm_alaw", 8000, "stereo"),
    "mulaw.wav": ("wav", "pcm_mulaw", 8000, "mono"),
    "adpcm.wav": ("wav", "adpcm_ima_wav", 8000, "mono"),
    "one.mp3": ("mp3", "libmp3lame", 16000, "mono"),
    "two.mp3": ("mp3", "libmp3lame", 44100, "stereo"),
    "aac.m4a": ("mp4", "aac", 16000, "mono"),
    "alac.m4a": ("mp4", "alac", 16000, "stereo"),
}
"""Name: container, codec, rate, layout."""


def made(container: str, codec: str, rate: int, layout: str) -> bytes:
    """A valid second of noise."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 2000, (1, rate * (2 if layout == "stereo" else 1))).astype(np.int16)
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(noise, "s16", layout)
        frame.sample_rate = rate
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


VALID = {name: made(*how) for name, how in FORMATS.items()}

names = st.sampled_from(sorted(VALID))
places = st.floats(0, 1, allow_nan=False)
Damage = Callable[[bytes], bytes]


def at(data: bytes, place: float) -> int:
    """A position; half of all lie in the first 200 bytes, where the headers are."""
    span = len(data) if place > 0.5 else min(len(data), 200)
    return min(int((place * 2 % 1) * span), len(data) - 1)


def flipped(place: float, bit: int) -> Damage:
    def damage(data: bytes) -> bytes:
        n = at(data, place)
        return data[:n] + bytes([data[n] ^ 1 << bit]) + data[n + 1 :]

    return damage


def truncated(place: float) -> Damage:
    return lambda data: data[: int(len(data) * place)]


def resized(place: float, size: int, order: str) -> Damage:
    """Four bytes become a wrong size, as a length field would hold it."""

    def damage(data: bytes) -> bytes:
        n = at(data, place) & ~3
        return data[:n] + struct.pack(f"{order}I", size) + data[n + 4 :]

    return damage


def spliced(name: str, place: float, other_place: float) -> Damage:
    """The head of one file and the tail of another."""
    return lambda data: VALID[name][: at(VALID[name], other_place)] + data[at(data, place) :]


def removed(place: float, length: int) -> Damage:
    return lambda data: data[: at(data, place)] + data[at(data, place) + length :]


def repeated(place: float, length: int, times: int) -> Damage:
    def damage(data: bytes) -> bytes:
        n = at(data, place)
        return data[:n] + data[n : n + length] * times + data[n:]

    return damage


def inserted(place: float, junk: bytes) -> Damage:
    return lambda data: data[: at(data, place)] + junk + data[at(data, place) :]


sizes = st.one_of(st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]), st.integers(0, 2**32 - 1))
damages = st.one_of(
    st.builds(flipped, places, st.integers(0, 7)),
    st.builds(truncated, places),
    st.builds(resized, places, sizes, st.sampled_from("<>")),
    st.builds(spliced, names, places, places),
    st.builds(removed, places, st.integers(1, 2000)),
    st.builds(repeated, places, st.integers(1, 500), st.integers(1, 40)),
    st.builds(inserted, places, st.binary(min_size=1, max_size=64)),
)


@st.composite
def malformed(draw: st.DrawFn) -> bytes:
    data = VALID[draw(names)]
    for damage in draw(st.lists(damages, min_size=1, max_size=6)):
        data = damage(data) or b"\0"
    return data


def fuzzed(examples: int) -> settings:
    return settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def test_every_valid_file_is_one(folder: Path) -> None:
    """Otherwise the others would prove nothing."""
    for name, data in VALID.items():
        file = folder / name
        file.write_bytes(data)
        assert 900 <= sandbox.probe(file).duration_ms <= 1300, name
        assert sandbox.decode(file, folder / "out.s16", lambda _: None, 60) in {1, 2}


@pytest.mark.timeout(0)
@fuzzed(EXAMPLES)
@given(data=malformed())
def test_a_malformed_file_is_read_or_refused(folder: Path, data: bytes) -> None:
    """By probe and by decode, which a worker may meet alone; the decoder's fork server lives through all of it."""
    if (count := next(COUNTED)) % 500 == 0:
        print(count, "damaged recordings", flush=True)
    file, target = folder / "malformed", folder / "out.s16"
    file.write_bytes(data)
    for read in (lambda: sandbox.probe(file), lambda: sandbox.decode(file, target, lambda _: None, 60)):
        try:
            read()
        except UnreadableAudio as error:
            assert error.code in REFUSALS  # noqa: PT017 - what is raised is refused with a reason, or the test fails
            assert error.code != "decoder_died", "a child crashed: look at it"  # noqa: PT017


@pytest.mark.timeout(0)
def test_a_malformed_upload_is_taken_or_refused(running: Running, people: dict[str, str]) -> None:
    """Over HTTP: nothing but 200 and 4xx in the one format, and every process goes on."""
    http = running.client(people["admin"])
    before = list(running.processes)
    taken: list[str] = []

    @fuzzed(UPLOADS)
    @given(data=malformed())
    def sent(data: bytes) -> None:
        answer = upload(http, ("call.wav", data))
        assert answer.status_code in {200, 413, 415, 422}, answer.text
        if answer.status_code == 200:
            taken.append(answer.json()["id"])
        else:
            assert answer.headers["content-type"] == "application/problem+json"

    sent()
    assert http.get("/api/health").status_code == 200
    ended = {name: process.poll() for name, process in running.processes.items()}
    assert ended == dict.fromkeys(before), "a process of the appliance died of an upload"
    for start in range(0, len(taken), 100):
        http.post("/api/calls/batch-delete", json={"ids": taken[start : start + 100]}).raise_for_status()
