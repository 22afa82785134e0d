"""Backups: the database first, then the recordings it names, then the secrets; every file with its checksum.

A backup is `TIME/` in a vault, with the database, the secrets and a manifest. Recordings lie beside all of them in
`objects/`: they never change, so each is copied once, and a later backup costs what is new.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
from minio.error import S3Error
from psycopg import sql

from appliance import __version__
from installer import aside, postgres, stack
from installer.failures import BackupRuns, BackupUnsound, StepFailed
from installer.site import Site
from installer.vault import Vault

Report = stack.Report

SECRETS = ("appliance.env", "postgres-owner.password")
COUNTED = ("users", "calls", "segments", "ai_analyses", "audit_log")
OBJECTS = "objects/"
MANIFEST = "manifest.json"
OURS = re.compile(r"\d{8}T\d{6}Z(\.part)?/")
"""What a backup's files begin with, also one that an older version did not finish. Whatever else lies there stays."""

OBJECTS_OF = (
    "SELECT audio_key FROM calls WHERE audio_key IS NOT NULL UNION SELECT avatar FROM users WHERE avatar IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `files` and `objects`: SHA-256 by name; `counts`: rows by table."""

    version: str
    made_at: str
    counts: dict[str, int]
    files: dict[str, str]
    objects: dict[str, str]
    gone: list[str]
    """Recordings that were deleted while the backup was made."""

    @classmethod
    def of(cls, vault: Vault, name: str) -> Manifest:
        """Raises BackupUnsound where there is no backup of this name."""
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / MANIFEST
            vault.fetch(f"{name}/{MANIFEST}", copy)
            try:
                return cls(**json.loads(copy.read_text(encoding="utf-8")))
            except (ValueError, TypeError):
                raise BackupUnsound(what=f"{name}/{MANIFEST}") from None


def whole(vault: Vault) -> list[str]:
    """The backups that are there, the oldest first. One that was interrupted has no manifest and is none."""
    found = (name.rsplit("/", 1) for name in vault.names() if OURS.match(name))
    return sorted(name for name, file in found if file == MANIFEST and not name.endswith(".part"))


def make(site: Site, vault: Vault, report: Report, keep: int = 0) -> str:
    """Make a backup of a running installation; returns its name. `keep`: how many stay; 0: all.

    Raises BackupRuns, StepFailed, RestoreRuns, RestoreCutOff, HalfRestored.
    """
    aside.check(site)
    site.backups.mkdir(mode=0o700, exist_ok=True)
    with _alone(site), tempfile.TemporaryDirectory(dir=site.backups) as scratch:
        known = whole(vault)
        _remove(vault, known, objects=False)
        made_at = datetime.now(UTC)
        name = f"{made_at:%Y%m%dT%H%M%SZ}"
        report("the database / база данных")
        dump = Path(scratch) / "database.dump"
        counts, keys = _dump(postgres.owner_address(site), dump)
        secrets = [site.data_dir / each for each in SECRETS]  # an external database has no owner here
        files = {dump.name: dump} | {file.name: file for file in secrets if file.exists()}
        report("recordings, as far as they are new / новые записи")
        before = Manifest.of(vault, known[-1]).objects if known else {}
        objects, gone = _copy_objects(site, keys, vault, before, Path(scratch))
        report("the database and the secrets / база и секреты")
        for each, file in files.items():
            vault.put(f"{name}/{each}", file)
        digests = {each: digest(file) for each, file in files.items()}
        manifest = Path(scratch) / MANIFEST
        said = asdict(Manifest(__version__, made_at.isoformat(), counts, digests, objects, gone))
        manifest.write_text(json.dumps(said, indent=1), encoding="utf-8")
        vault.put(f"{name}/{MANIFEST}", manifest)  # last: with it the backup is one
        if keep:
            _remove(vault, whole(vault)[-keep:], objects=True)
        return name


@contextmanager
def _alone(site: Site) -> Iterator[None]:
    """Two at a time would take each other for interrupted ones. Raises BackupRuns."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
    with os.fdopen(os.open(site.backups / "lock", flags, 0o600), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupRuns from None
        yield


def _dump(address: str, file: Path) -> tuple[dict[str, int], list[str]]:
    """Dump the database; the counts and keys are of the same snapshot."""
    with psycopg.connect(address, connect_timeout=5) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = _one(connection, "SELECT pg_export_snapshot()")
        command = [str(postgres.bin_dir() / "pg_dump"), "--format=custom", f"--snapshot={snapshot}", f"--file={file}"]
        run("pg_dump", command, address)
        counts = {table: count(connection, table) for table in COUNTED}
        return counts, [row[0] for row in connection.execute(OBJECTS_OF)]


def count(connection: psycopg.Connection[Any], table: str) -> int:
    """The rows of a table."""
    return int(_one(connection, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))))


def _one(connection: psycopg.Connection[Any], query: LiteralString | sql.Composed) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - these queries always have a row
    return row[0]


def run(step: str, command: list[str], address: str) -> None:
    """Run a program of PostgreSQL. The password travels in the environment, not in the list of processes."""
    url = urlsplit(address)
    reach = {
        "PGHOST": url.hostname,
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
    }
    environment = {name: value or "" for name, value in reach.items()} | {"PGDATABASE": url.path.lstrip("/")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed(step=step, reason=done.stderr.strip()[-600:])


def load(dump: Path, address: str, *options: str) -> None:
    """Fill a database from a dump, whole or not at all. Raises StepFailed."""
    tool = str(postgres.bin_dir() / "pg_restore")
    listing = subprocess.run([tool, "--list", str(dump)], capture_output=True, text=True, check=True).stdout
    # The schema and the extension are the superuser's, and there already.
    wanted = [line for line in listing.splitlines() if " EXTENSION " not in line and " SCHEMA - public" not in line]
    with tempfile.NamedTemporaryFile("w", suffix=".list", dir=dump.parent, encoding="utf-8") as contents:
        contents.write("\n".join(wanted))
        contents.flush()
        command = [tool, "--exit-on-error", "--single-transaction", *options, f"--use-list={contents.name}"]
        run("pg_restore", [*command, f"--dbname={urlsplit(address).path.lstrip('/')}", str(dump)], address)


def _copy_objects(
    site: Site, keys: list[str], vault: Vault, before: dict[str, str], scratch: Path
) -> tuple[dict[str, str], list[str]]:
    """Copy what is not there yet. The checksum is the first copy's: one that spoils later must not become right."""
    client, bucket = stack.store_of(site)
    there = {name.removeprefix(OBJECTS) for name in vault.names(OBJECTS)}
    digests, gone, copy = {}, [], scratch / "object"
    for key in keys:
        if key in there and key in before:
            digests[key] = before[key]
            continue
        try:
            client.fget_object(bucket, key, str(copy))
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise StepFailed(step=key, reason=str(error.code)) from None
            gone.append(key)
            continue
        digests[key] = digest(copy)
        vault.put(OBJECTS + key, copy)
    return digests, gone


def _remove(vault: Vault, kept: list[str], *, objects: bool) -> None:
    """Let go of every other backup and of what was interrupted; with `objects` of recordings that no kept one names."""
    named = {OBJECTS + key for name in kept for key in Manifest.of(vault, name).objects} if objects else set()
    for name in list(vault.names()):
        old = OURS.match(name) and name.split("/")[0] not in kept
        if old or (objects and name.startswith(OBJECTS) and name not in named):
            vault.remove(name)


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def check(vault: Vault, name: str, scratch: Path) -> Manifest:
    """Every file and recording of a backup against its checksum. Raises BackupUnsound with the first that differs."""
    manifest = Manifest.of(vault, name)
    places = {f"{name}/{file}": known for file, known in manifest.files.items()}
    places |= {OBJECTS + key: known for key, known in manifest.objects.items()}
    copy = scratch / "checked"
    for place, known in places.items():
        vault.fetch(place, copy)
        if digest(copy) != known:
            raise BackupUnsound(what=place)
    copy.unlink(missing_ok=True)
    return manifest
