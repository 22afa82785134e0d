"""A whole installation under its own supervisor, whose every process may be killed, frozen and looked at."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from minio import Minio

from installer import stack, supervisor
from installer.failures import StepFailed
from installer.site import Site
from tests.conftest import PASSWORD, _free_port, let_in, wait_until

ADMIN = "admin@own.example"


@dataclass
class Own:
    """One installation. `port` is the API's."""

    site: Site
    port: int

    def up(self) -> None:
        """Again where it takes too long, as a service manager would: other tests may keep the machine busy."""
        for left in (2, 1, 0):
            try:
                stack.up(self.site.data_dir, self.port, lambda _: None)
            except StepFailed:
                if not left:
                    raise
            else:
                return

    def pids(self, name: str) -> list[int]:
        """A program and everything below it."""
        tops = [int(one["pid"]) for one in stack.status(self.site.data_dir) if one["name"] == name and one["pid"]]
        return [pid for top in tops for pid in [top, *_below(top)]]

    def signal(self, name: str, number: signal.Signals) -> None:
        for pid in self.pids(name):
            send(pid, number)

    def cut_power(self) -> None:
        """Everything dies at once, supervisor first: it must not start again what has just died."""
        send(int((self.site.run_dir / "supervisord.pid").read_text()), signal.SIGKILL)

        def none_left() -> bool:
            found = supervisor.leftovers(self.site)
            for pid in found:
                send(pid, signal.SIGKILL)
            return not found

        wait_until(none_left, 30, "the end of all processes")

    def query(self, sql: str, *parameters: Any) -> list[Any]:
        with psycopg.connect(self.site.facts()["DATABASE_URL"], autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(sql, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def client(self) -> httpx.Client:
        http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        answer = http.post("/api/auth/login", json={"email": ADMIN, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return http

    def store(self) -> Minio:
        facts = self.site.facts()
        return Minio(
            facts["S3_ENDPOINT"].removeprefix("http://"),
            access_key=facts["S3_ACCESS_KEY"],
            secret_key=facts["S3_SECRET_KEY"],
            secure=False,
            region="us-east-1",
        )

    def objects(self) -> set[str]:
        listed = self.store().list_objects("call-recordings", "recordings/", recursive=True)
        return {str(one.object_name) for one in listed}


def send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _below(top: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = [pid for pid, parent in pairs if parent == top]
    return found + [deeper for pid in found for deeper in _below(pid)]


@contextmanager
def own_stack(folder: Path | None = None, **settings: str) -> Iterator[Own]:
    """Start an installation with these settings and an admin; stop it at the end.

    In a folder of its own below /tmp: pytest's are closed to others again whenever a session starts beside this one.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="own-stack-") as made, own_stack(Path(made), **settings) as own:
            yield own
        return
    let_in(folder)
    made = Own(Site(folder.resolve()), _free_port())
    stack.up(folder, made.port, lambda _: None, infrastructure_only=True)
    try:
        with made.site.env_file.open("a", encoding="utf-8") as file:
            wanted = {"LEASE_S": "5", "HOUSEKEEPING_INTERVAL_S": "1", "HOST": "127.0.0.1", **settings}
            file.writelines(f"{name}={value}\n" for name, value in wanted.items())
        made.up()
        script = f"from appliance.services import users; users.create('Админ', '{ADMIN}', '{PASSWORD}', 'admin')"
        environment = {**os.environ, "APPLIANCE_ENV_FILE": str(made.site.env_file)}
        subprocess.run([sys.executable, "-c", script], env=environment, check=True)
        yield made
    finally:
        for name in ("postgres", *supervisor.INFRASTRUCTURE, *supervisor.APPLICATION):
            made.signal(name, signal.SIGCONT)
        stack.down(folder)


def ended(own: Own, accepted: list[str], within_s: float = 180) -> dict[str, str]:
    """Wait for the end of every accepted call; what became of each: completed or the code of its failure."""

    def states() -> dict[str, str]:
        rows = own.query(
            "SELECT call_id::text, state, error_code FROM pipelines WHERE call_id::text = ANY(%s)", accepted
        )
        return {row[0]: "completed" if row[1] == "completed" else f"{row[1]}:{row[2]}" for row in rows}

    def all_ended() -> bool:
        try:
            found = states()
        except psycopg.OperationalError:
            return False
        return len(found) == len(accepted) and not [s for s in found.values() if s.startswith(("waiting", "running"))]

    try:
        wait_until(all_ended, within_s, f"the end of {len(accepted)} calls")
    except AssertionError as error:
        raise AssertionError(f"{error}: {states()}") from None
    return states()


def doubled(own: Own, accepted: list[str]) -> list[str]:
    """Accepted calls that do not have exactly one end told, one analysis and every position of a transcript once."""
    rows = own.query(
        """SELECT c.id::text,
             (SELECT count(*) FROM events e WHERE e.call_id = c.id
                AND e.type IN ('call_processed', 'call_processing_failed')),
             (SELECT count(*) FROM ai_analyses a WHERE a.call_id = c.id),
             (SELECT count(*) - count(DISTINCT position) FROM segments s WHERE s.call_id = c.id)
           FROM calls c WHERE c.id::text = ANY(%s)""",
        accepted,
    )
    return [row[0] for row in rows if tuple(row[1:]) != (1, 1, 0)]


def orphans(own: Own) -> list[str]:
    """Objects without a call and calls without an object, once every mark for deletion has been worked off."""
    own.query("UPDATE object_deletions SET not_before = now()")
    wait_until(lambda: own.query("SELECT count(*) FROM object_deletions")[0][0] == 0, 60, "deletions")
    keys = {row[0] for row in own.query("SELECT audio_key FROM calls WHERE audio_key IS NOT NULL")}
    with suppress(AssertionError):  # what could not be listed at once is listed later
        wait_until(lambda: keys == own.objects(), 60, "the store to list what it holds")
    heard = "status <> 'missed' AND NOT EXISTS (SELECT FROM pipelines p WHERE p.call_id = c.id)"
    rows = own.query(f"SELECT id::text FROM calls c WHERE {heard}")
    return sorted(keys ^ own.objects()) + [row[0] for row in rows]


@contextmanager
def slow_to_commit(connection: psycopg.Connection, stage: str) -> Iterator[None]:
    """Whoever records a stage's output falls asleep over it. The connection is the database superuser's."""
    connection.execute(
        "CREATE OR REPLACE FUNCTION fall_asleep() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_sleep(30); RETURN NEW; END'"
    )
    connection.execute(
        "CREATE TRIGGER fall_asleep BEFORE INSERT ON stage_outputs FOR EACH ROW"
        f" WHEN (NEW.stage = '{stage}') EXECUTE FUNCTION fall_asleep()"  # type: ignore[arg-type]
    )
    try:
        yield
    finally:
        connection.execute("DROP TRIGGER fall_asleep ON stage_outputs")
        connection.execute("DROP FUNCTION fall_asleep")


def fell_asleep(connection: psycopg.Connection) -> bool:
    """Whether somebody has."""
    asleep = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    return bool(connection.execute(asleep).fetchall())


def end_of_sleep(connection: psycopg.Connection) -> None:
    """What sleepers had written and not committed is gone."""
    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")


FILLER = "filler"


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path | None]:
    """A file system of its own at a folder, in memory; None where nobody may mount one."""
    if os.geteuid() != 0:
        yield None
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "small", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(disk: Path, leaving: int) -> Iterator[None]:
    """Somebody else's file takes the disk but for so many bytes, and whatever is freed meanwhile stays free."""
    filler = disk / FILLER
    try:
        with filler.open("wb") as file, suppress(OSError):
            while (room := shutil.disk_usage(disk).free - leaving) > 0:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), max(4096, min(room, 2**24)))
        yield
    finally:
        filler.unlink()
