"""Queries on users."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import Session

from appliance.models import User
from appliance.models.users import Role
from appliance.store.text_search import containing


def by_email(session: Session, email: str) -> User | None:
    """The user with an e-mail address, in whatever case it is written."""
    return session.scalar(select(User).where(func.lower(User.email) == email.strip().lower()))


def manager_named(session: Session, name: str) -> User:
    """The manager of that name; a new one without a log-in where there is none.

    A lock keeps two uploads at once from making two.
    """
    name = " ".join(name.split())
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('manager ' || lower(:name)))"), {"name": name})
    known = session.scalar(
        select(User)
        .where(func.lower(User.name) == name.lower())
        .order_by((User.role == "manager").desc(), User.created_at)
        .limit(1)
    )
    if known is not None:
        return known
    created = User(name=name, role="manager")
    session.add(created)
    session.flush()
    return created


def at_extension(session: Session, extension: str) -> User | None:
    """Whose internal number it is."""
    return session.scalar(select(User).where(User.extension == extension))


def manager_at(session: Session, extension: str) -> User:
    """Whose internal number it is; a new manager without a log-in, to be named by an admin, where it is nobody's."""
    known = at_extension(session, extension)
    if known is not None:
        return known
    change_alone(session)
    known = at_extension(session, extension)
    if known is None:
        known = User(name=f"Добавочный {extension}", role="manager", extension=extension)
        session.add(known)
        session.flush()
    return known


def manager_of_call(session: Session, extension: str | None, name: str) -> User:
    """Whose call it is: the extension tells, and where there is none, the name."""
    return manager_at(session, extension) if extension else manager_named(session, name)


def change_alone(session: Session) -> None:
    """Two at once must not create the same e-mail or extension twice, or remove the last two admins."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('change users'))"))


def get(session: Session, user_id: UUID) -> User | None:
    return session.get(User, user_id)


def without_login(session: Session, name: str) -> User | None:
    """A manager of that name who has no e-mail yet."""
    name = " ".join(name.split()).lower()
    return session.scalar(
        select(User).where(func.lower(User.name) == name, User.email.is_(None), User.role == "manager").limit(1)
    )


def page(session: Session, search: str, role: Role | None, limit: int, offset: int) -> tuple[Sequence[User], int]:
    """Users whose name or e-mail holds `search`, by name, and how many there are in all."""
    query = select(User)
    if role is not None:
        query = query.where(User.role == role)
    if search.strip():
        pattern = containing(search)
        query = query.where(or_(User.name.ilike(pattern), User.email.ilike(pattern)))
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    return session.scalars(query.order_by(User.name, User.id).limit(limit).offset(offset)).all(), total


def count_admins(session: Session) -> int:
    """Admins who can log in."""
    query = select(func.count()).where(User.role == "admin", User.is_active, User.password_hash.is_not(None))
    return session.scalar(query) or 0


def is_active(session: Session, user_id: UUID) -> bool:
    """Whether there is such a user, who may log in."""
    return bool(session.scalar(select(User.is_active).where(User.id == user_id)))
