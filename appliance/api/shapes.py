"""What all JSON shapes have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").replace(".000Z", "Z")


Moment = Annotated[datetime, PlainSerializer(_iso, return_type=str)]
"""ISO 8601 in UTC, with Z as in the guide."""


class Shape(BaseModel):
    """An answer. Fields are written under their own names."""

    model_config = ConfigDict(extra="forbid")
