"""Backups for real: made of a running appliance, proven aside, restored onto nothing, and refused when damaged."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from minio import Minio

from installer import aside, backup, postgres, restore, stack, vault
from installer.failures import BackupUnsound, HalfRestored, NotEmpty, RestoreCutOff, StepFailed, StillRunning
from installer.setup import layout
from installer.setup.step import Journal, StepFails
from installer.setup.upgrade import Upgrade
from installer.site import Site
from tests.cli.test_operate import APPLIANCE
from tests.conftest import ROOT, SAMPLES, Running, _free_port, let_in, processed, upload, wait_until
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
    away = {
        "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/none",
        "S3_ENDPOINT": "http://127.0.0.1:1",
        "S3_ACCESS_KEY": "a",
        "WATCH_FOLDER": "/nowhere",
        "TLS_CERT_FILE": "/nowhere/server.pem",
        "TLS_KEY_FILE": "/nowhere/server.key",
    }
    change_settings(copied, made.name, **away)
    assert restore.verify(copied, made.name, lambda _: None, copied.path).counts["calls"] > 0


def change_settings(place: vault.Folder, name: str, **changed: str) -> None:
    """Other settings in a backup that is sound for all that."""
    settings, manifest = place.path / name / "appliance.env", place.path / name / "manifest.json"
    lines = [line for line in settings.read_text().splitlines() if line.split("=")[0] not in changed]
    settings.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in changed.items())]) + "\n")
    told = json.loads(manifest.read_text())
    told["files"]["appliance.env"] = backup.digest(settings)
    manifest.write_text(json.dumps(told))


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


KILLED = """
import os, signal, sys
from pathlib import Path
from installer import restore, stack, vault
way, of, step, *where = sys.argv[1:]
setattr({"restore": restore, "stack": stack}[of], step, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
getattr(restore, way)(vault.Folder(Path(where[0])), where[1], Path(where[2]), lambda _: None)
"""


def killed(step: str, place: vault.Folder, name: str, data_dir: Path, way: str = "replace") -> None:
    """A restore that dies when it comes to a step."""
    of, _, step = step.rpartition(".")
    command = [sys.executable, "-c", KILLED, way, of or "restore", step, str(place.path), name, str(data_dir)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL


@pytest.mark.timeout(900)
def test_a_restore_that_is_cut_off_costs_nothing(made: Made, copied: vault.Folder) -> None:
    """By kill -9, by the end of the connection; the next restore and the next start put back what was there."""
    with own_stack() as own:
        of_its_own = own.client().get("/api/users").json()
        secret = own.site.facts()["JWT_SECRET"]
        stack.down(own.site.data_dir)
        killed("_compare", made.place, made.name, own.site.data_dir)
        assert own.site.facts()["JWT_SECRET"] != secret
        with pytest.raises(RestoreCutOff):  # of half a restore, which --keep would put in the place of a good one
            backup.make(own.site, copied, lambda _: None)
        spoil_counts(copied, made.name)
        with pytest.raises(BackupUnsound, match="calls"):
            restore.replace(copied, made.name, own.site.data_dir, lambda _: None)
        assert own.site.facts()["JWT_SECRET"] == secret
        hang_up(f"{made.place.path}/{made.name}", own.site.data_dir)
        assert own.site.facts()["JWT_SECRET"] == secret
        assert not (own.site.data_dir / aside.ASIDE).exists()
        killed("_fill", made.place, made.name, own.site.data_dir)
        assert not own.site.facts()
        own.up()
        assert own.client().get("/api/users").json() == of_its_own


@pytest.mark.timeout(900)
def test_half_a_restore_is_nobodys_installation(
    made: Made, people: dict[str, str], empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed with the database and the recordings in their place: nothing works with them but a restore, from anew."""
    killed("_compare", made.place, made.name, empty, "restore")
    site = Site(empty.resolve())
    assert (site.postgres_data / "PG_VERSION").exists()
    port = str(_free_port())
    for command in (["up", "--port", port], ["service"], ["demo", "--port", port]):
        assert_refused([*command, "--data-dir", str(empty)], empty)
    for command in (["api"], ["worker", "speech"], ["worker", "analysis"], ["worker", "housekeeping"]):
        assert_refused(command, empty)
    assert_refused(["backup", "make", str(tmp_path / "other"), "--data-dir", str(empty)], empty)
    assert not (tmp_path / "other").exists()
    assert_refused(
        ["backup", "restore", f"{made.place.path}/{made.name}", "--replace", "--data-dir", str(empty)], empty
    )
    monkeypatch.setattr(layout, "DATA", empty)
    with pytest.raises(StepFails, match="appliance backup restore"):
        Upgrade(Journal(tmp_path / "log", "en", 9), "0.1.0", "0.2.0").checks()[-1].do()
    killed("stack.down", made.place, made.name, empty, "restore")  # with its API at work, which ends and is refused
    wait_until(lambda: "appliance backup restore" in (site.logs / "api.log").read_text(), 60, "the API to be refused")
    with pytest.raises(HalfRestored):
        stack.up(empty, int(port), lambda _: None)
    restore.restore(made.place, made.name, empty, lambda _: None)
    restored = Running(stack.up(empty, int(port), lambda _: None), int(port))
    assert restored.client(people["anna"]).get(f"/api/calls/{made.call['id']}").status_code == 200


def assert_refused(command: list[str], data_dir: Path) -> None:
    """With the remedy, in the operator's language."""
    settings = {"DATA_DIR": str(data_dir), "APPLIANCE_ENV_FILE": str(data_dir / "appliance.env"), "LANG": "ru_RU.UTF-8"}
    done = subprocess.run(
        [APPLIANCE, *command], env={**os.environ, **settings}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1, (command, done.stdout, done.stderr)
    assert HalfRestored(folder=str(data_dir), places=str(data_dir)).message("ru") in done.stderr, command


def hang_up(backup_of: str, data_dir: Path) -> None:
    """A restore on a terminal that goes away in the midst of it: nothing it says can be written any more."""
    command = [APPLIANCE, "backup", "restore", backup_of, "--replace", "--data-dir", str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as restoring:
        assert restoring.stdout
        assert any("recordings" in line for line in restoring.stdout)
        restoring.send_signal(signal.SIGHUP)
        restoring.stdout.close()
        assert restoring.wait(240) != 0


def hurried(wait_for: Callable[..., None]) -> Callable[..., None]:
    """As stack.wait_for, but soon tired of an API that does not come."""

    def wait(name: str, site: Site, check: Callable[[], object]) -> None:
        wait_for(name, site, check, *((10,) if name == "api" else ()))

    return wait


@pytest.mark.timeout(900)
def test_a_backup_whose_api_does_not_come_up_is_not_restored(
    made: Made, copied: vault.Folder, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every checksum and count is right, and nobody could work with it: no machine keeps it."""
    unfit = copied.path / "server.pem"
    unfit.write_text("neither a certificate nor a key")
    change_settings(copied, made.name, TLS_CERT_FILE=str(unfit), TLS_KEY_FILE=str(unfit))
    with own_stack() as own, monkeypatch.context() as patch:
        of_its_own = own.client().get("/api/users").json()
        stack.down(own.site.data_dir)
        patch.setattr(stack, "wait_for", hurried(stack.wait_for))
        with pytest.raises(StepFailed, match="api"):
            restore.restore(copied, made.name, empty, lambda _: None)
        assert not empty.exists()
        with pytest.raises(StepFailed, match="api"):
            restore.replace(copied, made.name, own.site.data_dir, lambda _: None)
        patch.undo()
        own.up()
        assert own.client().get("/api/users").json() == of_its_own


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
