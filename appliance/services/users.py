"""Users: created by the operator or an admin."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select, text

from appliance.errors import ApplianceError
from appliance.models import User
from appliance.models.users import Role
from appliance.services import passwords
from appliance.store import db, users


class EmailTaken(ApplianceError):
    code = "email_taken"
    status = 409
    ru = "Пользователь с таким e-mail уже есть"
    en = "There is already a user with this e-mail"


def create(name: str, email: str, password: str, role: Role) -> UUID:
    """A user who can log in. A manager known so far only by name from uploads gets the log-in, and keeps the calls.

    Raises EmailTaken, PasswordTooShort, PasswordTooCommon.
    """
    passwords.check(password)
    with db.unit_of_work() as session:
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext('create user'))"))
        if users.by_email(session, email) is not None:
            raise EmailTaken
        user = users.without_login(session, name) if role == "manager" else None
        if user is None:
            user = User(name=" ".join(name.split()), role=role)
            session.add(user)
        user.email, user.password_hash = email.strip(), passwords.HASHES.hash(password)
        session.flush()
        return user.id


def find(user_id: UUID) -> User:
    """The user of an id that is known to exist."""
    with db.unit_of_work() as session:
        return session.get_one(User, user_id)


def exists(email: str) -> bool:
    """Whether somebody has this e-mail."""
    with db.unit_of_work() as session:
        return users.by_email(session, email) is not None


def any_admin() -> bool:
    """Whether there is an active admin."""
    with db.unit_of_work() as session:
        return session.scalar(select(User.id).where(User.role == "admin", User.is_active).limit(1)) is not None
