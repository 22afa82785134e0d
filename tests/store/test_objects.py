"""Large recordings are written a few at a time, so that the store goes on answering."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from uuid import uuid4

import pytest

from appliance.store import objects
from appliance.store.objects import BLOCK_BYTES, SLOW_BYTES, WRITERS, ObjectMissing, ObjectStoreUnavailable
from installer.site import Site

SENDERS = 6


class Watched(io.BytesIO):
    """Counts how many like it have been begun and not read to their end."""

    lock, open_now, most = threading.Lock(), 0, 0

    def read(self, size: int | None = -1, /) -> bytes:
        with Watched.lock:
            Watched.open_now += self.tell() == 0
            Watched.most = max(Watched.most, Watched.open_now)
        piece = super().read(size)
        if self.tell() == len(self.getbuffer()):
            with Watched.lock:
                Watched.open_now -= bool(piece)
        return piece


def test_large_recordings_are_written_in_turns(site: Site) -> None:
    size = SLOW_BYTES + 1
    keys = [f"tests/{uuid4()}" for _ in range(SENDERS)]
    try:
        with ThreadPoolExecutor(SENDERS) as pool:
            sent = [pool.submit(objects.put, key, Watched(bytes(size)), size, "audio/wav") for key in keys]
            for one in sent:
                one.result()
        assert 1 <= Watched.most <= WRITERS
        assert [sum(map(len, objects.stream(key, 0, size))) for key in keys] == [size] * SENDERS
    finally:
        for key in keys:
            objects.delete(key)


class Measured(io.BytesIO):
    """Knows the longest piece of it that was asked for."""

    longest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.longest = max(self.longest, len(piece))
        return piece


def test_a_large_recording_is_never_held_in_memory_whole(site: Site) -> None:
    size, key = SLOW_BYTES + 1, f"tests/{uuid4()}"
    source = Measured(bytes(size))
    try:
        objects.put(key, source, size, "audio/wav")
        assert 0 < source.longest <= BLOCK_BYTES
        assert sum(map(len, objects.stream(key, 0, 0))) == size
    finally:
        objects.delete(key)


class Garbled(io.BytesIO):
    """Other bytes are sent of it than were hashed."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.getbuffer()[0] ^= 1
        return super().seek(offset, whence)


def test_what_the_network_garbles_is_not_stored(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store on another machine, without TLS, is told the hash of what it should get."""
    monkeypatch.setattr(objects, "_may_garble", lambda: True)
    key = f"tests/{uuid4()}"
    with pytest.raises(ObjectStoreUnavailable):
        objects.put(key, Garbled(b"sound"), 5, "audio/wav")
    with pytest.raises(ObjectMissing):
        objects.stream(key, 0, 0)
    try:
        objects.put(key, io.BytesIO(b"sound"), 5, "audio/wav")
        assert b"".join(objects.stream(key, 0, 0)) == b"sound"
    finally:
        objects.delete(key)


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [("http://127.0.0.1:9000", False), ("https://s3.example", False), ("http://store.lan:9000", True)],
)
def test_who_must_be_told_a_hash(endpoint: str, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "settings", lambda: SimpleNamespace(s3_endpoint=endpoint))
    assert objects._may_garble() is told


def test_who_waits_learns_of_a_failure_at_once() -> None:
    """And who comes later has a turn of its own."""
    turns, waiting, release = objects._Turns(1, lambda: None), threading.Event(), threading.Event()

    def fails() -> None:
        with turns.one():
            waiting.set()
            release.wait(30)
            raise ObjectStoreUnavailable

    def waits() -> None:
        with turns.one():
            pytest.fail("had a turn although the store had just failed")

    with ThreadPoolExecutor() as pool:
        first = pool.submit(fails)
        waiting.wait(30)
        others = [pool.submit(waits) for _ in range(3)]
        while len(turns._changed._waiters) < len(others):  # type: ignore[attr-defined]
            pass
        release.set()
        for one in (first, *others):
            with pytest.raises(ObjectStoreUnavailable):
                one.result(30)
    with turns.one():
        pass
