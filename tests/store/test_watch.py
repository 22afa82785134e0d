"""A server that is away is looked for by one caller; the others are told what is known."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from appliance.store.watch import AWAY_S, Watch


def test_one_looks_and_the_others_do_not_wait() -> None:
    watch, release, looks = Watch(), threading.Event(), []

    def look() -> bool:
        looks.append(threading.get_ident())
        return release.wait(30)

    assert not watch.is_away(look)  # nothing is known against it, and nobody looks
    watch.note(answers=False)
    assert watch.is_away(look)  # found a moment ago: nobody looks
    assert looks == []
    time.sleep(AWAY_S + 0.1)
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(watch.is_away, look) for _ in range(20)]
        told = [one.result() for _, one in zip(range(19), as_completed(asked, 30), strict=False)]
        assert told == [True] * 19
        assert len(looks) == 1
        release.set()
    assert sorted(one.result() for one in asked) == [False] + [True] * 19
    assert not watch.is_away(look)


def test_who_must_know_waits_for_the_one_that_looks() -> None:
    watch, looks = Watch(), []

    def look() -> bool:
        looks.append(1)
        time.sleep(0.2)
        return False

    with ThreadPoolExecutor(8) as pool:
        assert {one.result() for one in [pool.submit(watch.answers, look) for _ in range(8)]} == {False}
    assert len(looks) == 1
    assert watch.is_away(look)
