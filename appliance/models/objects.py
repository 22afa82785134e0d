"""Objects that are to vanish from the store."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.base import Base


class ObjectDeletion(Base):
    """A key to delete from the object store after `not_before`.

    Written before an upload and withdrawn by the transaction that creates its call, so an upload that dies leaves no
    orphan; written by the transaction that deletes a call, so a store that is down keeps no recording.
    """

    __tablename__ = "object_deletions"

    key: Mapped[str] = mapped_column(primary_key=True)
    not_before: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
