"""The frontend's own libraries (axios, zod, ws) against the running appliance: see tests/frontend."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from appliance.models import LoginFailure
from appliance.store import db
from tests.conftest import PASSWORD, SAMPLES, Running, _free_port

PROJECT = Path(__file__).parent / "frontend"
ORIGIN = "http://frontend.example:3000"


@pytest.fixture(scope="module")
def node() -> str:
    """node, with the project's packages installed as its lock file says."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if not found or not npm:
        pytest.skip("NO NODE: the frontend's contract is NOT tested; install nodejs and npm")
    lock = hashlib.sha256((PROJECT / "package-lock.json").read_bytes()).hexdigest()
    mark = PROJECT / "node_modules" / ".installed"
    if not mark.exists() or mark.read_text() != lock:
        subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--silent"], cwd=PROJECT, check=True)
        mark.write_text(lock)
    return found


@pytest.fixture(scope="module")
def reachable(running: Running) -> Iterator[Running]:
    """An API that lets the frontend's origin in, beside the workers that run already."""
    made = Running(running.site, _free_port(), environment={"CORS_ORIGINS": ORIGIN})
    made.start("api")
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", sorted(file.name for file in PROJECT.glob("*.test.js")))
def test_the_frontend_works_unchanged(node: str, reachable: Running, people: dict[str, str], part: str) -> None:
    with db.unit_of_work() as session:
        session.execute(delete(LoginFailure))
    environment = {
        **os.environ,
        "API_URL": reachable.url,
        "FRONTEND_ORIGIN": ORIGIN,
        "SAMPLES": str(SAMPLES),
        "PASSWORD": PASSWORD,
        "ADMIN_EMAIL": people["admin"],
        "MANAGER_EMAIL": people["anna"],
        "MANAGER_NAME": "Анна Смирнова",
        "OTHER_MANAGER_EMAIL": people["boris"],
        "ANALYST_EMAIL": people["analyst"],
    }
    done = subprocess.run(
        [node, "--test", part], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "# pass 0" not in done.stdout
