"""A whole appliance for the benchmarks, in a folder of its own, with its processes as supervisor runs them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg

from installer import postgres, stack
from installer.site import Site

ADMIN, PASSWORD = "admin@bench.example", "correct horse battery"


@dataclass(frozen=True)
class Installation:
    site: Site
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def dsn(self) -> str:
        """The address of the tables' owner: filling an archive drops an index and makes it anew."""
        return postgres.owner_address(self.site)

    def client(self) -> httpx.Client:
        """A logged-in admin."""
        http = httpx.Client(base_url=self.url, timeout=600)
        answer = http.post("/api/auth/login", json={"email": ADMIN, "password": PASSWORD}).raise_for_status()
        http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return http

    def uploaded(self, http: httpx.Client, recording: Path) -> str:
        """Send a recording as the frontend does; the call's id."""
        form = {"type": "incoming", "managerName": "Анна Смирнова"}
        files = {"audio": (recording.name, recording.read_bytes())}
        return str(http.post("/api/calls", data=form, files=files).raise_for_status().json()["id"])

    def processed(self, http: httpx.Client, call_id: str) -> dict[str, Any]:
        """The call once the pipeline is done with it."""
        while True:
            call: dict[str, Any] = http.get(f"/api/calls/{call_id}").raise_for_status().json()
            if call["status"] != "in-progress":
                return call
            time.sleep(0.02)

    def a_call(self) -> UUID:
        """Any call, to announce events of."""
        return self.sql("SELECT id FROM calls LIMIT 1")[0][0]  # type: ignore[no-any-return]

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def pid(self, process: str) -> int:
        return next(int(state["pid"]) for state in stack.status(self.site.data_dir) if state["name"] == process)

    def pause(self, process: str) -> None:
        """Let a process do nothing for a while."""
        os.kill(self.pid(process), signal.SIGSTOP)

    def resume(self, process: str) -> None:
        os.kill(self.pid(process), signal.SIGCONT)

    def memory_mb(self, process: str) -> float:
        """Proportional set size of a process and its children."""
        own = self.pid(process)
        children = Path(f"/proc/{own}/task/{own}/children").read_text(encoding="ascii").split()
        return sum(_pss_mb(pid) for pid in (own, *map(int, children)))

    def memory_added_mb(self, process: str, work: Callable[[], object]) -> float:
        """How much larger a process becomes at most while something is done; at least 0.1."""
        before, most, done = self.memory_mb(process), 0.0, threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.02):
                most = max(most, self.memory_mb(process))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            work()
        finally:
            done.set()
            watcher.join()
        return max(most - before, 0.1)


def _pss_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """Started, with an admin; stopped at the end."""
    port = free_port()
    try:
        made = Installation(stack.up(folder, port, lambda _: None), port)
        environment = {**os.environ, "APPLIANCE_ENV_FILE": str(made.site.env_file), "APPLIANCE_PASSWORD": PASSWORD}
        command = [str(Path(sys.prefix) / "bin" / "appliance"), "users", "create", ADMIN, "--name", "Admin"]
        subprocess.run([*command, "--role", "admin"], env=environment, check=True, capture_output=True)
        yield made
    finally:
        stack.down(folder)
