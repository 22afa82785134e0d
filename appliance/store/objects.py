"""The object store: any S3 server, by the minio SDK. Keys are immutable: written once, then read or deleted."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error, ServerError

from appliance.config import LOOPBACK, settings
from appliance.errors import ApplianceError, is_disk_full
from appliance.store.watch import Watch


class ObjectStoreUnavailable(ApplianceError):
    code = "object_store_unavailable"
    status = 503
    ru = "Хранилище записей временно недоступно"
    en = "The recording store is temporarily unavailable"


class ObjectMissing(ApplianceError):
    code = "recording_missing"
    status = 404
    ru = "Запись не найдена"
    en = "The recording was not found"


SILENT_S = 3.0
"""A store that takes so long over a question, or over a recording of a few minutes, has gone silent."""

SLOW_BYTES = 8 * 1024 * 1024
WRITING_S = 60.0
"""A larger object may take the store longer to write down before it answers."""

WRITERS = 2
"""Large objects are written so many at a time: a store busy with more of them answers no question within SILENT_S."""


class _Turns:
    """So many at a time; who waits learns soon when the store fails somebody, or is known to be away."""

    def __init__(self, at_once: int, expect: Callable[[], None]) -> None:
        """expect: raises ObjectStoreUnavailable where the store was found away."""
        self._free, self._failures, self._expect = at_once, 0, expect
        self._changed = threading.Condition()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn and have it. Raises ObjectStoreUnavailable where the store failed while this one waited."""
        failures = self._failures
        while not self._taken(failures):
            self._expect()
        failed = False
        try:
            yield
        except ObjectStoreUnavailable:
            failed = True
            raise
        finally:
            with self._changed:
                self._free += 1
                self._failures += failed
                self._changed.notify_all()

    def _taken(self, failures: int) -> bool:
        """Whether a turn came within a second."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free or self._failures != failures, 1.0):
                return False
            if self._failures != failures:
                raise ObjectStoreUnavailable
            self._free -= 1
            return True


BLOCK_BYTES = 128 * 1024
"""What is written is read and sent in such pieces."""

WRITE_WITHIN = timedelta(minutes=15)
"""How long the address that an object is written to is good for: clocks may differ by as much, as with S3's headers."""


@lru_cache
def _connections() -> urllib3.PoolManager:
    """To the store from this process, with short time-outs: a dead store must answer as an error, not as silence."""
    return urllib3.PoolManager(
        timeout=_timeout(SILENT_S),
        maxsize=16,
        blocksize=BLOCK_BYTES,
        # A connection that the store closed meanwhile is opened again; what was sent is never sent twice.
        retries=urllib3.Retry(total=1, connect=1, read=0, backoff_factor=0.1),
        ca_certs=settings().s3_ca_file or None,
    )


def _timeout(patience_s: float) -> urllib3.Timeout:
    return urllib3.Timeout(connect=2, read=patience_s)


@lru_cache
def client() -> Minio:
    """The SDK's client of this process."""
    url = urlsplit(settings().s3_endpoint)
    return Minio(
        url.netloc,
        access_key=settings().s3_access_key,
        secret_key=settings().s3_secret_key.get_secret_value(),
        secure=url.scheme == "https",
        region=settings().s3_region,
        http_client=_connections(),
    )


_watch = Watch()


def expect() -> None:
    """Raises ObjectStoreUnavailable where the store was found away and is not back: one at a time looks for it."""
    if _watch.is_away(_is_there):
        raise ObjectStoreUnavailable


_large = _Turns(WRITERS, expect)


def _is_there() -> bool:
    try:
        _look()
    except ObjectStoreUnavailable:
        return False
    return True


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        if error.code in {"NoSuchKey", "NoSuchObject"}:
            raise ObjectMissing from None
        raise ObjectStoreUnavailable from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        if is_disk_full(error):
            raise  # ours, not the store's
        _watch.note(answers=False)
        raise ObjectStoreUnavailable from error


def ensure_bucket() -> None:
    """Create the bucket where it is missing."""
    with _reported():
        if not client().bucket_exists(settings().s3_bucket):
            client().make_bucket(settings().s3_bucket)


def check() -> None:
    """Ask for an object that nobody stored: only that reaches the servers behind the store's front.
    Raises ObjectStoreUnavailable.
    """
    expect()
    _look()


def _look() -> None:
    ensure_bucket()
    with suppress(ObjectMissing), _reported():
        client().stat_object(settings().s3_bucket, "none")


def put(key: str, source: BinaryIO, length: int, content_type: str) -> None:
    """Store `length` bytes read from `source` under a key that was never used before."""
    expect()
    if length <= SLOW_BYTES:
        _write(key, source, length, content_type, SILENT_S)
        return
    with _large.one():
        check()  # a store that is away is found before it is given time to write
        _write(key, source, length, content_type, WRITING_S)


def _write(key: str, source: BinaryIO, length: int, content_type: str, patience_s: float) -> None:
    """As one object, whatever its length: overwriting or deleting parts leaks on some servers.

    Not by the SDK, which holds all of it in memory.
    """
    headers = {"Content-Length": str(length), "Content-Type": content_type}
    if _may_garble():
        start, digest = source.tell(), hashlib.md5(usedforsecurity=False)
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
        headers["Content-MD5"] = base64.b64encode(digest.digest()).decode()
        source.seek(start)
    address = client().presigned_put_object(settings().s3_bucket, key, WRITE_WITHIN)
    with _reported():
        answer = _connections().request("PUT", address, body=source, headers=headers, timeout=_timeout(patience_s))
    if answer.status != HTTPStatus.OK:
        raise ObjectStoreUnavailable from ServerError(f"the store answered {answer.status}", answer.status)


def _may_garble() -> bool:
    """Whether a hash must tell the store what it should have got: not on this machine, nor where TLS does."""
    url = urlsplit(settings().s3_endpoint)
    return url.scheme == "http" and url.hostname not in LOOPBACK


def download(key: str, target: Path) -> None:
    """Copy an object into a file; a half-copied file never appears under the target's name."""
    part = target.with_suffix(target.suffix + ".part")
    expect()
    with _reported():
        response = client().get_object(settings().s3_bucket, key)
        try:
            with part.open("wb") as file:
                for chunk in response.stream(1 << 20):
                    file.write(chunk)
        finally:
            response.close()
            response.release_conn()
    part.replace(target)


def stream(key: str, offset: int, length: int) -> Iterator[bytes]:
    """The bytes of a range, in pieces. The request is made before the first piece is asked for."""
    expect()
    with _reported():
        response = client().get_object(settings().s3_bucket, key, offset=offset, length=length)

    def pieces() -> Iterator[bytes]:
        try:
            yield from response.stream(1 << 16)
        finally:
            response.close()
            response.release_conn()

    return pieces()


def delete(key: str) -> None:
    """Delete an object; one that is not there is no error."""
    expect()
    with _reported():
        try:
            client().remove_object(settings().s3_bucket, key)
        except S3Error as error:
            if error.code not in {"NoSuchKey", "NoSuchObject"}:
                raise
