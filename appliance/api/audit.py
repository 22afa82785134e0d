"""/api/admin/audit: who did what. For admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from appliance.api.deps import ViewerDep
from appliance.api.shapes import Moment, Shape
from appliance.services import audit
from appliance.store.audit import Wanted

router = APIRouter(prefix="/api/admin/audit", tags=["operation"])


class AuditQuery(BaseModel):
    """Which entries; together with what is left out, all."""

    action: str | None = Field(None, max_length=60, description="For example call_read; docs/security.md lists them")
    user: UUID | None = Field(None, description="Who did it")
    call: UUID | None = Field(None, description="To which call, also to one that is deleted")
    since: datetime | None = Field(None, description="From this moment on")
    until: datetime | None = Field(None, description="Before this moment")
    limit: int = Field(50, ge=1, le=500)
    offset: int = Field(0, ge=0, le=10_000_000)

    def chosen(self) -> Wanted:
        """As queries know it; a moment without a zone is the machine's."""
        since, until = (moment and moment.astimezone() for moment in (self.since, self.until))
        return Wanted(self.action, self.user, self.call, since, until)


class AuditEntryOut(Shape):
    id: int
    at: Moment
    action: str
    user_id: UUID | None = Field(description="Who did it; null where it was the appliance or its operator")
    user_name: str = Field(description="Empty where there is no such user any more")
    call_id: UUID | None
    details: dict[str, Any]
    hash: str = Field(description="SHA-256 over this entry and the hash of the one before")


class AuditPage(Shape):
    entries: list[AuditEntryOut]
    total: int = Field(ge=0)
    has_next: bool
    has_prev: bool


@router.get("")
def browse(viewer: ViewerDep, wanted: Annotated[AuditQuery, Query()]) -> AuditPage:
    """A page of the audit trail, newest first."""
    found, total = audit.page(viewer, wanted.chosen(), wanted.limit, wanted.offset)
    return AuditPage(
        entries=[
            AuditEntryOut(
                id=named.entry.id,
                at=named.entry.at,
                action=named.entry.action,
                user_id=named.entry.user_id,
                user_name=named.user_name,
                call_id=named.entry.call_id,
                details=named.entry.details,
                hash=named.entry.hash.hex(),
            )
            for named in found
        ],
        total=total,
        has_next=wanted.offset + len(found) < total,
        has_prev=wanted.offset > 0,
    )
