"""Logged-in sessions: refresh tokens, revoked access tokens, failed attempts to log in."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base, Identified


class RefreshToken(Identified, Base):
    """One refresh token, stored as a hash. Each is used once; a second use ends its whole family."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("uq_refresh_tokens_digest", "digest", unique=True),
        Index("ix_refresh_tokens_family", "family"),
        Index("ix_refresh_tokens_user_id", "user_id"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    family: Mapped[UUID] = mapped_column(comment="The session: all tokens that descend from one log-in")
    digest: Mapped[bytes]
    began_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When somebody logged in: the same for the whole session."""
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RevokedToken(Base):
    """A session (`family`) whose access tokens are dead before they expire."""

    __tablename__ = "revoked_tokens"

    family: Mapped[UUID] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class LoginFailure(Base):
    """Failed attempts to log in of one account or one address; the key is a keyed hash, not the e-mail."""

    __tablename__ = "login_failures"

    key: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    locked_until: Mapped[datetime | None]
    last_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
