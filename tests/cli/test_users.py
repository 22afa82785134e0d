"""`appliance users` on a real installation: the way in, and back in, for who commands the machine."""

from __future__ import annotations

import subprocess
from uuid import uuid4

from sqlalchemy import delete

from appliance.models import User
from appliance.services import sessions
from appliance.services.failures import WrongCredentials
from appliance.store import db
from installer.site import Site
from tests.cli.test_llm import appliance
from tests.conftest import PASSWORD

OTHER = "another long and good one"


def users(site: Site, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return appliance("users", "--data-dir", str(site.data_dir), *arguments, **environment)


def can_log_in(email: str, password: str) -> bool:
    try:
        sessions.log_in(email, password, "127.0.0.1")
    except WrongCredentials:
        return False
    return True


def test_an_operator_sees_users_and_lets_them_in_and_out(site: Site) -> None:
    email = f"{uuid4().hex[:8]}@operator.example"
    try:
        made = users(site, "create", email, "--name", "Olga Operated", APPLIANCE_PASSWORD=PASSWORD)
        assert made.returncode == 0, made.stderr
        assert can_log_in(email, PASSWORD)
        [row] = [line for line in users(site, "list").stdout.splitlines() if email in line]
        assert ("Olga Operated" in row, "manager" in row, "yes" in row) == (True, True, True)
        assert users(site, "password", email, APPLIANCE_PASSWORD=OTHER).returncode == 0
        assert (can_log_in(email, PASSWORD), can_log_in(email, OTHER)) == (False, True)
        assert users(site, "deactivate", email).returncode == 0
        assert not can_log_in(email, OTHER)
        assert " no " in next(line for line in users(site, "list").stdout.splitlines() if email in line)
        assert users(site, "activate", email).returncode == 0
        assert can_log_in(email, OTHER)
        weak = users(site, "password", email, APPLIANCE_PASSWORD="password123")
        assert weak.returncode == 1
        assert weak.stderr.startswith("appliance: ")
        nobody = users(site, "password", "nobody@operator.example", APPLIANCE_PASSWORD=OTHER)
        assert nobody.stderr.strip() == "appliance: The user was not found"
    finally:
        with db.unit_of_work() as session:
            session.execute(delete(User).where(User.email == email))
