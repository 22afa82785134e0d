"""What leaves the building for help holds no secret, nobody's name or number, and nothing that was said."""

from __future__ import annotations

import json
import os
import stat
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import delete

from appliance.cli import operate
from appliance.models import Call, User
from appliance.services import support
from appliance.services.support import Stripper
from appliance.store import db
from installer.site import Site
from tests.cli.test_operate import run

SAID = "Здравствуйте, я хочу забрать свой Джулион завтра"


def test_the_bundle_holds_what_helps_and_nothing_else(site: Site, tmp_path: Path) -> None:
    manager, call = uuid4(), uuid4()
    with db.unit_of_work() as session:
        session.add(User(id=manager, name="Xaviera Quillfeather", role="manager"))
        session.flush()
        told = {"phone": "+79161234567", "client_name": "Zebulon Ivanov-Petrov"}
        session.add(Call(id=call, type="incoming", status="missed", manager_id=manager, date=datetime.now(UTC), **told))
    facts = site.facts()
    lines = [
        json.dumps({"event": "stage_failed", "code": "no_speech", "call_id": str(call), "text": SAID}),
        json.dumps({"event": "odd", "error": f"Quillfeather called +7 (916) 123-45-67 with {facts['JWT_SECRET']}"}),
        f"Traceback: {facts['DATABASE_URL']} {facts['S3_SECRET_KEY']} {facts['POSTGRES_PASSWORD']}",
        f"2026-11-24 15:03:55 UTC ERROR: said {SAID!r} by Zebulon, 8 916 123 45 67, to a.b@autogroup.ru",
        f"DETAIL: Key (client_name)=(Zebulon) {SAID}",
    ]
    log, target = site.logs / "support-test.log", tmp_path / "support.tar.gz"
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        done = run(site, "support-bundle", str(target))
    finally:
        log.unlink()
        with db.unit_of_work() as session:
            session.execute(delete(Call).where(Call.id == call))
            session.execute(delete(User).where(User.id == manager))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with tarfile.open(target) as bundle:
        files = {m.name: bundle.extractfile(m).read().decode() for m in bundle.getmembers()}  # type: ignore[union-attr]
    everything = "\n".join(files.values())
    secrets = [facts[name] for name in ("JWT_SECRET", "S3_SECRET_KEY", "POSTGRES_PASSWORD")]
    people = ["Quillfeather", "Xaviera", "Zebulon", "916 123", "(916)", "123-45-67", "autogroup"]
    assert not [word for word in [*secrets, *people, *SAID.split()] if word in everything]
    kept = files["support/log/support-test.log"]
    assert "no_speech" in kept
    assert str(call) in kept
    assert "2026-11-24 15:03:55 UTC ERROR" in kept
    assert "LEASE_S=3.0" in files["support/settings.txt"]
    assert json.loads(files["support/doctor.json"])
    assert json.loads(files["support/status.json"])["version"]
    assert any(name.endswith("swift-proxy.log") for name in files)


def test_russian_is_taken_out_however_it_is_written() -> None:
    escaped = json.dumps(SAID)
    assert Stripper([], []).text(f"said {SAID} end") == "said ‹…›end"
    assert "u04" not in Stripper([], []).text(f"x {escaped}")


def test_it_is_gathered_as_far_as_the_operator_may_read(tmp_path: Path) -> None:
    """A log that is closed to who asks is named, and the rest is there; a file that was open to others is no more."""
    target, logs = tmp_path / "support.tar.gz", tmp_path / "log"
    logs.mkdir()
    (logs / "api.log").write_text('{"event": "ready"}\n')
    (logs / "closed.log").symlink_to(logs / "nowhere")  # root may read whatever is there
    assert support._end_of(logs / "api.log") == ['{"event": "ready"}']
    assert "not readable" in support._end_of(logs / "closed.log")[0]
    target.write_text("old")
    target.chmod(0o644)
    support.pack(target, {"log/api.log": "x"})
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_where_the_caller_may_not_write_it_lies_where_everybody_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPLIANCE_CALLED_FROM", str(tmp_path))
    assert operate._where_writable("support.tar.gz") == tmp_path / "support.tar.gz"
    monkeypatch.setenv("APPLIANCE_CALLED_FROM", "/proc")
    monkeypatch.setattr(os, "access", lambda *_: False)
    elsewhere = operate._where_writable("support.tar.gz")
    assert elsewhere.parent.parent == Path("/var/tmp")
    assert stat.S_IMODE(elsewhere.parent.stat().st_mode) == 0o700
    elsewhere.parent.rmdir()
