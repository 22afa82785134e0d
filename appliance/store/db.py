"""PostgreSQL: one engine per process, a session per unit of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from appliance.config import settings
from appliance.store.patience import PatientConnection

SIMILAR = 0.45
"""Word similarity (pg_trgm) from which on a name with a typing error is meant: one letter wrong in six."""


def dsn() -> str:
    """The database's address in the plain form that psycopg and the operator use."""
    return settings().database_url.replace("postgresql+psycopg://", "postgresql://", 1)


def owner_dsn() -> str:
    """The same for the role that owns the tables; the application's own where there is but one."""
    return settings().database_owner_url.replace("postgresql+psycopg://", "postgresql://", 1) or dsn()


@lru_cache
def engine(address: str | None = None) -> Engine:
    """The pool of this process. Connections are checked before use, so that a restarted server is no error."""
    return create_engine(
        (address or dsn()).replace("postgresql://", "postgresql+psycopg://", 1),
        pool_pre_ping=True,
        creator=lambda: PatientConnection.open(address or dsn(), f"-c pg_trgm.word_similarity_threshold={SIMILAR}"),
        pool_size=10,
        max_overflow=20,
        pool_timeout=3,
        hide_parameters=True,  # an exception's text may be logged
    )


@contextmanager
def unit_of_work() -> Iterator[Session]:
    """A session that commits at the end and rolls back on an exception."""
    with Session(engine(), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading() -> Iterator[Session]:
    """A session for questions: each is a transaction of its own, without a round trip to begin and one to end it."""
    with Session(engine().execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False) as session:
        yield session


def connect() -> psycopg.Connection:
    """A connection of its own in autocommit mode, for LISTEN and for maintenance."""
    return psycopg.connect(dsn(), autocommit=True, connect_timeout=4)
