"""Log in, stay logged in, log out. Access tokens are JWTs that name a session; they die with it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from appliance.config import settings
from appliance.errors import ApplianceError
from appliance.models import LoginFailure, RefreshToken, RevokedToken, User
from appliance.services import failures, passwords
from appliance.store import audit, db, events, users
from appliance.store.visibility import Viewer

ALGORITHM = "HS256"
REFRESH_LIFE = timedelta(days=30)
FREE_ATTEMPTS = 5
"""Wrong passwords in a row before an account or an address has to wait: a second, then twice as long each time."""

LONGEST_LOCK_S = 15 * 60
FAILURES_FORGOTTEN_S = 24 * 3600

NOBODY = passwords.HASHES.hash(secrets.token_hex())
"""Verified where there is no such account, so that both answers take the same time."""

WHO = (User.id, User.name, User.role, User.must_change_password)


@dataclass(frozen=True, slots=True)
class Listed:
    """A session that lives: `id` names it, `current` is the one that asks."""

    id: UUID
    began_at: datetime
    used_at: datetime
    expires_at: datetime
    current: bool


class SessionNotFound(ApplianceError):
    code = "session_not_found"
    status = 404
    ru = "Сеанс не найден"
    en = "The session was not found"


class OwnPasswordWrong(ApplianceError):
    code = "own_password_wrong"
    status = 403
    ru = "Чтобы изменить e-mail или пароль, введите свой действующий пароль: current_password"
    en = "To change an e-mail or a password, give your own present one: current_password"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What a log-in or a refresh answers."""

    user: User
    token: str
    refresh_token: str
    expires_in: int


def log_in(email: str, password: str, address: str, *, instead_of: str = "") -> LoggedIn:
    """Begin a session; the one of the refresh token `instead_of`, which the same browser has, ends.

    Raises WrongCredentials for an unknown e-mail as for a wrong password, and TooManyAttempts.
    """
    keys = [_failure_key("account", email.strip().lower()), _failure_key("address", address)]
    with db.unit_of_work() as session:
        _refuse_locked(session, keys)
        user = users.by_email(session, email)
    known = user.password_hash if user is not None and user.is_active else None
    right, better = passwords.HASHES.verify_and_update(password, known or NOBODY)
    if user is None or known is None or not right:
        with db.unit_of_work() as session:
            for key in keys:
                _count_failure(session, key)
            tried = user.id if user is not None else None
            audit.append(session, "login_failed", user_id=tried, details={"address": address})
        raise failures.WrongCredentials
    with db.unit_of_work() as session:
        session.execute(delete(LoginFailure).where(LoginFailure.key == keys[0]))
        if better:
            session.execute(update(User).where(User.id == user.id).values(password_hash=better))
        audit.append(session, "login", user_id=user.id, details={"address": address})
        if instead_of:
            _end_of_browser(session, instead_of)
        return _issue(session, user, uuid4(), datetime.now(UTC))


def _end_of_browser(session: Session, refresh_token: str) -> None:
    query = select(RefreshToken.family, RefreshToken.user_id).where(RefreshToken.digest == _digest(refresh_token))
    if found := session.execute(query).one_or_none():
        _end(session, found.family)
        audit.append(session, "session_ended", user_id=found.user_id, details={"user": str(found.user_id)})


def refresh(refresh_token: str) -> LoggedIn:
    """Exchange a refresh token for new tokens. One that was used before ends the session: it may have been stolen."""
    with db.unit_of_work() as session:
        stored = session.scalar(
            select(RefreshToken).where(RefreshToken.digest == _digest(refresh_token)).with_for_update()
        )
        if stored is not None and stored.used_at is not None:
            _end(session, stored.family)
            audit.append(session, "refresh_token_reused", user_id=stored.user_id)
            stored = None
        if stored is not None and stored.expires_at > datetime.now(UTC):
            user = session.get_one(User, stored.user_id)
            if user.is_active:
                stored.used_at = datetime.now(UTC)
                return _issue(session, user, stored.family, stored.began_at)
    raise failures.NotAuthenticated


def log_out(viewer: Viewer) -> None:
    """End the viewer's session: its access and refresh tokens are worth nothing from now on."""
    with db.unit_of_work() as session:
        _end(session, viewer.session)
        audit.append(session, "logout", user_id=viewer.id)


def change_password(viewer: Viewer, current: str, new: str) -> None:
    """Set a new password and end the user's other sessions. Raises WrongCredentials, TooManyAttempts,
    PasswordUnchanged, and as passwords.check.
    """
    with db.unit_of_work() as session:
        user = session.get_one(User, viewer.id)
    passwords.check(new, user.name, user.email)
    if not _knows_password(viewer, current):
        raise failures.WrongCredentials
    if new == current:
        raise passwords.PasswordUnchanged
    kept = {"password_hash": passwords.HASHES.hash(new), "must_change_password": False}
    with db.unit_of_work() as session:
        session.execute(update(User).where(User.id == viewer.id).values(kept))
        end_all(session, viewer.id, but=viewer.session)
        audit.append(session, "password_changed", user_id=viewer.id)


def confirm(viewer: Viewer, password: str | None) -> None:
    """Whoever holds the session is its user: knows the password. Raises OwnPasswordWrong, TooManyAttempts."""
    if password is None or not _knows_password(viewer, password):
        raise OwnPasswordWrong


def _knows_password(viewer: Viewer, password: str) -> bool:
    """Wrong guesses count for the user, wherever in a session they are made. Raises TooManyAttempts."""
    key = _failure_key("own password", str(viewer.id))
    with db.unit_of_work() as session:
        _refuse_locked(session, [key])
        known = session.get_one(User, viewer.id).password_hash
    right = known is not None and bool(passwords.HASHES.verify(password, known))
    with db.unit_of_work() as session:
        if right:
            session.execute(delete(LoginFailure).where(LoginFailure.key == key))
        else:
            _count_failure(session, key)
    return right


def end_all(session: Session, user_id: UUID, *, but: UUID | None = None) -> None:
    """End a user's sessions with the caller's transaction."""
    families = session.scalars(select(RefreshToken.family).where(RefreshToken.user_id == user_id).distinct()).all()
    for family in families:
        if family != but:
            _end(session, family)


def of_user(user_id: UUID, current: UUID | None = None) -> list[Listed]:
    """A user's sessions that live, the one that was used last first."""
    query = (
        select(RefreshToken.family, RefreshToken.began_at, RefreshToken.created_at, RefreshToken.expires_at)
        .where(RefreshToken.user_id == user_id, RefreshToken.used_at.is_(None), RefreshToken.expires_at > func.now())
        .order_by(RefreshToken.created_at.desc())
    )
    with db.unit_of_work() as session:
        return [Listed(*row, current=row.family == current) for row in session.execute(query)]


def end_one(viewer: Viewer, family: UUID) -> None:
    """End one of the viewer's own sessions. Raises SessionNotFound."""
    with db.unit_of_work() as session:
        mine = select(RefreshToken.id).where(RefreshToken.user_id == viewer.id, RefreshToken.family == family)
        if session.scalar(mine.limit(1)) is None:
            raise SessionNotFound
        _end(session, family)
        audit.append(session, "session_ended", user_id=viewer.id, details={"user": str(viewer.id)})


def authenticate(token: str, *, to_change_password: bool = False) -> Viewer:
    """The viewer that a valid access token of a living session names.

    Raises NotAuthenticated, and PasswordChangeRequired where somebody else chose the password and FIRST_PASSWORD is
    enforced; `to_change_password` lets such a user in.
    """
    user_id, family = _named(token)
    with db.reading() as session:
        user = session.execute(
            select(*WHO).where(
                User.id == user_id,
                User.is_active,
                ~select(RevokedToken).where(RevokedToken.family == family).exists(),
            )
        ).one_or_none()
    if user is None:
        raise failures.NotAuthenticated
    if _must_change(user.must_change_password) and not to_change_password:
        raise failures.PasswordChangeRequired
    return Viewer(user.id, user.name, user.role, family)


def living(tokens: Iterable[str]) -> dict[str, Viewer]:
    """Those of many access tokens that `authenticate` would let in, by one look into the database."""
    named = {}
    for token in tokens:
        with suppress(failures.NotAuthenticated):
            named[token] = _named(token)
    named_users, families = {user_id for user_id, _ in named.values()}, {family for _, family in named.values()}
    with db.reading() as session:
        found = session.execute(select(*WHO).where(User.id.in_(named_users), User.is_active))
        users = {user.id: user for user in found}
        ended = set(session.scalars(select(RevokedToken.family).where(RevokedToken.family.in_(families))))
    return {
        token: Viewer(user.id, user.name, user.role, family)
        for token, (user_id, family) in named.items()
        if family not in ended and (user := users.get(user_id)) and not _must_change(user.must_change_password)
    }


def _named(token: str) -> tuple[UUID, UUID]:
    """Whom a valid access token names: the user and the session. Raises NotAuthenticated."""
    try:
        claims = jwt.decode(
            token,
            settings().jwt_secret.get_secret_value(),
            algorithms=[ALGORITHM],
            options={"require": ["exp", "sub", "sid", "typ"]},
        )
        user_id, family = UUID(claims["sub"]), UUID(claims["sid"])
    except (jwt.InvalidTokenError, ValueError, AttributeError, TypeError):
        raise failures.NotAuthenticated from None
    if claims["typ"] != "access":
        raise failures.NotAuthenticated
    return user_id, family


def _must_change(chosen_by_another: bool) -> bool:
    """Whether a password that somebody else chose keeps its user out of everything else."""
    return chosen_by_another and settings().first_password == "enforced"  # noqa: S105 - a policy


def _issue(session: Session, user: User, family: UUID, began_at: datetime) -> LoggedIn:
    now, life = datetime.now(UTC), settings().jwt_expires_in
    claims = {
        "sub": str(user.id),
        "sid": str(family),
        "typ": "access",
        "jti": uuid4().hex,
        "iat": now,
        "exp": now + timedelta(seconds=life),
    }
    refresh_token = secrets.token_urlsafe(32)
    ends = min(now + REFRESH_LIFE, began_at + timedelta(days=settings().session_days))
    digest = _digest(refresh_token)
    session.add(RefreshToken(user_id=user.id, family=family, digest=digest, began_at=began_at, expires_at=ends))
    token = jwt.encode(claims, settings().jwt_secret.get_secret_value(), ALGORITHM)
    return LoggedIn(user, token, refresh_token, life)


def _end(session: Session, family: UUID) -> None:
    session.execute(delete(RefreshToken).where(RefreshToken.family == family))
    expires = datetime.now(UTC) + timedelta(seconds=settings().jwt_expires_in)
    session.execute(insert(RevokedToken).values(family=family, expires_at=expires).on_conflict_do_nothing())
    events.tell_session_ended(session, family)


def _digest(refresh_token: str) -> bytes:
    return hashlib.sha256(refresh_token.encode()).digest()


def _failure_key(kind: str, value: str) -> str:
    secret = settings().jwt_secret.get_secret_value().encode()
    return hmac.new(secret, f"{kind}\n{value}".encode(), hashlib.sha256).hexdigest()


def _refuse_locked(session: Session, keys: list[str]) -> None:
    locked = session.scalar(select(func.max(LoginFailure.locked_until)).where(LoginFailure.key.in_(keys)))
    if locked is not None and (left := (locked - datetime.now(UTC)).total_seconds()) > 0:
        seconds = int(left) + 1
        raise failures.TooManyAttempts(seconds=seconds, headers={"Retry-After": str(seconds)})


def _count_failure(session: Session, key: str) -> None:
    count = session.scalar(
        insert(LoginFailure)
        .values(key=key, failures=1)
        .on_conflict_do_update(
            index_elements=[LoginFailure.key], set_={"failures": LoginFailure.failures + 1, "last_at": func.now()}
        )
        .returning(LoginFailure.failures)
    )
    over = (count or 0) - FREE_ATTEMPTS
    if over >= 0:
        until = datetime.now(UTC) + timedelta(seconds=min(LONGEST_LOCK_S, 2**over))
        session.execute(update(LoginFailure).where(LoginFailure.key == key).values(locked_until=until))
