"""Users: created by the operator or an admin, who may also change, deactivate and remove them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from appliance import logs
from appliance.errors import ApplianceError
from appliance.models import Call, Export, User
from appliance.models.users import Role
from appliance.services import passwords, rights, sessions
from appliance.store import audit, db, deletions, users
from appliance.store.visibility import Viewer

log = logs.get(__name__)


class EmailTaken(ApplianceError):
    code = "email_taken"
    status = 409
    ru = "Пользователь с таким e-mail уже есть"
    en = "There is already a user with this e-mail"


class ExtensionTaken(ApplianceError):
    code = "extension_taken"
    status = 409
    ru = "Этот внутренний номер уже у другого пользователя"
    en = "Another user has this extension"


class UserNotFound(ApplianceError):
    code = "user_not_found"
    status = 404
    ru = "Пользователь не найден"
    en = "The user was not found"


class UserHasCalls(ApplianceError):
    code = "user_has_calls"
    status = 409
    ru = "У пользователя есть звонки: его можно только отключить"
    en = "The user has calls: deactivate the account instead"


class LastAdmin(ApplianceError):
    code = "last_admin"
    status = 409
    ru = "Это последний действующий администратор"
    en = "This is the last active admin"


class LoginIncomplete(ApplianceError):
    code = "login_incomplete"
    status = 422
    ru = "Для входа нужны и e-mail, и пароль"
    en = "To log in, a user needs an e-mail and a password"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different about a user; None leaves as it is, an empty extension takes it away."""

    name: str | None = None
    email: str | None = None
    role: Role | None = None
    password: str | None = None
    is_active: bool | None = None
    extension: str | None = None

    @property
    def fields(self) -> list[str]:
        """The names of what changes."""
        return [name for name, value in asdict(self).items() if value is not None]


def create(
    name: str,
    email: str,
    password: str,
    role: Role,
    by: UUID | None = None,
    extension: str | None = None,
    *,
    must_change_password: bool = False,
) -> UUID:
    """A user who can log in. A manager known so far by name or extension only gets the log-in, and keeps the calls.

    `by` is the admin who asked; nobody where it is the operator. `must_change_password`: the
    user did not choose it.

    Raises EmailTaken, ExtensionTaken, and as passwords.check.
    """
    passwords.check(password, name, email)
    with db.unit_of_work() as session:
        users.change_alone(session)
        if users.by_email(session, email) is not None:
            raise EmailTaken
        user = users.without_login(session, name) if role == "manager" else None
        holder = users.at_extension(session, extension) if extension else None
        if user is None and holder is not None and holder.email is None and role == "manager":
            user = holder
        if holder is not None and holder is not user:
            raise ExtensionTaken
        if user is None:
            user = User(role=role)
            session.add(user)
        user.name = " ".join(name.split())
        user.extension = extension or user.extension
        user.email, user.password_hash = email.strip(), passwords.HASHES.hash(password)
        user.must_change_password = must_change_password
        session.flush()
        audit.append(session, "user_created", user_id=by, details={"user": str(user.id), "role": role})
        return user.id


def create_for(viewer: Viewer, name: str, email: str, password: str, role: Role, extension: str | None = None) -> User:
    """The same, asked for by an admin. Raises NotAllowed, and as create."""
    rights.admin_only(viewer)
    user_id = create(name, email, password, role, viewer.id, extension, must_change_password=True)
    log.info("user_created", user_id=str(user_id), role=role, by=str(viewer.id))
    return find(user_id)


def page(viewer: Viewer, search: str, role: Role | None, limit: int, offset: int) -> tuple[Sequence[User], int]:
    """One page of users by name, and how many there are. Raises NotAllowed."""
    rights.admin_only(viewer)
    with db.unit_of_work() as session:
        return users.page(session, search, role, limit, offset)


def get(viewer: Viewer, user_id: UUID) -> User:
    """One user. Raises NotAllowed, UserNotFound."""
    rights.admin_only(viewer)
    with db.unit_of_work() as session:
        return _known(session, user_id)


def change(viewer: Viewer, user_id: UUID, wanted: Change, own_password: str | None = None) -> User:
    """Change a user. A new role or password and deactivation end the user's sessions.

    own_password: the viewer's; what somebody logs in by is not changed by a session alone, which may be a stolen one.
    Raises NotAllowed, UserNotFound, EmailTaken, ExtensionTaken, LastAdmin, LoginIncomplete, and as
    passwords.check and sessions.confirm.
    """
    rights.admin_only(viewer)
    if wanted.email is not None or wanted.password is not None:
        sessions.confirm(viewer, own_password)
    return _changed(user_id, wanted, viewer.id)


def change_by_operator(email: str, wanted: Change) -> User:
    """The same for who commands the machine, by the e-mail: the way back in where the last admin's password is lost.

    Raises UserNotFound, EmailTaken, LastAdmin, and as passwords.check.
    """
    with db.unit_of_work() as session:
        user = users.by_email(session, email)
        if user is None:
            raise UserNotFound
    return _changed(user.id, wanted, None)


def listed() -> Sequence[User]:
    """Everybody, by name, for who commands the machine."""
    with db.unit_of_work() as session:
        return session.scalars(select(User).order_by(User.name)).all()


def _changed(user_id: UUID, wanted: Change, by: UUID | None) -> User:
    with db.unit_of_work() as session:
        users.change_alone(session)
        user = _known(session, user_id)
        if wanted.password is not None:
            passwords.check(wanted.password, wanted.name or user.name, wanted.email or user.email)
        if wanted.is_active is False or wanted.role not in {None, "admin"}:
            _keep_an_admin(session, user)
        if wanted.email is not None:
            other = users.by_email(session, wanted.email)
            if other is not None and other.id != user.id:
                raise EmailTaken
        if wanted.extension:
            other = users.at_extension(session, wanted.extension)
            if other is not None and other.id != user.id:
                raise ExtensionTaken
        ends = wanted.password is not None or wanted.is_active is False or wanted.role not in {None, user.role}
        _apply(user, wanted)
        if wanted.password is not None:
            user.must_change_password = user_id != by
        if ends:
            sessions.end_all(session, user.id)
        details: dict[str, audit.Detail] = {
            "user": str(user_id),
            "fields": wanted.fields,
            "role": user.role,
            "is_active": user.is_active,
        }
        audit.append(session, "user_changed", user_id=by, details=details)
        session.flush()
        session.refresh(user)
    log.info("user_changed", user_id=str(user_id), by=str(by or ""))
    return user


def _apply(user: User, wanted: Change) -> None:
    if wanted.name is not None:
        user.name = " ".join(wanted.name.split())
    if wanted.email is not None:
        user.email = wanted.email.strip()
    if wanted.role is not None:
        user.role = wanted.role
    if wanted.extension is not None:
        user.extension = wanted.extension or None
    if wanted.is_active is not None:
        user.is_active = wanted.is_active
    if wanted.password is not None:
        user.password_hash = passwords.HASHES.hash(wanted.password)
    if (user.email is None) != (user.password_hash is None):
        raise LoginIncomplete


def remove(viewer: Viewer, user_id: UUID) -> None:
    """Remove a user who has no calls. Raises NotAllowed, UserNotFound, UserHasCalls, LastAdmin."""
    rights.admin_only(viewer)
    with db.unit_of_work() as session:
        users.change_alone(session)
        user = _known(session, user_id)
        _keep_an_admin(session, user)
        # Uploads that name a manager take a share of this row; waiting for them, the look below misses none.
        session.execute(select(User.id).where(User.id == user_id).with_for_update())
        theirs = or_(Call.manager_id == user_id, Call.uploaded_by_id == user_id)
        if session.scalar(select(Call.id).where(theirs).limit(1)) is not None:
            raise UserHasCalls
        sessions.end_all(session, user_id)
        exported = session.scalars(delete(Export).where(Export.user_id == user_id).returning(Export.object_key)).all()
        deletions.mark(session, [user.avatar, *exported])
        session.delete(user)
        audit.append(session, "user_removed", user_id=viewer.id, details={"user": str(user_id)})
    log.info("user_removed", user_id=str(user_id), by=str(viewer.id))


def sessions_of(viewer: Viewer, user_id: UUID) -> list[sessions.Listed]:
    """A user's sessions that live. Raises NotAllowed, UserNotFound."""
    get(viewer, user_id)
    return sessions.of_user(user_id, viewer.session)


def end_sessions(viewer: Viewer, user_id: UUID) -> None:
    """Log a user out everywhere. Raises NotAllowed, UserNotFound."""
    rights.admin_only(viewer)
    with db.unit_of_work() as session:
        sessions.end_all(session, _known(session, user_id).id)
        audit.append(session, "session_ended", user_id=viewer.id, details={"user": str(user_id)})


def find(user_id: UUID) -> User:
    """The user of an id that is known to exist."""
    with db.unit_of_work() as session:
        return session.get_one(User, user_id)


def exists(email: str) -> bool:
    """Whether somebody has this e-mail."""
    with db.unit_of_work() as session:
        return users.by_email(session, email) is not None


def _known(session: Session, user_id: UUID) -> User:
    user = users.get(session, user_id)
    if user is None:
        raise UserNotFound
    return user


def _keep_an_admin(session: Session, user: User) -> None:
    if user.role == "admin" and user.is_active and user.password_hash and users.count_admins(session) == 1:
        raise LastAdmin
