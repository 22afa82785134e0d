"""Backups for real: made of a running appliance, proven aside, restored onto nothing, and refused when damaged."""

from __future__ import annotations

import io
import json
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from minio import Minio

from installer import backup, postgres, restore, stack, vault
from installer.failures import BackupUnsound, NotEmpty, StepFailed, StillRunning
from installer.site import Site
from tests.conftest import SAMPLES, Running, _free_port, let_in, processed, upload
from tests.own_stack import own_stack


@dataclass(frozen=True)
class Made:
    place: vault.Folder
    name: str
    call: dict[str, Any]


@pytest.fixture(scope="module")
def made(running: Running, people: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Made:
    http = running.client(people["anna"])
    call = processed(http, upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"])
    target = tmp_path_factory.mktemp("backups")
    let_in(target)
    place = vault.Folder(target)
    return Made(place, backup.make(running.site, place, lambda _: None), call)


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> vault.Folder:
    """A copy of the backup, to be damaged."""
    let_in(tmp_path)
    shutil.copytree(made.place.path, tmp_path / "backups")
    return vault.Folder(tmp_path / "backups")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    let_in(tmp_path)
    folder = tmp_path / "restored"
    yield folder
    stack.down(folder)


@pytest.mark.timeout(600)
def test_what_was_backed_up_comes_back(made: Made, people: dict[str, str], empty: Path) -> None:
    """Onto an empty machine: people log in with their passwords, calls, recordings and links are as they were."""
    restore.restore(made.place, made.name, empty, lambda _: None)
    port = _free_port()
    restored = Running(stack.up(empty, port, lambda _: None), port)
    with psycopg.connect(postgres.owner_address(restored.site)) as connection:  # everybody logs in anew
        assert connection.execute("SELECT count(*) FROM refresh_tokens").fetchone() == (0,)
    http = restored.client(people["anna"])
    call = http.get(f"/api/calls/{made.call['id']}").json()
    assert call["transcript"] == made.call["transcript"]
    assert call["aiAnalysis"] == made.call["aiAnalysis"]
    sound = httpx.get(call["recordingUrl"])
    assert sound.content == (SAMPLES / "ru-wrong-number.wav").read_bytes()
    assert upload(http, SAMPLES / "ru-wrong-number.wav").status_code == 200
    with pytest.raises(NotEmpty):
        restore.restore(made.place, made.name, empty, lambda _: None)
    with pytest.raises(StillRunning):
        restore.replace(made.place, made.name, empty, lambda _: None)


@pytest.mark.timeout(600)
def test_a_backup_is_proven_aside_and_leaves_nothing(made: Made) -> None:
    before = sorted(made.place.names())
    manifest = restore.verify(made.place, made.name, lambda _: None, made.place.path)
    assert manifest.counts["calls"] > 0
    assert sorted(made.place.names()) == before


@pytest.mark.timeout(600)
def test_a_trial_touches_no_database_and_no_store_of_the_customers(made: Made, copied: vault.Folder) -> None:
    """Where the settings in the backup name such, it has its own; nothing answers at what they name here."""
    folder = copied.path / made.name
    settings, manifest = folder / "appliance.env", folder / "manifest.json"
    away = {
        "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/none",
        "S3_ENDPOINT": "http://127.0.0.1:1",
        "S3_ACCESS_KEY": "a",
    }
    lines = [line for line in settings.read_text().splitlines() if line.split("=")[0] not in away]
    settings.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in away.items())]) + "\n")
    told = json.loads(manifest.read_text())
    told["files"]["appliance.env"] = backup.digest(settings)
    manifest.write_text(json.dumps(told))
    assert restore.verify(copied, made.name, lambda _: None, copied.path).counts["calls"] > 0


def test_what_is_backed_up_is_the_owners_alone(made: Made) -> None:
    files = [file for file in made.place.path.rglob("*") if file.is_file()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert {"appliance.env", "database.dump", "manifest.json"} <= {file.name for file in files}


def test_a_later_backup_copies_what_is_new_and_the_oldest_go(
    made: Made, running: Running, copied: vault.Folder
) -> None:
    objects = copied.path / "objects"
    recordings = {file: file.stat().st_mtime_ns for file in objects.rglob("*") if file.is_file()}
    stray = objects / "recordings" / "of-nobody.wav"
    stray.write_bytes(b"x")
    cut_off = copied.path / "20020101T000000Z" / "database.dump"
    cut_off.parent.mkdir()
    cut_off.write_bytes(b"x")
    foreign = copied.path / "holiday.jpg"
    foreign.write_bytes(b"x")
    (copied.path / made.name).rename(copied.path / "20010101T000000Z")
    later = backup.make(running.site, copied, lambda _: None, keep=1)
    assert {path.name for path in copied.path.iterdir()} == {later, "objects", foreign.name}
    assert not stray.exists()
    still = {file: at for file, at in recordings.items() if file.exists()}
    assert still
    assert all(file.stat().st_mtime_ns == at for file, at in still.items())


def test_a_copy_that_spoils_does_not_become_right_with_the_next_backup(
    made: Made, running: Running, copied: vault.Folder, empty: Path
) -> None:
    spoilt = copied.path / "objects" / next(iter(backup.Manifest.of(copied, made.name).objects))
    spoilt.write_bytes(b"x")
    (copied.path / made.name).rename(copied.path / "20010101T000000Z")
    later = backup.make(running.site, copied, lambda _: None)
    with pytest.raises(BackupUnsound, match=spoilt.name):
        restore.restore(copied, later, empty, lambda _: None)


@pytest.mark.parametrize("what", ["database.dump", "recording", "manifest.json", "appliance.env"])
def test_a_damaged_backup_is_refused_before_anything_is_made(
    made: Made, copied: vault.Folder, empty: Path, what: str
) -> None:
    folder = copied.path / made.name
    manifest = json.loads((folder / "manifest.json").read_text())
    file = copied.path / "objects" / next(iter(manifest["objects"])) if what == "recording" else folder / what
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(BackupUnsound):
        restore.restore(copied, made.name, empty, lambda _: None)
    assert not empty.exists()


@pytest.mark.timeout(600)
def test_a_restore_that_fails_leaves_the_folder_as_it_was(made: Made, copied: vault.Folder, empty: Path) -> None:
    spoil_counts(copied, made.name)
    with pytest.raises(BackupUnsound, match="calls"):
        restore.restore(copied, made.name, empty, lambda _: None)
    assert not empty.exists()
    assert not Site(empty.resolve()).postgres_data.exists()


def spoil_counts(place: vault.Folder, name: str) -> None:
    file = place.path / name / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["counts"]["calls"] += 1
    file.write_text(json.dumps(manifest))


@pytest.mark.timeout(900)
def test_a_backup_takes_the_place_of_an_installation_or_leaves_it_as_it_was(
    made: Made, people: dict[str, str], copied: vault.Folder
) -> None:
    with own_stack() as own:
        of_its_own = own.client().get("/api/users").json()
        secret = own.site.facts()["JWT_SECRET"]
        with pytest.raises(StillRunning):
            restore.replace(made.place, made.name, own.site.data_dir, lambda _: None)
        stack.down(own.site.data_dir)
        spoil_counts(copied, made.name)
        with pytest.raises(BackupUnsound, match="calls"):
            restore.replace(copied, made.name, own.site.data_dir, lambda _: None)
        own.up()
        assert own.client().get("/api/users").json() == of_its_own
        assert own.site.facts()["JWT_SECRET"] == secret
        stack.down(own.site.data_dir)
        restore.replace(made.place, made.name, own.site.data_dir, lambda _: None)
        own.up()
        restored = Running(own.site, own.port)
        assert restored.client(people["anna"]).get(f"/api/calls/{made.call['id']}").status_code == 200
        assert own.site.facts()["JWT_SECRET"] != secret


@pytest.fixture
def bucket(running: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Minio]:
    """A bucket of a real store, and the environment that leads there."""
    client, _ = stack.store_of(running.site)
    facts = running.site.facts()
    for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"):
        monkeypatch.setenv(f"BACKUP_S3_{name}", facts[f"S3_{name}"])
    client.make_bucket("backups-elsewhere")
    yield client
    for found in client.list_objects("backups-elsewhere", recursive=True):
        client.remove_object("backups-elsewhere", str(found.object_name))
    client.remove_bucket("backups-elsewhere")


@pytest.mark.timeout(900)
def test_a_bucket_of_another_store_keeps_backups_as_well(
    made: Made, running: Running, bucket: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "s3://backups-elsewhere/site one"
    bucket.put_object("backups-elsewhere", "of others.txt", *_bytes(b"x"))
    first = backup.make(running.site, vault.at(target), lambda _: None)
    place, name = vault.of_backup(f"{target}/{first}")
    assert (backup.whole(place), name) == ([first], first)
    assert restore.verify(place, first, lambda _: None).counts == backup.Manifest.of(place, first).counts
    sent: list[str] = []
    monkeypatch.setattr(vault.Bucket, "put", _noting(vault.Bucket.put, sent))
    monkeypatch.setattr(backup, "datetime", _Later)
    second = backup.make(running.site, vault.at(target), lambda _: None, keep=1)
    assert not [one for one in sent if one.removeprefix("objects/") in backup.Manifest.of(place, second).objects]
    assert backup.whole(place) == [second]
    left = {str(one.object_name) for one in bucket.list_objects("backups-elsewhere", recursive=True)}
    assert "of others.txt" in left
    assert not [one for one in left if first in one]
    key = next(iter(backup.Manifest.of(place, second).objects))
    bucket.put_object("backups-elsewhere", f"site one/objects/{key}", *_bytes(b"spoilt"))
    with pytest.raises(BackupUnsound, match=key):
        restore.verify(place, second, lambda _: None)


def _bytes(content: bytes) -> tuple[Any, int]:
    return io.BytesIO(content), len(content)


def _noting(put: Any, sent: list[str]) -> Any:
    def noted(self: vault.Bucket, name: str, file: Path) -> None:
        sent.append(name)
        put(self, name, file)

    return noted


class _Later(datetime):
    """A backup's name has seconds; these two are made within one."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + timedelta(seconds=2)


@pytest.mark.parametrize("name", ["BACKUP_S3_ENDPOINT", "BACKUP_S3_SECRET_KEY"])
def test_a_bucket_that_nothing_leads_to_is_refused(monkeypatch: pytest.MonkeyPatch, bucket: Minio, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(StepFailed, match=name):
        vault.at("s3://backups-elsewhere")


def test_a_key_that_is_wrong_and_a_bucket_that_is_missing_are_said_so(
    running: Running, monkeypatch: pytest.MonkeyPatch, bucket: Minio
) -> None:
    with pytest.raises(StepFailed, match="NoSuchBucket"):
        backup.make(running.site, vault.at("s3://nowhere-at-all/x"), lambda _: None)
    monkeypatch.setenv("BACKUP_S3_SECRET_KEY", "wrong")
    with pytest.raises(StepFailed, match="SignatureDoesNotMatch") as caught:
        backup.make(running.site, vault.at("s3://backups-elsewhere"), lambda _: None)
    assert "wrong" not in str(caught.value)
