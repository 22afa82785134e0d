"""The operator's commands against a real installation."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete
from typer.testing import CliRunner

from appliance.cli import app
from appliance.config import settings
from appliance.models import LlmChoice
from appliance.services import doctor, readiness
from appliance.store import db
from installer.site import Site
from tests.conftest import Running, _free_port, wait_until

APPLIANCE = str(Path(sys.prefix) / "bin" / "appliance")


def run(site: Site, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "APPLIANCE_ENV_FILE": str(site.env_file), "LANG": "C", **environment}
    command = [APPLIANCE, *arguments, "--data-dir", str(site.data_dir)]
    return subprocess.run(command, env=known, capture_output=True, text=True, check=False, timeout=240)


def test_status_tells_processes_queue_disk_and_weights(site: Site) -> None:
    done = run(site, "status", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert {p["name"]: p["state"] for p in found["processes"]}["postgres"] == "RUNNING"
    assert set(found["queues"]) == {"speech", "analysis"}
    assert 0 < found["disk_free_bytes"] < found["disk_total_bytes"]
    assert (found["weights"], found["version"]) == ("demo", readiness.VERSION)
    assert found["diarizer"] == "d-vector clustering"
    assert "demo_weights" in found["problems"]
    shown = run(site, "status", APPLIANCE_LANG="ru").stdout
    assert "веса распознавания" in shown
    assert "swift-proxy" in shown


def test_backups_are_kept_by_number_and_a_damaged_one_is_told_by_the_exit_status(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    note = site.data_dir / readiness.LAST_BACKUP
    try:
        made = [made_backup(site, target) for _ in range(2)]
    finally:
        note.unlink(missing_ok=True)
    assert made[0] != made[1]
    listed = run_of_target("list", str(target))
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [made[1]]
    dump = Path(made[1]) / "database.dump"
    dump.write_bytes(dump.read_bytes()[:-1] + b"x")
    damaged = run_of_target("verify", made[1])
    assert damaged.returncode != 0
    assert "database.dump" in damaged.stdout + damaged.stderr
    assert "Sound" not in damaged.stdout


def made_backup(site: Site, target: Path) -> str:
    """Its name has seconds."""
    second = int(time.time())
    wait_until(lambda: int(time.time()) > second, 5, "the next second")
    done = run(site, "backup", "make", str(target), "--keep", "1")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].removeprefix("Backed up: ")


def run_of_target(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [APPLIANCE, "backup", *arguments]
    environment = {**os.environ, "LANG": "C"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)


def test_status_tells_of_the_last_backup(site: Site, tmp_path: Path) -> None:
    assert "backup_old" in json.loads(run(site, "status", "--json").stdout)["problems"]
    done = run(site, "backup", "make", str(tmp_path / "backups"))
    assert done.returncode == 0, done.stderr
    note = site.data_dir / readiness.LAST_BACKUP
    try:
        found = json.loads(run(site, "status", "--json").stdout)
        assert datetime.now(UTC) - datetime.fromisoformat(found["last_backup"]) < timedelta(minutes=10)
        assert "backup_old" not in found["problems"]
        elsewhere = run(site, "status", "--json", DATA_DIR="somewhere/else")
        assert json.loads(elsewhere.stdout)["last_backup"] == found["last_backup"]
        note.write_text("2020-01-01T00:00:00+00:00\n")
        assert "backup_old" in json.loads(run(site, "status", "--json").stdout)["problems"]
    finally:
        note.unlink()


def test_status_tells_who_analyses_now_rather_than_who_would(running: Running, people: dict[str, str]) -> None:
    http, site = running.client(people["admin"]), running.site
    before = json.loads(run(site, "status", "--json").stdout)
    assert before["provider"] == before["provider_of_settings"] == "builtin"
    assert "LLM_PROVIDER" not in run(site, "status").stdout
    try:
        assert http.put("/api/admin/llm", json={"active": "local"}).status_code == 200
        told = http.get("/api/admin/status").json()
        assert (told["provider"], told["provider_of_settings"]) == ("local", "builtin")
        shown = " ".join(run(site, "status").stdout.split())
        assert "local (local-only)" in shown
        assert "LLM_PROVIDER=builtin" in shown
    finally:
        with db.unit_of_work() as session:
            session.execute(delete(LlmChoice))
    assert http.get("/api/admin/status").json()["provider"] == "builtin"


def test_status_where_the_database_is_away(site: Site) -> None:
    done = run(site, "status", "--json", DATABASE_URL=f"postgresql://x:secret@127.0.0.1:{_free_port()}/x")
    assert done.returncode == 1
    assert json.loads(done.stdout)["problems"][0] == "database_away"
    assert json.loads(done.stdout)["certificate"] is None
    shown = run(site, "status", DATABASE_URL=f"postgresql://x:secret@127.0.0.1:{_free_port()}/x")
    assert shown.returncode == 1
    assert "the database does not answer" in shown.stdout
    assert "secret" not in done.stdout + done.stderr


def test_a_watched_status_shows_what_has_changed_until_it_is_stopped(site: Site) -> None:
    """By its own pictures, however long each takes: the backup that is noted meanwhile appears in a later one."""
    note = site.data_dir / readiness.LAST_BACKUP
    environment = {
        **os.environ,
        "APPLIANCE_ENV_FILE": str(site.env_file),
        "LANG": "C",
        "FORCE_COLOR": "1",
        "LINES": "100",
    }
    # Whoever runs the tests in the background has them ignore the interrupt, and with them what they start.
    command = ["env", "--default-signal=INT", APPLIANCE, "status", "--watch", "--data-dir", str(site.data_dir)]
    pictures: queue.Queue[str] = queue.Queue()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as watching:
        reader = threading.Thread(target=_lines_into, args=(watching, pictures), daemon=True)
        reader.start()
        try:
            _seen(pictures, "swift-proxy")
            note.write_text("2020-01-02T12:00:00+00:00\n", encoding="utf-8")
            _seen(pictures, "2020-01-02")
            assert watching.poll() is None
            watching.send_signal(signal.SIGINT)
            assert watching.wait(240) == 130
        finally:
            watching.kill()
            note.unlink(missing_ok=True)
    reader.join(60)


def _lines_into(process: subprocess.Popen[str], pictures: queue.Queue[str]) -> None:
    assert process.stdout
    for line in process.stdout:
        pictures.put(line)


def _seen(pictures: queue.Queue[str], wanted: str) -> None:
    """Until it is shown; the limit only ends a test that would hang."""
    deadline = time.monotonic() + 240
    while wanted not in pictures.get(timeout=max(1, deadline - time.monotonic())):
        assert time.monotonic() < deadline, wanted


def test_no_installation_is_said_in_a_sentence(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "APPLIANCE_ENV_FILE"} | {"LANG": "C"}
    command = [APPLIANCE, "status", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("appliance: There is no installation in")


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {finding["part"]: finding for finding in json.loads(done.stdout)}


def test_doctor_finds_a_sound_installation_sound(site: Site) -> None:
    done = run(site, "doctor", "--json")
    found = findings(done)
    assert done.returncode == 0, done.stdout
    assert set(found) == {"postgresql", "s3", "queue", "speech", "diarizer", "llm"}
    assert found["diarizer"]["found"].startswith("d-vector clustering: 2 voices in a sample call")
    assert found["s3"]["found"] == "put, get, range, signed link, delete"


def test_doctor_sees_the_card_that_the_processes_have(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "appliance.env"
    file.write_text(site.env_file.read_text() + "GPU_DEVICE=1\n")
    monkeypatch.setenv("APPLIANCE_ENV_FILE", str(file))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    settings.cache_clear()

    def seen(_language: str, only: list[str]) -> list[doctor.Finding]:
        told = "{CUDA_DEVICE_ORDER} {CUDA_VISIBLE_DEVICES}".format(**os.environ)
        return [doctor.Finding(part, True, told) for part in only]

    monkeypatch.setattr(doctor, "examine", seen)
    said = CliRunner().invoke(app, ["doctor", "--data-dir", str(site.data_dir), "--json", "--part", "diarizer"])
    settings.cache_clear()
    assert [(one["part"], one["found"]) for one in json.loads(said.stdout)] == [("diarizer", "PCI_BUS_ID 1")]


def test_doctor_tries_one_part_alone(site: Site) -> None:
    done = run(site, "doctor", "--json", "--part", "s3", "--part", "queue")
    assert [one["part"] for one in json.loads(done.stdout)] == ["s3", "queue"]


def test_doctor_says_which_part_is_to_blame_and_what_to_do(site: Site) -> None:
    nowhere = f"127.0.0.1:{_free_port()}"
    environment = {"S3_SECRET_KEY": "a-wrong-secret", "REDIS_URL": f"redis://{nowhere}/0", "LLM_PROVIDER": "local"}
    done = run(
        site,
        "doctor",
        "--json",
        LOCAL_LLM_URL=f"http://{nowhere}/v1",
        APPLIANCE_LANG="ru",
        LLM_TIMEOUT_S="3",
        **environment,
    )
    found = findings(done)
    assert done.returncode == 1
    assert {part for part, finding in found.items() if not finding["ok"]} == {"s3", "queue", "llm"}
    assert "S3_SECRET_KEY" in found["s3"]["remedy"]
    assert found["postgresql"]["found"].endswith("права")
    assert found["llm"]["found"].startswith("Языковая модель недоступна")
    assert found["diarizer"]["found"].startswith("d-vector clustering: голосов в образце: 2")
    assert "Проверьте REDIS_URL" in found["queue"]["remedy"]
    assert "a-wrong-secret" not in done.stdout + done.stderr


def test_logs_of_one_process_and_what_comes_after(site: Site) -> None:
    file = site.logs / "followed.log"
    file.write_text("one\ntwo\n", encoding="utf-8")
    assert run(site, "logs", "followed", "--lines", "1").stdout.split() == ["followed", "two"]
    assert "there are:" in run(site, "logs", "nobody").stderr
    environment = {**os.environ, "APPLIANCE_ENV_FILE": str(site.env_file), "PYTHONUNBUFFERED": "1"}
    command = [APPLIANCE, "logs", "followed", "--follow", "--data-dir", str(site.data_dir)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout
        assert [following.stdout.readline().split()[-1] for _ in range(2)] == ["one", "two"]
        with file.open("a", encoding="utf-8") as opened:
            opened.write("three\n")
        assert following.stdout.readline().split() == ["followed", "three"]
        following.kill()
    file.unlink()


def test_ready_names_every_dependency(running: Running) -> None:
    found = httpx.get(running.url + "/api/ready", timeout=30).json()
    assert found["ready"]
    assert all(found[name] for name in ("database", "object_store", "queue"))
    assert found["queue_age_s"] is not None
    assert not {"database_away", "object_store_away", "queue_away"} & set(found["problems"])


def test_a_full_disk_is_a_problem_but_no_outage(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "DISK_LOW_BYTES", 2**62)
    found = wait_until(readiness.look, 10, "an answer")
    assert "disk_low" in found.problems
    assert found.ready


def test_cards_as_nvidia_smi_lists_them() -> None:
    first, second = readiness.cards_of("NVIDIA H100 80GB HBM3, 81559, 412, 7\nTesla T4, 15360, [N/A], [N/A]\n")
    assert (first.name, first.memory_mb, first.used_mb, first.load_percent) == ("NVIDIA H100 80GB HBM3", 81559, 412, 7)
    assert (second.used_mb, second.load_percent) == (0, 0)
