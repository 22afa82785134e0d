"""A connection to PostgreSQL that does not wait for a server that has fallen silent.

A slow statement is waited for: whether the server is there at all is asked over a second connection. Time-outs on the
statement itself would take a long search for an outage, and the kernel's keep-alive sees nothing of a frozen server.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, Self

import psycopg
from psycopg.waiting import Ready

from appliance.store.watch import Watch

SILENT_S = 1.5
"""After so long without a byte the server is looked at; and again after as long."""

CONNECT_S = 2
"""A server that does not let us in within so many seconds is away. With SILENT_S: well below the five of a request."""

KEEP_ALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
"""A server that went without a good-bye, on another machine, is noticed within half a minute."""


class ServerSilent(psycopg.OperationalError):
    """The server took the statement and has gone silent, or was found away a moment ago."""


watch = Watch()


def _lets_in(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=CONNECT_S).close()
    except psycopg.OperationalError:
        return False
    return True


def _expect(dsn: str) -> None:
    """Raises ServerSilent where the server was found away and is not back: nobody else waits for the same silence."""
    if watch.is_away(lambda: _lets_in(dsn)):
        raise ServerSilent("the server does not answer")


class PatientConnection(psycopg.Connection[Any]):
    """Raises ServerSilent, closed, where the server falls silent in mid-statement; everything else as its base."""

    dsn = ""

    @classmethod
    def open(cls, dsn: str, options: str = "") -> Self:
        """Connect, with options for the session. Raises ServerSilent at once where the server was away a moment ago."""
        _expect(dsn)
        try:
            made = cls.connect(
                dsn,
                connect_timeout=CONNECT_S,
                application_name="call-analytics",
                options=options,
                **KEEP_ALIVE,  # type: ignore[arg-type]
            )
        except psycopg.OperationalError:
            watch.note(answers=False)
            raise
        made.dsn = dsn
        return made

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            if self.dsn:
                _expect(self.dsn)
            return super().wait(_watched(gen, self.dsn), interval, timeout)
        except ServerSilent:
            self.close()
            raise


def _watched(gen: Generator[Any, Any, Any], dsn: str) -> Generator[Any, Any, Any]:
    heard = time.monotonic()
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready != Ready.NONE:
                heard = time.monotonic()
            elif dsn and time.monotonic() - heard > SILENT_S:
                if not watch.answers(lambda: _lets_in(dsn)):
                    raise ServerSilent("the server does not answer")
                heard = time.monotonic()
            wanted = gen.send(ready)
    except StopIteration as stop:
        return stop.value
