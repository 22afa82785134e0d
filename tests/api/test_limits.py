"""Request bodies on their way to the application."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable

import pytest
from starlette.types import Message

from appliance.api.limits import PASSED_ON_BYTES, _Body
from appliance.services.failures import UploadTooLarge

PIECE = 64 * 1024


def passed_on(messages: Iterable[Message], limit: int = 1 << 30) -> list[Message]:
    """What an application gets that reads to the end."""
    arriving = iter(messages)

    async def receive() -> Message:
        return next(arriving)

    async def read() -> list[Message]:
        body, found = _Body(receive, limit, UploadTooLarge(megabytes=1), lambda: None), []
        while not found or found[-1].get("more_body"):
            found.append(await body.receive())
        return found

    return asyncio.run(read())


def pieces(count: int) -> list[Message]:
    return [{"type": "http.request", "body": bytes([n]) * PIECE, "more_body": n < count - 1} for n in range(count)]


@pytest.mark.parametrize("count", [1, 2, 8, 100])
def test_a_body_is_passed_on_whole_in_large_pieces(count: int) -> None:
    sent = pieces(count)
    got = passed_on(sent)
    assert b"".join(message["body"] for message in got) == b"".join(message["body"] for message in sent)
    assert all(PASSED_ON_BYTES <= len(message["body"]) < PASSED_ON_BYTES + PIECE for message in got[:-1])


def test_a_client_that_hangs_up_is_told_of_at_once() -> None:
    """Also where pieces of its body were already collected."""
    got = passed_on([*pieces(20)[:3], {"type": "http.disconnect"}])
    assert [message["type"] for message in got] == ["http.disconnect"]


def test_nothing_is_read_beyond_the_limit() -> None:
    endless = itertools.count()
    sent = ({"type": "http.request", "body": bytes(PIECE), "more_body": next(endless) >= 0} for _ in itertools.count())
    with pytest.raises(UploadTooLarge):
        passed_on(sent, limit=10 * PIECE)
    assert next(endless) == 11
