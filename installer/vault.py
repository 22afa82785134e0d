"""Where backups lie: in a folder, or in a bucket of an S3 store elsewhere. Both hold files by name; none is changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from installer.failures import BackupUnsound, StepFailed

PART_BYTES = 128 * 1024 * 1024
ENDPOINT, ACCESS_KEY, SECRET_KEY, REGION = (
    f"BACKUP_S3_{name}" for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY", "REGION")
)


class Vault(Protocol):
    """Files by name; a name may hold slashes."""

    def names(self, below: str = "") -> Iterator[str]:
        """Every name that begins with this."""

    def put(self, name: str, file: Path) -> None:
        """Keep a file; it is there whole, or not at all."""

    def fetch(self, name: str, file: Path) -> None:
        """Write what is kept into a file. Raises BackupUnsound where there is nothing of this name."""

    def remove(self, name: str) -> None:
        """Let go of it, where it is there."""


class Folder:
    """Best on another disk than the installation's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self, below: str = "") -> Iterator[str]:
        for file in sorted(self.path.rglob("*")):
            name = file.relative_to(self.path).as_posix()
            if file.is_file() and name.startswith(below):
                yield name

    def put(self, name: str, file: Path) -> None:
        target = self.path / name
        for folder in (*reversed(target.parent.relative_to(self.path).parents), target.parent.relative_to(self.path)):
            (self.path / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        part.touch(mode=0o600)
        shutil.copyfile(file, part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)

    def fetch(self, name: str, file: Path) -> None:
        try:
            shutil.copyfile(self.path / name, file)
        except FileNotFoundError:
            raise BackupUnsound(what=name) from None

    def remove(self, name: str) -> None:
        file = self.path / name
        file.unlink(missing_ok=True)
        for folder in file.relative_to(self.path).parents[:-1]:
            if not any((self.path / folder).iterdir()):
                (self.path / folder).rmdir()


class Bucket:
    """A bucket, or what lies below a prefix in it; the bucket must be there."""

    def __init__(self, client: Minio, bucket: str, prefix: str = "") -> None:
        self.client, self.bucket = client, bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def names(self, below: str = "") -> Iterator[str]:
        with _asking():
            for found in self.client.list_objects(self.bucket, prefix=self.prefix + below, recursive=True):
                yield str(found.object_name).removeprefix(self.prefix)

    def put(self, name: str, file: Path) -> None:
        with _asking():
            self.client.fput_object(self.bucket, self.prefix + name, str(file), part_size=PART_BYTES)

    def fetch(self, name: str, file: Path) -> None:
        with _asking(name):
            self.client.fget_object(self.bucket, self.prefix + name, str(file))

    def remove(self, name: str) -> None:
        with _asking():
            self.client.remove_object(self.bucket, self.prefix + name)


@contextmanager
def _asking(name: str = "") -> Iterator[None]:
    """What the store refuses, as a sentence; `name` is what must be there."""
    try:
        yield
    except S3Error as error:
        if name and error.code == "NoSuchKey":
            raise BackupUnsound(what=name) from None
        raise StepFailed(step="backup store", reason=f"{error.code}: {error.message}") from None
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise StepFailed(step="backup store", reason=type(error).__name__) from None


def at(target: str, environment: Mapping[str, str] = os.environ) -> Vault:
    """The vault that a folder's path or `s3://bucket/prefix` names. Raises StepFailed where nothing leads there."""
    if not target.startswith("s3://"):
        return Folder(Path(target).resolve())
    missing = [name for name in (ENDPOINT, ACCESS_KEY, SECRET_KEY) if not environment.get(name)]
    if missing:
        raise StepFailed(step=target, reason=f"{', '.join(missing)} = ?")
    place, endpoint = urlsplit(target), urlsplit(environment[ENDPOINT])
    client = Minio(
        endpoint.netloc,
        access_key=environment[ACCESS_KEY],
        secret_key=environment[SECRET_KEY],
        secure=endpoint.scheme == "https",
        region=environment.get(REGION) or "us-east-1",
        http_client=urllib3.PoolManager(timeout=120, retries=urllib3.Retry(3, backoff_factor=0.5)),
    )
    return Bucket(client, place.netloc, place.path)


def of_backup(backup: str, environment: Mapping[str, str] = os.environ) -> tuple[Vault, str]:
    """The vault and the name of one backup: `FOLDER/TIME` or `s3://bucket/prefix/TIME`."""
    target, _, name = backup.rstrip("/").rpartition("/")
    return at(target or ".", environment), name
