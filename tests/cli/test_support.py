"""What leaves the building for help holds no secret, nobody's name or number, and nothing that was said."""

from __future__ import annotations

import json
import stat
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from sqlalchemy import delete

from appliance.models import Call, User
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
