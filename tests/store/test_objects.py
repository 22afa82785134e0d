"""Large recordings are written a few at a time, so that the store goes on answering."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from appliance.store import objects
from appliance.store.objects import SLOW_BYTES, WRITERS, ObjectStoreUnavailable
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
