"""Queries on the site's own names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from appliance.models import SiteVocabulary, User


def row(session: Session) -> SiteVocabulary | None:
    """What admins gave; None while they gave nothing."""
    return session.get(SiteVocabulary, 1)


def people(session: Session) -> Sequence[str]:
    """The names of those who speak for the site."""
    return session.scalars(select(User.name).where(User.is_active).order_by(User.name)).all()


def save(session: Session, names: list[dict[str, Any]], by: UUID) -> None:
    """Put these names in the place of those before."""
    values = {"names": names, "changed_by_id": by, "changed_at": func.now()}
    session.execute(
        insert(SiteVocabulary)
        .values(id=1, **values)
        .on_conflict_do_update(index_elements=[SiteVocabulary.id], set_=values)
    )
