"""An installation made from a backup: in an empty folder, in the place of what is there, or aside to prove the backup.

Whatever fails, what was there before is there again.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import psycopg
from minio import Minio

from installer import aside, backup, postgres, stack, supervisor
from installer.backup import COUNTED, OBJECTS, SECRETS, Manifest, Report
from installer.failures import BackupUnsound, StillRunning, UpgradeUnfinished
from installer.setup import layout, return_point
from installer.site import Site
from installer.vault import PART_BYTES, Vault

REPLACED = ("swift", "ports.json", "postgres-admin.password", *SECRETS)
ELSEWHERE = (
    *("DATABASE_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "REDIS_URL", "NODES_LISTEN"),
    *("TLS_CERT_FILE", "TLS_KEY_FILE", "VLLM_WEIGHTS"),
)
"""Settings that may lead to what is not the installation's own, or take a card from it: a trial touches none of it."""


def restore(vault: Vault, name: str, data_dir: Path, report: Report, *, bundled: bool = False) -> Manifest:
    """Make an installation in a folder that holds nothing yet, and see that its API answers; it is left stopped.

    `bundled`: with a database and a store of its own, whatever the settings in the backup name. Raises BackupUnsound,
    NotEmpty, RestoreRuns, StepFailed.
    """
    site = Site(data_dir.resolve())
    with aside.in_nothing(site, report):
        with tempfile.TemporaryDirectory(prefix=aside.SCRATCH, dir=site.data_dir) as scratch:
            report("checking every file of the backup / проверка каждого файла копии")
            manifest = backup.check(vault, name, Path(scratch))
            _fill(vault, name, site, manifest, report, Path(scratch), bundled=bundled)
            report("starting its API, to see that it answers / пробный запуск API")
            stack.try_api(site)
        stack.down(site.data_dir)
    return manifest


def _remove(site: Site) -> None:
    database = site.postgres_data
    shutil.rmtree(database if database.is_relative_to(site.data_dir) else database.parent, ignore_errors=True)
    shutil.rmtree(site.data_dir, ignore_errors=True)


def replace(vault: Vault, name: str, data_dir: Path, report: Report) -> Manifest:
    """Put a backup in the place of a stopped installation, and see that its API answers; it is left stopped.

    Where any of this fails, the old installation is put back as it was; after a restore that was cut off, at once. It
    keeps its port. Raises BackupUnsound, StillRunning, RestoreRuns, HalfRestored, UpgradeUnfinished, StepFailed.
    """
    site = Site(data_dir.resolve())
    _check_no_upgrade(site)
    aside.put_back(site, report)
    if supervisor.is_running(site):
        raise StillRunning
    with tempfile.TemporaryDirectory(prefix=aside.SCRATCH, dir=site.data_dir) as scratch:
        report("checking every file of the backup / проверка каждого файла копии")
        manifest = backup.check(vault, name, Path(scratch))
        port = _port(site)
        _check_no_upgrade(site)  # checking took its time
        with aside.set_aside(site, REPLACED, report):
            _fill(vault, name, site, manifest, report, Path(scratch), port=port)
            return_point.forget(site)  # a later upgrade that fails must not return to what was here before
            report("starting its API, to see that it answers / пробный запуск API")
            stack.try_api(site)  # to nobody else: what it took would be lost where the old is put back
            stack.down(site.data_dir)
    return manifest


def _check_no_upgrade(site: Site) -> None:
    if (site.data_dir / layout.UNFINISHED).exists():
        raise UpgradeUnfinished


def _port(site: Site) -> int:
    return int(site.facts().get("PORT", "8000"))


def _is_demo(site: Site) -> bool:
    return site.facts().get("DEMO") == "true"


def _fill(
    vault: Vault,
    name: str,
    site: Site,
    manifest: Manifest,
    report: Report,
    scratch: Path,
    *,
    bundled: bool = False,
    port: int = 0,
) -> None:
    """port: what it serves on from now on; 0: as the settings in the backup have it."""
    for secret in manifest.files.keys() & set(SECRETS):
        copy = scratch / secret
        vault.fetch(f"{name}/{secret}", copy)
        place = site.data_dir / secret
        place.touch(mode=0o600)
        lines = copy.read_text(encoding="utf-8").splitlines(keepends=True)
        place.write_text("".join(x for x in lines if not (bundled and x.split("=")[0] in ELSEWHERE)), encoding="utf-8")
        copy.unlink()
    stack.up(site.data_dir, port or _port(site), report, demo=_is_demo(site), infrastructure_only=True, restoring=True)
    report("the database / база данных")
    address = postgres.owner_address(site)
    dump = scratch / "database.dump"
    vault.fetch(f"{name}/{dump.name}", dump)
    backup.load(dump, address)
    dump.unlink()
    report(f"{len(manifest.objects)} recordings / записи: {len(manifest.objects)}")
    client, bucket = stack.store_of(site)
    copy = scratch / "object"
    for key in manifest.objects:
        vault.fetch(OBJECTS + key, copy)
        client.fput_object(bucket, key, str(copy), part_size=PART_BYTES)
    report("comparing what is there with what was backed up / сверка с копией")
    _compare(address, manifest, client, bucket, copy)
    stack.migrate(site)
    with psycopg.connect(address, connect_timeout=5) as connection:
        connection.execute("DELETE FROM refresh_tokens")  # who logged out since the backup stays logged out


def _compare(address: str, manifest: Manifest, client: Minio, bucket: str, copy: Path) -> None:
    with psycopg.connect(address, connect_timeout=5) as connection:
        for table in COUNTED:
            if (found := backup.count(connection, table)) != manifest.counts.get(table):
                raise BackupUnsound(what=f"{table}: {found} / {manifest.counts.get(table)}")
    for key, known in manifest.objects.items():
        client.fget_object(bucket, key, str(copy))
        if backup.digest(copy) != known:
            raise BackupUnsound(what=key)


def verify(vault: Vault, name: str, report: Report, scratch_dir: Path | None = None) -> Manifest:
    """Restore a backup into a scratch installation, compare, try, and remove it. Raises BackupUnsound, StepFailed."""
    with tempfile.TemporaryDirectory(prefix="verify-", dir=scratch_dir) as scratch:
        place = Path(scratch) / "data"
        manifest = restore(vault, name, place, report, bundled=True)
        _remove(Site(place.resolve()))
        return manifest
