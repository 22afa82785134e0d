"""A real installation for the tests: PostgreSQL, the object store and the processes, in a temporary folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.config import settings
from installer import stack, supervisor
from installer.site import Site

# make exports what its demonstration goes by: the tests have installations of their own, and leave that one alone.
for name in ("DATA_DIR", "PORT"):
    os.environ.pop(name, None)
os.environ.setdefault("LANG", "C.UTF-8")  # English, where nobody says otherwise

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Real recordings with references, where they are at hand (TEST_DATA_DIR, or shared/data beside the checkout)."""
    folder = Path(os.environ.get("TEST_DATA_DIR") or ROOT.parent / "shared" / "data") / "audio"
    if not folder.is_dir():
        pytest.skip(f"NO REAL RECORDINGS: {folder} is missing, set TEST_DATA_DIR")
    return folder


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """PostgreSQL and the object store, migrated; settings of this process point at them.

    Not in a folder of pytest's: those are closed to other users again whenever a session starts beside this one.
    """
    folder = tempfile.TemporaryDirectory(prefix="site-", ignore_cleanup_errors=True)
    with folder as made, _started(Path(made)) as infrastructure:
        yield infrastructure


@contextmanager
def _started(folder: Path) -> Iterator[Site]:
    let_in(folder)
    made = stack.up(folder, _free_port(), lambda _: None, infrastructure_only=True)
    with made.env_file.open("a", encoding="utf-8") as file:
        file.write("LEASE_S=3\nHOUSEKEEPING_INTERVAL_S=1\n")
    os.environ["APPLIANCE_ENV_FILE"] = str(made.env_file)
    settings.cache_clear()
    try:
        stack.migrate(made)
        yield made
    finally:
        stack.down(folder)


def let_in(folder: Path) -> None:
    """Let the users of the processes reach a temporary folder of root's, whose own parents are closed to others."""
    for part in [folder, *folder.parents]:
        if part == Path(tempfile.gettempdir()) or part.stat().st_uid != os.geteuid():
            break
        part.chmod(0o755)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """The appliance's processes, started as supervisor would."""

    site: Site
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *names: str) -> None:
        for name in names:
            command = [str(Path(sys.prefix) / "bin" / "appliance"), *(["api"] if name == "api" else ["worker", name])]
            environment = {**os.environ, "PORT": str(self.port), "HOST": "127.0.0.1", **self.environment}
            environment["PROMETHEUS_MULTIPROC_DIR"] = str(self.site.data_dir / "metrics")
            environment[supervisor.MARK] = str(self.site.data_dir)
            with (self.site.logs / f"test-{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        if "api" in names:
            wait_until(lambda: httpx.get(self.url + "/api/health").is_success, 180, "the API")

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def log(self, name: str) -> str:
        """What a process has logged so far."""
        return (self.site.logs / f"test-{name}.log").read_text(encoding="utf-8")

    def client(self, email: str, password: str = PASSWORD) -> httpx.Client:
        """A logged-in client."""
        http = httpx.Client(base_url=self.url, timeout=60)
        answer = http.post("/api/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return http


def wait_until(check: Any, within_s: float, what: str) -> Any:
    """Repeat a check until it is true; connection errors count as not yet."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if found := check():
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"waited {within_s} s in vain for {what}")


@pytest.fixture(scope="session")
def people(site: Site) -> dict[str, str]:
    """An admin, two managers and an analyst: name of the role to e-mail."""
    from appliance.services import users

    made = {}
    for name, role in (("admin", "admin"), ("anna", "manager"), ("boris", "manager"), ("analyst", "analyst")):
        made[name] = f"{name}@test.example"
        users.create({"anna": "Анна Смирнова", "boris": "Борис Иванов"}.get(name, name), made[name], PASSWORD, role)
    return made


@pytest.fixture(scope="session")
def running(site: Site, people: dict[str, str]) -> Iterator[Running]:
    """The whole appliance."""
    made = Running(site, _free_port())
    made.start("housekeeping", "analysis", "speech", "api")
    try:
        yield made
    finally:
        made.stop()


def upload(http: httpx.Client, file: Path | tuple[str, bytes], **fields: str) -> httpx.Response:
    """Upload a recording as the frontend does."""
    name, content = (file.name, file.read_bytes()) if isinstance(file, Path) else file
    form = {"type": "incoming", "managerName": "Анна Смирнова", **fields}
    headers = {"Idempotency-Key": form.pop("idempotency_key")} if "idempotency_key" in form else {}
    return http.post("/api/calls", data=form, files={"audio": (name, content)}, headers=headers)


def processed(http: httpx.Client, call_id: str, within_s: float = 120) -> dict[str, Any]:
    """The call once the pipeline is done with it."""

    def done() -> dict[str, Any] | None:
        call: dict[str, Any] = http.get(f"/api/calls/{call_id}").raise_for_status().json()
        return call if call["status"] != "in-progress" else None

    return wait_until(done, within_s, f"call {call_id}")  # type: ignore[no-any-return]
