"""Backups: the database first, then the recordings it names, then the secrets; every file with its checksum.

A backup is a folder `TARGET/TIME` with the database, the secrets and a manifest. Recordings lie beside all of them in
`TARGET/objects`: they never change, so each is copied once, and a later backup costs what is new.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
from minio import Minio
from minio.error import S3Error
from psycopg import sql

from appliance import __version__
from installer import postgres, stack
from installer.failures import BackupUnsound, NotEmpty, StepFailed
from installer.site import Site

Report = stack.Report

SECRETS = ("appliance.env", "postgres-owner.password")
COUNTED = ("users", "calls", "segments", "ai_analyses", "audit_log")
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
    def of(cls, folder: Path) -> Manifest:
        """Raises BackupUnsound where the folder is no backup."""
        try:
            return cls(**json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise BackupUnsound(what=str(folder / "manifest.json")) from None


def make(site: Site, target: Path, report: Report, keep: int = 0) -> Path:
    """Write a backup of a running installation. `keep`: how many stay; 0: all. Raises StepFailed.

    A folder of this name with a manifest is whole; one that was interrupted has none, and the next backup removes it.
    """
    made_at = datetime.now(UTC)
    target.mkdir(parents=True, exist_ok=True)
    target.chmod(0o700)
    part = target / f"{made_at:%Y%m%dT%H%M%SZ}.part"
    for left in target.glob("*.part"):
        shutil.rmtree(left)
    part.mkdir(mode=0o700)
    report("the database")
    address = postgres.owner_address(site)
    counts, keys = _dump(address, part / "database.dump")
    report(f"{len(keys)} recordings, as far as they are new")
    objects, gone = _copy_objects(site, keys, target / "objects")
    report("the secrets")
    secrets = [name for name in SECRETS if (site.data_dir / name).exists()]  # an external database has no owner here
    for name in secrets:
        shutil.copy2(site.data_dir / name, part / name)
        (part / name).chmod(0o600)
    files = {name: _digest(part / name) for name in ("database.dump", *secrets)}
    manifest = Manifest(__version__, made_at.isoformat(), counts, files, objects, gone)
    (part / "manifest.json").write_text(
        json.dumps({name: getattr(manifest, name) for name in Manifest.__slots__}, indent=1), encoding="utf-8"
    )
    whole = part.with_suffix("")
    part.rename(whole)
    if keep:
        _prune(target, keep)
    return whole


def _dump(address: str, file: Path) -> tuple[dict[str, int], list[str]]:
    """Dump the database; the counts and keys are of the same snapshot."""
    with psycopg.connect(address, connect_timeout=5) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = _one(connection, "SELECT pg_export_snapshot()")
        command = [str(postgres.bin_dir() / "pg_dump"), "--format=custom", f"--snapshot={snapshot}", f"--file={file}"]
        run("pg_dump", command, address)
        counts = {table: _count(connection, table) for table in COUNTED}
        return counts, [row[0] for row in connection.execute(OBJECTS_OF)]


def _count(connection: psycopg.Connection[Any], table: str) -> int:
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


def _copy_objects(site: Site, keys: Iterable[str], folder: Path) -> tuple[dict[str, str], list[str]]:
    client, bucket = stack.store_of(site)
    digests, gone = {}, []
    for key in keys:
        copy = folder / key
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                client.fget_object(bucket, key, str(copy))
            except S3Error as error:
                if error.code != "NoSuchKey":
                    raise StepFailed(step=f"copy of a recording ({key})", reason=str(error.code)) from None
                gone.append(key)
                continue
        digests[key] = _digest(copy)
    return digests, gone


def _prune(target: Path, keep: int) -> None:
    """Remove the oldest backups, and recordings that none of the others names."""
    whole = sorted(path.parent for path in target.glob("*/manifest.json"))
    for old in whole[:-keep]:
        shutil.rmtree(old)
    named = {key for folder in whole[-keep:] for key in Manifest.of(folder).objects}
    for file in [path for path in (target / "objects").rglob("*") if path.is_file()]:
        if file.relative_to(target / "objects").as_posix() not in named:
            file.unlink()


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def check(folder: Path) -> Manifest:
    """Every file and recording of a backup against its checksum. Raises BackupUnsound with the first that differs."""
    manifest = Manifest.of(folder)
    places = {folder / name: digest for name, digest in manifest.files.items()}
    places |= {folder.parent / "objects" / key: digest for key, digest in manifest.objects.items()}
    for file, digest in places.items():
        if not file.is_file() or _digest(file) != digest:
            raise BackupUnsound(what=str(file))
    return manifest


def restore(folder: Path, data_dir: Path, report: Report) -> Manifest:
    """Make an installation from a backup, in a folder that holds nothing yet; it is left stopped.

    What was made is removed where a step fails, so that the folder is as it was. Raises BackupUnsound, NotEmpty,
    StepFailed.
    """
    data_dir = data_dir.resolve()
    if data_dir.exists() and any(data_dir.iterdir()):
        raise NotEmpty(folder=str(data_dir))
    report("checking every file of the backup")
    manifest = check(folder)
    site = Site(data_dir)
    try:
        _fill(folder, site, manifest, report)
    except BaseException:
        stack.down(data_dir)
        for made in (site.postgres_data, data_dir):
            shutil.rmtree(made, ignore_errors=True)
        raise
    stack.down(data_dir)
    return manifest


def _fill(folder: Path, site: Site, manifest: Manifest, report: Report) -> None:
    site.data_dir.mkdir(parents=True, exist_ok=True)
    for name in manifest.files.keys() & set(SECRETS):
        shutil.copy2(folder / name, site.data_dir / name)
    port = int(site.facts().get("PORT", "8000"))
    demo = site.facts().get("DEMO") == "true"
    stack.up(site.data_dir, port, report, demo=demo, infrastructure_only=True)
    report("the database")
    address = postgres.owner_address(site)
    # The extension is the superuser's, and there already.
    listing = subprocess.run(
        [str(postgres.bin_dir() / "pg_restore"), "--list", str(folder / "database.dump")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    wanted = [line for line in listing.splitlines() if " EXTENSION " not in line and " SCHEMA - public" not in line]
    contents = site.data_dir / "restore.list"
    contents.write_text("\n".join(wanted), encoding="utf-8")
    command = [str(postgres.bin_dir() / "pg_restore"), "--exit-on-error", "--single-transaction"]
    command += [
        f"--use-list={contents}",
        f"--dbname={urlsplit(address).path.lstrip('/')}",
        str(folder / "database.dump"),
    ]
    run("pg_restore", command, address)
    contents.unlink()
    report(f"{len(manifest.objects)} recordings")
    client, bucket = stack.store_of(site)
    for key in manifest.objects:
        client.fput_object(bucket, key, str(folder.parent / "objects" / key), part_size=128 * 1024 * 1024)
    report("comparing what is there with what was backed up")
    _compare(address, manifest, client, bucket)
    stack.migrate(site)


def _compare(address: str, manifest: Manifest, client: Minio, bucket: str) -> None:
    with psycopg.connect(address, connect_timeout=5) as connection:
        for table in COUNTED:
            if (found := _count(connection, table)) != manifest.counts.get(table):
                raise BackupUnsound(what=f"{table}: {found} / {manifest.counts.get(table)}")
    for key, digest in manifest.objects.items():
        response = client.get_object(bucket, key)
        try:
            if hashlib.sha256(response.read()).hexdigest() != digest:
                raise BackupUnsound(what=key)
        finally:
            response.close()
            response.release_conn()


def verify(folder: Path, report: Report) -> Manifest:
    """Restore a backup into a scratch installation, compare, and remove it again. Raises BackupUnsound, StepFailed."""
    with tempfile.TemporaryDirectory(prefix="verify-", dir=folder.parent) as scratch:
        place = Path(scratch) / "data"
        manifest = restore(folder, place, report)
        shutil.rmtree(Site(place.resolve()).postgres_data, ignore_errors=True)
        return manifest
