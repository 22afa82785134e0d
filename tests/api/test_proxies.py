"""Behind a company's reverse proxy: who asks and by which scheme is believed from it, and from nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from installer.site import Site
from tests.conftest import PASSWORD, Running, _free_port

TOLD = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}


@pytest.fixture(scope="module")
def distrusting(site: Site, people: dict[str, str]) -> Iterator[Running]:
    """An API whose proxy stands elsewhere."""
    own = Running(site, _free_port(), environment={"TRUSTED_PROXIES": "192.0.2.0/24"})
    own.start("api")
    try:
        yield own
    finally:
        own.stop()


def cookie(api: Running, email: str) -> str:
    credentials = {"email": email, "password": PASSWORD}
    return httpx.post(f"{api.url}/api/auth/login", json=credentials, headers=TOLD).headers["set-cookie"]


def test_a_proxy_on_this_machine_says_who_asks_and_how(running: Running, people: dict[str, str]) -> None:
    assert cookie(running, people["admin"]).startswith("__Host-refresh_token=")
    assert httpx.get(f"{running.url}/metrics").status_code == 200
    assert httpx.get(f"{running.url}/metrics", headers=TOLD).status_code == 403


def test_nobody_else_does(distrusting: Running, people: dict[str, str]) -> None:
    assert cookie(distrusting, people["admin"]).startswith("refresh_token=")
    assert httpx.get(f"{distrusting.url}/metrics", headers=TOLD).status_code == 200
