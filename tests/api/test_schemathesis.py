"""Generated requests against the running API, as everybody: no crash, and no answer that its description forbids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from installer import stack
from tests.api.test_permissions import picture
from tests.conftest import PASSWORD, ROOT, Running, _free_port, let_in, processed

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ROLES = ("admin", "manager", "analyst")
OTHER = "other"
"""A second manager, who asks nothing."""


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
    for name in (*ROLES[1:], OTHER):
        role = "manager" if name == OTHER else name
        account = {"name": name, "email": email(name), "role": role, "password": PASSWORD}
        admin.post("/api/users", json=account).raise_for_status()


def email(role: str) -> str:
    return f"{role}@test.example"


@dataclass(frozen=True, slots=True)
class Person:
    """`token` is what requests send along in `session`; with `spare`, another session, nobody sends anything."""

    id: str
    token: str
    session: str
    spare: str


@pytest.fixture(scope="module")
def staff(own: Running) -> dict[str, Person]:
    """Everybody, logged in before the first generated log-in: wrong passwords lock the address for all of them."""
    return {name: _log_in(own, email(name)) for name in (*ROLES, OTHER)}


def _log_in(own: Running, address: str) -> Person:
    own.client(address)
    client = own.client(address)
    listed = client.get("/api/auth/sessions").raise_for_status().json()["sessions"]
    return Person(
        id=client.get("/api/auth/me").raise_for_status().json()["id"],
        token=client.headers["Authorization"],
        session=next(one["id"] for one in listed if one["current"]),
        spare=next(one["id"] for one in listed if not one["current"]),
    )


def token_of(staff: dict[str, Person], role: str) -> str | None:
    return staff[role].token if role in staff else None


def is_still_let_in(own: Running, person: Person) -> bool:
    """Requests that ended it would have been a stranger's from there on."""
    return httpx.get(own.url + "/api/auth/me", headers={"Authorization": person.token}).status_code == 200


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", ["stranger", "analyst", "manager", "admin"])
def test_generated_requests(
    own: Running, staff: dict[str, Person], archive: dict[str, Any], tmp_path: Path, role: str
) -> None:
    kept = [one for person in staff.values() for one in (person.id, person.session, person.spare)]
    kept += [one for name in ("manager", OTHER) for one in archive[email(name)]["calls"]]
    (tmp_path / "kept.json").write_text(json.dumps(kept), encoding="utf-8")
    # Logging out would make a stranger of everybody; readiness tells of an outage by its own 503.
    excluded = ["--exclude-path", "/api/auth/logout", "--exclude-path", "/api/ready"]
    hooks = {"SCHEMATHESIS_HOOKS": str(ROOT / "tests" / "api" / "invented.py"), "KEPT": str(tmp_path / "kept.json")}
    generate(own, token_of(staff, role), tmp_path, *excluded, **hooks)
    assert all(is_still_let_in(own, person) for person in staff.values())


def generate(own: Running, token: str | None, folder: Path, *options: str, **environment: str) -> None:
    command = [str(Path(sys.prefix) / "bin" / "schemathesis"), "run", own.url + "/openapi.json"]
    command += ["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--no-color"]
    command += ["--generation-deterministic", "--continue-on-failure", "--warnings", "off", "--workers", "2"]
    command += ["--suppress-health-check", "all", "--request-timeout", "60", *options]
    if token:
        command += ["--header", f"Authorization: {token}"]
    known = {**os.environ, **environment}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=known)
    assert done.returncode == 0, (done.stdout + done.stderr)[-9000:]


@pytest.fixture(scope="module")
def archive(own: Running, staff: dict[str, Person]) -> dict[str, Any]:
    """Calls of both managers, by their e-mails; an order to analyse some of them anew."""
    command = [sys.executable, "-m", "tests.api.archive", str(KEPT + 3 * len(ROLES)), email("manager"), email(OTHER)]
    environment = {**os.environ, "APPLIANCE_ENV_FILE": str(own.site.env_file)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    made: dict[str, Any] = json.loads(done.stdout)
    order = {"calls": made[email(OTHER)]["calls"][:1], "preview": 1}
    answer = httpx.post(own.url + "/api/admin/reanalysis", json=order, headers={"Authorization": staff["admin"].token})
    return made | {"reanalyses": [answer.raise_for_status().json()["id"]]}


KEPT = 3
"""Calls of each manager that nobody is let delete; besides three for each role: to change, to delete, one or many."""

CALL = "/api/calls/{call_id}"
READ = {f"GET {CALL}", f"GET {CALL}/ai-analysis", f"GET {CALL}/ai-analysis/versions", "POST /api/calls/export"}
CHANGED = {f"PATCH {CALL}", f"DELETE {CALL}", f"POST {CALL}/swap-speakers", "POST /api/calls/batch-delete"}
RULED = {"GET /api/users/{user_id}", "GET /api/users/{user_id}/sessions", "DELETE /api/users/{user_id}"}
RULED |= {f"PUT {CALL}/hold", f"DELETE {CALL}/hold", "GET /api/admin/reanalysis/{reanalysis_id}"}
SUCCEEDS = {
    "stranger": set[str](),
    "analyst": READ,
    "manager": READ | CHANGED | {f"POST {CALL}/reprocess"},
    "admin": READ | CHANGED | RULED,
}
"""What must have been answered with success: for what exists, not for what a generator invents."""

OF_WHAT_EXISTS = r"\{(call|user|session|reanalysis)_id\}|\{name\}|^/api/(calls|search|dashboard)"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("role", ["stranger", "analyst", "manager", "admin"])
def test_generated_requests_for_what_exists(
    own: Running, staff: dict[str, Person], archive: dict[str, Any], tmp_path: Path, role: str
) -> None:
    """No crash, and nothing of a call is shown to, or changed by, who may not see it."""
    admin = httpx.Client(base_url=own.url, timeout=60, headers={"Authorization": staff["admin"].token})
    # Another test may have chosen a model that is not there, for which calls would wait.
    admin.put("/api/admin/llm", json={"active": "builtin"}).raise_for_status()
    mine, others = (archive[email(name)] for name in ("manager", OTHER))
    hidden = {"stranger": mine["signs"] + others["signs"], "manager": others["signs"]}.get(role, [])
    known = what_there_is(staff, admin, archive, role)
    for call in known["calls"]:  # an admin's generated requests may have put it on hold: it could not be changed
        admin.delete(f"/api/calls/{call}/hold").raise_for_status()
    (tmp_path / "existing.json").write_text(json.dumps({**known, "hidden": hidden}), encoding="utf-8")
    before = settled(admin, others["calls"])
    generate(
        own,
        token_of(staff, role),
        tmp_path,
        *("--include-path-regex", OF_WHAT_EXISTS),
        SCHEMATHESIS_HOOKS=str(ROOT / "tests" / "api" / "existing.py"),
        EXISTING=str(tmp_path / "existing.json"),
        SEEN=str(tmp_path / "seen"),
    )
    seen = [json.loads(line) for line in (tmp_path / "seen").read_text(encoding="utf-8").splitlines()]
    assert not [one for one in seen if one[1] >= 500]
    assert not [one for one in seen if one[2]]
    succeeded = {operation for operation, status, _ in seen if 200 <= status < 300}
    assert not SUCCEEDS[role] - succeeded
    assert all(is_still_let_in(own, person) for person in staff.values())
    if role == "admin":
        return
    ids = {operation for operation, *_ in seen if "{call_id}" in operation or "{user_id}" in operation}
    assert len(ids) > 10
    if role == "stranger":
        assert not succeeded & ids
    assert settled(admin, others["calls"]) == before


def what_there_is(
    staff: dict[str, Person], admin: httpx.Client, archive: dict[str, Any], role: str
) -> dict[str, list[str]]:
    """Objects by pool, see tests/api/existing.py; the manager's and the other's in turns."""
    calls = [
        one
        for pair in zip(*(archive[email(name)]["calls"] for name in ("manager", OTHER)), strict=True)
        for one in pair
    ]
    turn = 2 * (KEPT + 3 * (ROLES.index(role) if role in ROLES else 0))
    strangers = [new_user(admin) for _ in range(4)]
    avatar = admin.put(f"/api/users/{strangers[0]}/avatar", files={"image": ("a.png", picture())}).raise_for_status()
    export = admin.post("/api/calls/export", json={"format": "csv"}).raise_for_status().json()["download_url"]
    recording = admin.get(f"/api/calls/{calls[0]}").json()["recordingUrl"]
    return {
        "calls": calls[: 2 * KEPT],
        "calls_to_change": calls[turn : turn + 2],
        "calls_to_go": calls[turn + 2 : turn + 4],
        "calls_to_go_together": calls[turn + 4 : turn + 6],
        "users": [person.id for person in staff.values()],
        "users_to_change": strangers[:2],
        "users_to_go": strangers[2:],
        "sessions": [staff[name].spare for name in (role, OTHER) if name in staff],
        "reanalyses": archive["reanalyses"],
        "avatars": [name_in(avatar.json()["avatar"])],
        "recordings": [name_in(recording)],
        "downloads": [name_in(export)],
    }


def new_user(admin: httpx.Client) -> str:
    account = {"name": "Лишний", "email": f"{uuid4().hex}@test.example", "role": "analyst", "password": PASSWORD}
    return str(admin.post("/api/users", json=account).raise_for_status().json()["id"])


def name_in(link: str) -> str:
    return urlsplit(link).path.rsplit("/", 1)[1]


def settled(admin: httpx.Client, ids: list[str]) -> dict[str, Any]:
    """Calls as they are once nothing works on them; those that are gone are left out."""
    there = [one for one in ids if admin.get(f"/api/calls/{one}").status_code == 200]
    return {one: {**processed(admin, one), "recordingUrl": None} for one in there}
