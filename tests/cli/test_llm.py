"""`appliance llm` on a real installation: what an operator without a browser chooses and tries."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from sqlalchemy import delete

from appliance.models import LlmChoice
from appliance.store import db
from installer.site import Site
from tests.cli.test_operate import APPLIANCE
from tests.conftest import Running
from tests.llm.scripted import serving, status


def llm(site: Site, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Without APPLIANCE_ENV_FILE: the data folder leads to the settings."""
    known = {k: v for k, v in os.environ.items() if k != "APPLIANCE_ENV_FILE"} | {"LANG": "C", "COLUMNS": "200"}
    command = [APPLIANCE, "llm", "--data-dir", str(site.data_dir), *arguments]
    return subprocess.run(command, env=known | environment, capture_output=True, text=True, check=False, timeout=240)


@pytest.fixture
def installation(running: Running, site: Site) -> Iterator[Site]:
    """Whatever is chosen is gone afterwards."""
    assert running
    yield site
    with db.unit_of_work() as session:
        session.execute(delete(LlmChoice))


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
