"""A disk that fills up under the appliance: refused in time, and whatever was taken stays safe. Root mounts it."""

from __future__ import annotations

import errno
import json
import os
import select
import tempfile
import time
from collections.abc import Iterator
from http import client as http_client
from pathlib import Path

import pytest

from appliance.pipeline.runner import failure_of
from tests.conftest import SAMPLES, upload, wait_until
from tests.own_stack import Own, doubled, ended, filled, orphans, own_stack, small_disk

RECORDING = SAMPLES / "ru-wrong-number.wav"
RESERVE = 150 * 2**20


@pytest.fixture(scope="module")
def own() -> Iterator[Own]:
    with tempfile.TemporaryDirectory(prefix="full-disk-") as made, small_disk(Path(made), 1024) as disk:
        if disk is None:
            pytest.skip("NO SMALL DISK: only root may mount one")
        with own_stack(disk, DISK_RESERVE_MB=str(RESERVE >> 20)) as stack:
            yield stack


def stored(own: Own) -> tuple[object, ...]:
    return (own.query("SELECT count(*) FROM calls"), own.query("SELECT count(*) FROM object_deletions"), own.objects())


def test_below_the_reserve_nothing_is_taken_and_nothing_is_left(own: Own) -> None:
    before = stored(own)
    with filled(own.site.data_dir, leaving=RESERVE // 2):
        http = own.client()  # logging in writes to the database
        answer = upload(http, RECORDING)
        assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
        assert answer.headers["content-type"] == "application/problem+json"
        assert http.get("/api/calls").status_code == 200
        assert stored(own) == before
    accepted = [upload(own.client(), RECORDING).json()["id"]]
    assert set(ended(own, accepted).values()) == {"completed"}


def test_a_disk_that_fills_while_a_recording_arrives(own: Own) -> None:
    """507 as well, and what had arrived is gone."""
    http = own.client()
    before = stored(own)
    connection = http_client.HTTPConnection("127.0.0.1", own.port, timeout=60)
    connection.putrequest("POST", "/api/calls")
    connection.putheader("Authorization", http.headers["Authorization"])
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()

    def send(data: bytes) -> None:
        connection.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    send(b'--x\r\nContent-Disposition: form-data; name="audio"; filename="call.wav"\r\n\r\n' + bytes(2**20))
    with filled(own.site.data_dir, leaving=2**20):
        for _ in range(64):  # 4 MiB: fewer than after which the reserve is looked at again
            send(bytes(2**16))
            if select.select([connection.sock], [], [], 0.05)[0]:
                break
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)["code"]) == (507, "disk_full")
    connection.close()
    assert stored(own) == before
    assert not list((own.site.data_dir / "spool").iterdir())


def test_a_disk_that_is_full_to_the_last_byte_costs_no_call(own: Own) -> None:
    """Somebody else's file takes it all; PostgreSQL may stop over it. Everything goes on when the file is gone."""
    http = own.client()
    accepted = [upload(http, RECORDING).json()["id"] for _ in range(3)]
    with filled(own.site.data_dir, leaving=0):
        time.sleep(10)
        assert upload(http, RECORDING).status_code in {503, 507}

    def taken() -> str | None:
        answer = upload(http, RECORDING)
        assert answer.status_code in {200, 503}, answer.text
        return str(answer.json()["id"]) if answer.status_code == 200 else None

    accepted.append(wait_until(taken, 90, "uploads to be taken again"))
    assert set(ended(own, accepted).values()) == {"completed"}
    assert doubled(own, accepted) == []
    assert orphans(own) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_takes_no_attempt_from_a_call(number: int) -> None:
    """The same where only this user's share of the disk is used up: the call waits, however long it lasts."""
    failure = failure_of(OSError(number, os.strerror(number)))
    assert (failure.code, failure.retryable, failure.wait_s) == ("disk_full", True, 0)
