"""Generated requests against the running API, as everybody: no crash, and no answer that its description forbids."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer import stack
from tests.conftest import PASSWORD, Running, _free_port, let_in

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ROLES = ("admin", "manager", "analyst")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A whole appliance of its own: requests of an admin's change and delete whatever they find."""
    folder = tmp_path_factory.mktemp("generated")
    let_in(folder)
    port = _free_port()
    running = Running(stack.up(folder, port, lambda _: None), port)
    try:
        _create_people(running)
        yield running
    finally:
        stack.down(folder)


def _create_people(running: Running) -> None:
    command = [str(Path(sys.prefix) / "bin" / "appliance"), "users", "create", email("admin")]
    command += ["--name", "Администратор", "--role", "admin"]
    environment = {**os.environ, "APPLIANCE_ENV_FILE": str(running.site.env_file), "APPLIANCE_PASSWORD": PASSWORD}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    admin = running.client(email("admin"))
    for role in ROLES[1:]:
        account = {"name": role, "email": email(role), "role": role, "password": PASSWORD}
        admin.post("/api/users", json=account).raise_for_status()


def email(role: str) -> str:
    return f"{role}@test.example"


@pytest.fixture(scope="module")
def tokens(own: Running) -> dict[str, str]:
    """What each role sends along: taken before the first request that may change somebody."""
    return {role: own.client(email(role)).headers["Authorization"] for role in ROLES}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", ["stranger", "analyst", "manager", "admin"])
def test_generated_requests(own: Running, tokens: dict[str, str], tmp_path: Path, role: str) -> None:
    command = [str(Path(sys.prefix) / "bin" / "schemathesis"), "run", own.url + "/openapi.json"]
    command += ["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--no-color"]
    command += ["--generation-deterministic", "--continue-on-failure", "--warnings", "off", "--workers", "2"]
    command += ["--suppress-health-check", "all", "--request-timeout", "60"]
    # Logging out would make a stranger of everybody; readiness tells of an outage by its own 503.
    command += ["--exclude-path", "/api/auth/logout", "--exclude-path", "/api/ready"]
    if role in tokens:
        command += ["--header", f"Authorization: {tokens[role]}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-9000:]
