"""Users: created by the operator or an admin."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select, text

from appliance.config import settings
from appliance.errors import ApplianceError
from appliance.models import User
from appliance.models.users import Role
from appliance.services.sessions import PASSWORDS
from appliance.store import db, users

SHORTEST_PASSWORD = 8


class EmailTaken(ApplianceError):
    code = "email_taken"
    status = 409
    ru = "Пользователь с таким e-mail уже есть"
    en = "There is already a user with this e-mail"


class PasswordTooShort(ApplianceError):
    code = "password_too_short"
    status = 422
    ru = "Пароль короче {shortest} символов"
    en = "The password is shorter than {shortest} characters"


class PasswordTooCommon(ApplianceError):
    code = "password_too_common"
    status = 422
    ru = "Этот пароль слишком распространён"
    en = "This password is too common"


COMMON_PASSWORDS = frozenset(
    {
        *("password", "password1", "password12", "password123", "12345678", "123456789", "1234567890", "qwerty123"),
        *("qwertyuiop", "admin123", "administrator", "letmein123", "iloveyou1", "11111111", "00000000", "87654321"),
        *("йцукенгш", "пароль123"),
    }
)


def check_password(password: str) -> None:
    """Raises PasswordTooShort, PasswordTooCommon; a demonstration may use the one that everybody knows."""
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordTooShort(shortest=SHORTEST_PASSWORD)
    if password.lower() in COMMON_PASSWORDS and not settings().demo:
        raise PasswordTooCommon


def create(name: str, email: str, password: str, role: Role) -> UUID:
    """A user who can log in. A manager known so far only by name from uploads gets the log-in, and keeps the calls.

    Raises EmailTaken, PasswordTooShort, PasswordTooCommon.
    """
    check_password(password)
    with db.unit_of_work() as session:
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext('create user'))"))
        if users.by_email(session, email) is not None:
            raise EmailTaken
        user = users.without_login(session, name) if role == "manager" else None
        if user is None:
            user = User(name=" ".join(name.split()), role=role)
            session.add(user)
        user.email, user.password_hash = email.strip(), PASSWORDS.hash(password)
        session.flush()
        return user.id


def exists(email: str) -> bool:
    """Whether somebody has this e-mail."""
    with db.unit_of_work() as session:
        return users.by_email(session, email) is not None


def any_admin() -> bool:
    """Whether there is an active admin."""
    with db.unit_of_work() as session:
        return session.scalar(select(User.id).where(User.role == "admin", User.is_active).limit(1)) is not None
