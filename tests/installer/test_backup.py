"""Backups for real: made of a running appliance, proven aside, restored onto nothing, and refused when damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from installer import backup, stack
from installer.failures import BackupUnsound, NotEmpty
from installer.site import Site
from tests.conftest import SAMPLES, Running, _free_port, let_in, processed, upload


@dataclass(frozen=True)
class Made:
    folder: Path
    call: dict[str, Any]


@pytest.fixture(scope="module")
def made(running: Running, people: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Made:
    http = running.client(people["anna"])
    call = processed(http, upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"])
    target = tmp_path_factory.mktemp("backups")
    let_in(target)
    return Made(backup.make(running.site, target, lambda _: None), call)


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Path:
    """A copy of the backup, to be damaged."""
    let_in(tmp_path)
    shutil.copytree(made.folder.parent, tmp_path / "backups")
    return tmp_path / "backups" / made.folder.name


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    let_in(tmp_path)
    folder = tmp_path / "restored"
    yield folder
    stack.down(folder)


@pytest.mark.timeout(600)
def test_what_was_backed_up_comes_back(made: Made, people: dict[str, str], empty: Path) -> None:
    """Onto an empty machine: people log in with their passwords, calls, recordings and links are as they were."""
    backup.restore(made.folder, empty, lambda _: None)
    port = _free_port()
    restored = Running(stack.up(empty, port, lambda _: None), port)
    http = restored.client(people["anna"])
    call = http.get(f"/api/calls/{made.call['id']}").json()
    assert call["transcript"] == made.call["transcript"]
    assert call["aiAnalysis"] == made.call["aiAnalysis"]
    sound = httpx.get(call["recordingUrl"])
    assert sound.content == (SAMPLES / "ru-wrong-number.wav").read_bytes()
    assert upload(http, SAMPLES / "ru-wrong-number.wav").status_code == 200
    with pytest.raises(NotEmpty):
        backup.restore(made.folder, empty, lambda _: None)


@pytest.mark.timeout(600)
def test_a_backup_is_proven_aside_and_leaves_nothing(made: Made) -> None:
    before = sorted(made.folder.parent.iterdir())
    assert backup.verify(made.folder, lambda _: None).counts["calls"] > 0
    assert sorted(made.folder.parent.iterdir()) == before


def test_a_later_backup_copies_what_is_new_and_the_oldest_go(made: Made, running: Running, copied: Path) -> None:
    recordings = {file: file.stat().st_mtime_ns for file in (copied.parent / "objects").rglob("*") if file.is_file()}
    stray = copied.parent / "objects" / "recordings" / "of-nobody.wav"
    stray.write_bytes(b"x")
    copied.rename(copied.with_name("20010101T000000Z"))
    later = backup.make(running.site, copied.parent, lambda _: None, keep=1)
    assert [path.name for path in copied.parent.iterdir() if path.name != "objects"] == [later.name]
    assert not stray.exists()
    still = {file: at for file, at in recordings.items() if file.exists()}
    assert still
    assert all(file.stat().st_mtime_ns == at for file, at in still.items())


@pytest.mark.parametrize("what", ["database.dump", "recording", "manifest.json", "appliance.env"])
def test_a_damaged_backup_is_refused_before_anything_is_made(made: Made, copied: Path, empty: Path, what: str) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    file = copied.parent / "objects" / next(iter(manifest["objects"])) if what == "recording" else copied / what
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(BackupUnsound):
        backup.restore(copied, empty, lambda _: None)
    assert not empty.exists()


@pytest.mark.timeout(600)
def test_a_restore_that_fails_leaves_the_folder_as_it_was(copied: Path, empty: Path) -> None:
    file = copied / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["counts"]["calls"] += 1
    file.write_text(json.dumps(manifest))
    with pytest.raises(BackupUnsound, match="calls"):
        backup.restore(copied, empty, lambda _: None)
    assert not empty.exists()
    assert not Site(empty.resolve()).postgres_data.exists()
