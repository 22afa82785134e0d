"""Queries on further machines: who there is, when each was heard of, whether it fits the database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import Row, delete, func, insert, select, text, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import SQLCoreOperations

from appliance.errors import ApplianceError
from appliance.models import Node, Pipeline

MIGRATIONS = Path(__file__).parent.parent.parent / "migrations"


class ReleaseDiffers(ApplianceError):
    """The first machine was upgraded before this one, or this one before the first."""

    code = "release_differs"
    ru = (
        "База первой машины в состоянии {theirs}, а этот выпуск ({version}) написан для {ours}. "
        "Установите на обеих машинах один выпуск: сначала на первой"
    )
    en = (
        "The first machine's database is in state {theirs}, and this release ({version}) was written for {ours}. "
        "Install the same release on both machines: on the first one first"
    )


Name = TypeVar("Name", str, SQLCoreOperations[str])


NODES = "node/"


def lessee(name: Name) -> Name:
    """What every lease of a node begins with. The name is known, or is a column."""
    return NODES + name + ":"


def add(session: Session, name: str, address: str) -> None:
    """A machine that may work from now on."""
    session.execute(insert(Node).values(name=name, address=address))


def remove(session: Session, name: str) -> bool:
    """Whether it was there."""
    gone = delete(Node).where(Node.name == name).returning(Node.name)
    return session.scalar(gone) is not None


def listed(session: Session) -> Sequence[Row[Any]]:
    """Rows of `Node`, `calls` that it works on, and the seconds since its workers were heard of."""
    held = (
        select(func.count())
        .where(Pipeline.state == "running", Pipeline.lease_owner.startswith(lessee(Node.name)))
        .scalar_subquery()
    )
    silent = [
        func.extract("epoch", func.now() - seen).label(f"{name}_silent_s")
        for name, seen in (("speech", Node.speech_seen_at), ("analysis", Node.analysis_seen_at))
    ]
    return session.execute(select(Node, held.label("calls"), *silent).order_by(Node.name)).all()


def known(session: Session) -> dict[str, str]:
    """Addresses by name."""
    return dict(session.execute(select(Node.name, Node.address)).tuples().all())


def beat(session: Session, name: str, queue: Literal["speech", "analysis"], version: str) -> bool:
    """A worker of this node is alive; False where the node was removed."""
    seen = {f"{queue}_seen_at": func.now(), "version": version}
    told = update(Node).where(Node.name == name).values(seen).returning(Node.name)
    return session.scalar(told) is not None


UPGRADE = "call-analytics upgrade"
"""The advisory lock, and the session's name, of an upgrade of the first machine."""


def admitted(session: Session) -> bool:
    """Whether a node may take calls: not while the first machine is upgraded, which waits for this transaction."""
    lock = text("SELECT pg_try_advisory_xact_lock_shared(hashtext(:name))")
    return bool(session.scalar(lock, {"name": UPGRADE}))


@lru_cache
def expected_schema() -> str:
    """The database's state that this release was written for."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""


def schema(session: Session) -> str:
    """The database's state."""
    return session.scalar(text("SELECT version_num FROM alembic_version")) or ""
