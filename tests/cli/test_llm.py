"""`appliance llm` and `appliance evaluate analysis` on a real installation: chosen, tried and compared in a shell."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select

from appliance.models import LlmChoice, LlmProfile, LlmRequest
from appliance.store import db
from installer.site import Site
from tests.cli.test_operate import APPLIANCE
from tests.conftest import Running
from tests.llm.scripted import serving, status


def llm(site: Site, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return appliance("llm", "--data-dir", str(site.data_dir), *arguments, **environment)


def appliance(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Without APPLIANCE_ENV_FILE: the data folder leads to the settings."""
    known = {k: v for k, v in os.environ.items() if k != "APPLIANCE_ENV_FILE"} | {"LANG": "C", "COLUMNS": "200"}
    arguments = [APPLIANCE, *command]
    return subprocess.run(arguments, env=known | environment, capture_output=True, text=True, check=False, timeout=240)


@pytest.fixture
def installation(running: Running, site: Site) -> Iterator[Site]:
    """Whatever is chosen is gone afterwards."""
    assert running
    yield site
    with db.unit_of_work() as session:
        session.execute(delete(LlmChoice))
        session.execute(delete(LlmProfile).where(LlmProfile.name == "far"))
        session.execute(delete(LlmRequest).where(LlmRequest.purpose == "evaluation"))


def test_a_profile_is_shown_tried_and_chosen(installation: Site) -> None:
    with serving() as script:
        environment = {"LOCAL_LLM_URL": script.url}
        before = llm(installation, "show", **environment)
        assert script.url in before.stdout, before.stderr
        assert "DATA_RESIDENCY=local-only" in before.stdout
        tried = llm(installation, "test", "local", **environment)
        assert tried.returncode == 0, tried.stderr
        assert "valid" in tried.stdout
        assert len(script.keys) == 1
        used = llm(installation, "use", "local", **environment)
        assert used.stdout.startswith("local analyses calls from now on")
        active = [line for line in llm(installation, "show", **environment).stdout.splitlines() if "*" in line]
        assert len(active) == 1
        assert "local" in active[0]


def test_what_cannot_be_used_is_refused_with_the_reason(installation: Site) -> None:
    refused = llm(installation, "use", "openai")
    assert refused.returncode != 0
    assert "DATA_RESIDENCY=local-only" in refused.stderr
    unknown = llm(installation, "use", "nobody")
    assert unknown.returncode != 0
    assert "nobody" in unknown.stderr
    assert "Traceback" not in refused.stderr + unknown.stderr


def test_a_provider_that_fails_says_how(installation: Site) -> None:
    with serving() as script:
        script.steps.append(status(401))
        failed = llm(installation, "test", "local", LOCAL_LLM_URL=script.url)
    assert failed.returncode == 1
    assert "llm_misconfigured" in failed.stderr


CALL = """
dialogues:
  - id: one
    language: ru
    turns:
      - {speaker: A, text: "Здравствуйте, меня зовут Иван Петрович Сидоров, хочу купить Весту."}
      - {speaker: B, text: "Здравствуйте, приезжайте."}
    labels: {sentiment: neutral, intents: [buy_car]}
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    file = tmp_path / "calls.yaml"
    file.write_text(CALL, encoding="utf-8")
    return file


def evaluated(site: Site, calls: Path, profiles: str, **environment: str) -> subprocess.CompletedProcess[str]:
    where = ("--data-dir", str(site.data_dir), "--set", str(calls))
    return appliance("evaluate", "analysis", *where, "--profiles", profiles, **environment)


def store_far(url: str) -> None:
    """A cloud profile that somebody has put into the database by hand."""
    definition = {"residency": "cloud", "base_url": url, "model": "m"}
    with db.unit_of_work() as session:
        session.execute(insert(LlmProfile).values(name="far", definition=definition))


@pytest.mark.parametrize("profile", ["openai", "far"])
def test_no_evaluation_sends_anything_under_local_only(installation: Site, calls: Path, profile: str) -> None:
    with serving() as script:
        store_far(script.url)
        cloud = {"OPENAI_BASE_URL": script.url, "OPENAI_API_KEY": "k"}
        refused = evaluated(installation, calls, f"builtin,{profile}", **cloud)
        assert refused.returncode == 1
        assert "DATA_RESIDENCY=local-only" in refused.stderr.strip().splitlines()[-1]
        assert "Traceback" not in refused.stderr
        assert not refused.stdout, "builtin is not measured before the others are looked at"
        assert not script.requests


def test_an_evaluation_sends_as_little_as_any_call_and_is_written_down(installation: Site, calls: Path) -> None:
    with serving() as script:
        store_far(script.url)
        done = evaluated(installation, calls, "builtin,far", DATA_RESIDENCY="cloud-masked")
        assert done.returncode == 0, done.stderr
        sent = json.dumps(script.requests, ensure_ascii=False)
    assert "far (scripted-1)" in done.stdout
    assert "Весту" in sent
    assert "Сидоров" not in sent
    with db.unit_of_work() as session:
        [row] = session.scalars(select(LlmRequest).where(LlmRequest.purpose == "evaluation")).all()
        assert (row.profile, row.leaves, row.call_id, row.outcome) == ("far", True, None, "answered")
    today = datetime.now(UTC).date()
    told = left_since(today - timedelta(days=1))
    assert "evaluation" in told
    assert str(row.bytes_sent) in told
    assert "bytes left this machine in" in told.splitlines()[-1]
    assert left_since(today + timedelta(days=2)) == "0 bytes left this machine\n"


def left_since(day: date) -> str:
    command = [APPLIANCE, "audit", "egress", "--since", day.isoformat()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout
