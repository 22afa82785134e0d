"""What is done to an appliance at work. Each fault makes sure that it struck."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from appliance.pipeline import plan
from installer import postgres, supervisor
from tests.conftest import SAMPLES, upload, wait_until
from tests.own_stack import FILLER, Own, end_of_sleep, fell_asleep, filled, send, slow_to_commit
from tests.torture.load import Load, Made
from tests.torture.model import Model

STAGES = {stage.name: stage.queue for stage in plan.STAGES}
"""Stage: its queue, which is the name of its worker."""

WORKERS = ("speech", "analysis", "api")
STORE = tuple(name for name in supervisor.INFRASTRUCTURE if name.startswith("swift-"))

WHOLE = (SAMPLES / "ru-wrong-number.wav").read_bytes()

STRIKES_WITHIN_S = 300
"""A stage must be met at work to be killed in it; behind long calls and other faults that takes a while."""


@dataclass
class Faults:
    """outage_s: how long what goes away stays away. disk: the small disk that the installation lies on, if it does."""

    own: Own
    load: Load
    model: Model
    rng: random.Random
    outage_s: float
    disk: Path | None = None

    def matrix(self) -> dict[str, Callable[[], None]]:
        """Every kind of fault once."""
        found: dict[str, Callable[[], None]] = {}
        for stage, worker in STAGES.items():
            found[f"{worker} worker killed before {stage} commits"] = lambda s=stage: self.kill_before_commit(s)
        for stage in ("decode", "transcribe"):
            found[f"speech worker killed in the midst of {stage}"] = lambda s=stage: self.kill_midway(s)
        found["API killed in the midst of a body"] = self.kill_api_in_body
        found["API killed with the recording stored, the call not committed"] = self.kill_api_before_commit
        found["PostgreSQL killed with all its children"] = lambda: self.kill("postgres")
        found["PostgreSQL's first process killed"] = self.kill_postmaster
        found["one connection's server process killed"] = self.kill_backend
        for name in STORE:
            found[f"{name} killed"] = lambda n=name: self.kill(n)
        found["housekeeping killed"] = lambda: self.kill("housekeeping")
        found["supervisor killed"] = self.kill_supervisor
        found["power cut"] = self.cut_power
        for name in ("postgres", "swift-proxy", "swift-object", "swift-container"):
            found[f"{name} frozen"] = lambda n=name: self.freeze(n, self.outage_s)
        for name in ("postgres", "swift-proxy"):
            found[f"{name} stopped and started"] = lambda n=name: self.take_away(n)
        for name in supervisor.APPLICATION:
            found[f"{name} frozen for longer than a lease"] = lambda n=name: self.freeze(n, 8)
        found["language model killed and started"] = self.take_model_away
        found["language model frozen"] = self.freeze_model
        found["language model unwell (500)"] = self.make_model_unwell
        if self.disk:
            found["disk below its reserve"] = self.fill_below_reserve
            found["disk full to the last byte"] = self.fill_completely
        return found

    def sudden(self) -> list[tuple[str, Callable[[], None]]]:
        """What strikes at random, the likelier ones several times."""
        kills = [(f"{name} killed", lambda n=name: self.kill(n)) for name in (*WORKERS * 4, *STORE, "housekeeping")]
        freezes = [
            (f"{name} frozen for a moment", lambda n=name: self.freeze(n, self.rng.uniform(1, 8)))
            for name in ("speech", "analysis", "postgres")
        ]
        everything = self.matrix()
        rare = ("PostgreSQL killed with all its children", "PostgreSQL's first process killed", "power cut")
        rare += ("one connection's server process killed", "supervisor killed", "API killed in the midst of a body")
        freezes.append(("language model killed", self.restart_model))
        return kills + freezes + [(name, everything[name]) for name in rare]

    def heal(self) -> None:
        """Whatever was done, everything runs again."""
        for name in ("postgres", *supervisor.INFRASTRUCTURE, *supervisor.APPLICATION):
            with suppress(OSError):
                self.own.signal(name, signal.SIGCONT)
        self.model.heal()
        if self.disk:
            (self.disk / FILLER).unlink(missing_ok=True)
        self.own.up()

    def heal_quietly(self) -> None:
        """The same on the way out, where something else went wrong already."""
        with suppress(Exception):
            self.heal()

    def kill(self, name: str) -> None:
        struck = wait_until(lambda: self.own.pids(name), 60, f"{name} to run")
        for pid in struck:
            send(pid, signal.SIGKILL)
        wait_until(lambda: set(self.own.pids(name)) - set(struck), 60, f"{name} to be started again")

    def kill_postmaster(self) -> None:
        send(wait_until(lambda: self.own.pids("postgres"), 60, "postgres to run")[0], signal.SIGKILL)

    def kill_backend(self) -> None:
        with self._admin() as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'call-analytics' AND pid IS NOT NULL"
            send(self.rng.choice(connection.execute(query).fetchall())[0], signal.SIGKILL)

    def kill_supervisor(self) -> None:
        self._end_of(int((self.own.site.run_dir / "supervisord.pid").read_text()))
        time.sleep(self.rng.uniform(0, 3))  # what it leaves behind works on
        self.own.up()

    def _end_of(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not supervisor.is_running(self.own.site), 30, "supervisor's end")

    def cut_power(self) -> None:
        self.own.cut_power()
        self.own.up()

    def freeze(self, name: str, for_s: float) -> None:
        struck = wait_until(lambda: self.own.pids(name), 60, f"{name} to run")
        for pid in struck:
            send(pid, signal.SIGSTOP)
        time.sleep(for_s)
        for pid in struck:
            send(pid, signal.SIGCONT)

    def take_away(self, name: str) -> None:
        with supervisor.asking(self.own.site) as asked:
            asked.stopProcess(name, True)
        time.sleep(self.outage_s)
        supervisor.start_program(self.own.site, name)

    def take_model_away(self) -> None:
        self.model.kill()
        self._outage_of_model()
        self.model.start()

    def restart_model(self) -> None:
        self.model.kill()
        time.sleep(self.rng.uniform(0, 3))
        self.model.start()

    def freeze_model(self) -> None:
        self.model.signal(signal.SIGSTOP)
        self._outage_of_model()
        self.model.signal(signal.SIGCONT)

    def make_model_unwell(self) -> None:
        self.model.unwell.touch()
        self._outage_of_model()
        self.model.unwell.unlink()

    def _outage_of_model(self) -> None:
        """It has struck once a call waits for it; what it takes to get there is no part of the outage."""
        waits = "SELECT call_id, waits FROM pipelines WHERE error_code = 'llm_unavailable' AND state = 'waiting'"
        before = set(self._ask(waits))
        wait_until(lambda: set(self._ask(waits)) - before, STRIKES_WITHIN_S, "a call to wait for the language model")
        time.sleep(self.outage_s)

    def kill_before_commit(self, stage: str) -> None:
        """With everything of a stage written and nothing committed."""
        worker = STAGES[stage]
        with self._admin() as connection, slow_to_commit(connection, stage):

            def struck() -> bool:
                before = self._at_work(stage)
                if not before or not fell_asleep(connection):
                    return False
                self.own.signal(worker, signal.SIGKILL)
                return bool(before & self._at_work(stage))

            wait_until(struck, STRIKES_WITHIN_S, f"a worker caught before {stage} commits")
            end_of_sleep(connection)

    def kill_midway(self, stage: str) -> None:
        """While a stage computes; where the kill comes too late, the next one is waited for."""
        deadline = time.monotonic() + STRIKES_WITHIN_S
        while time.monotonic() < deadline:
            before = self._at_work(stage)
            if before:
                time.sleep(self.rng.uniform(0, 0.05))
                self.own.signal(STAGES[stage], signal.SIGKILL)
                if before & self._at_work(stage):
                    return
            time.sleep(0.005)
        raise AssertionError(f"no worker was caught in {stage}")

    def _at_work(self, stage: str) -> set[str]:
        """Leases of a stage whose worker lives or died a moment ago."""
        query = "SELECT lease_owner FROM pipelines WHERE state = 'running' AND stage = %s AND lease_until > now()"
        return {row[0] for row in self._ask(query, stage)}

    def _ask(self, sql: str, *parameters: str) -> list[Any]:
        """Nothing while the database is away."""
        try:
            return self.own.query(sql, *parameters)
        except psycopg.OperationalError:
            return []

    def kill_api_in_body(self) -> None:
        """With half a recording sent. Nothing is there of it, and the same request, sent anew, is the first one."""
        call = replace(Made.of(self.load.seed, 1), key=f"half-{self.rng.random()}", kind="mono", content=WHOLE)
        http = self.own.client()
        form = {"type": "incoming", "managerName": "Анна Смирнова"}
        headers = {"Idempotency-Key": call.key}
        request = http.build_request(
            "POST", "/api/calls", data=form, files={"audio": ("a.wav", WHOLE)}, headers=headers
        )
        body = request.read()
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        with socket.create_connection(("127.0.0.1", self.own.port), 10) as line:
            line.sendall(f"POST /api/calls HTTP/1.1\r\n{head}\r\n".encode() + body[: len(body) // 2])
            time.sleep(self.rng.uniform(0.1, 0.5))
            self.kill("api")
        found = self._ask("SELECT FROM calls WHERE idempotency_key = %s", call.key)
        assert not found, "half a recording became a call"
        self.load.add(call)

    def kill_api_before_commit(self) -> None:
        """The lock that every event is written under keeps calls from being published, too: it is let go in between."""
        waits = (
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid IN"
            " (SELECT pid FROM pg_locks WHERE relation = 'ai_analyses'::regclass AND mode = 'RowExclusiveLock')"
        )

        def struck() -> bool:
            with self._admin() as connection, connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(hashtext('call-analytics events'))")
                until = time.monotonic() + 4
                while time.monotonic() < until:
                    if connection.execute(waits).fetchall():
                        self.kill("api")
                        return True
                    time.sleep(0.05)
            time.sleep(2)
            return False

        wait_until(struck, STRIKES_WITHIN_S, "an upload before its commit")

    def fill_below_reserve(self) -> None:
        """Nothing more is taken, everything else works on."""
        http = self.own.client()
        reserve = int(self.own.site.facts()["DISK_RESERVE_MB"]) * 2**20
        with filled(self.own.site.data_dir, leaving=reserve // 2):
            answer = upload(http, ("call.wav", WHOLE))
            assert answer.status_code == 507, answer.text
            assert self.own.client().get("/api/calls").status_code == 200
            time.sleep(self.outage_s)

    def fill_completely(self) -> None:
        """Somebody else's file takes what is left to the last byte: PostgreSQL may stop, and comes back by itself."""
        with filled(self.own.site.data_dir, leaving=0):
            time.sleep(self.outage_s)

    def _admin(self) -> psycopg.Connection:
        """As the database's superuser, once it answers."""

        def opened() -> psycopg.Connection | None:
            with suppress(psycopg.OperationalError):
                return psycopg.connect(postgres.admin_address(self.own.site), autocommit=True, connect_timeout=3)
            return None

        found: psycopg.Connection = wait_until(opened, 90, "the database")
        return found
