"""People: those who log in, and managers who only appear on calls."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base, Identified, Timestamped, one_of

Role = Literal["admin", "manager", "analyst"]


class User(Identified, Timestamped, Base):
    """A person. Without a password hash nobody can log in: a manager named on an upload before having an account."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(one_of("role", "admin", "manager", "analyst"), name="role"),
        Index("uq_users_email", text("lower(email)"), unique=True),
        Index("uq_users_extension", "extension", unique=True),
        Index("ix_users_name_lower", text("lower(name)")),
        Index("ix_users_name_trgm", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
    )

    name: Mapped[str]
    email: Mapped[str | None]
    role: Mapped[Role] = mapped_column(Text)
    password_hash: Mapped[str | None]
    avatar: Mapped[str | None]
    extension: Mapped[str | None] = mapped_column(comment="Internal telephone number")
    must_change_password: Mapped[bool] = mapped_column(
        server_default=text("false"), default=False, comment="Somebody else chose the password"
    )
    is_active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
