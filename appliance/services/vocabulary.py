"""The names that recognition is to expect at this site: shown and changed by admins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from appliance import logs
from appliance.engines.speech.site_names import SiteName
from appliance.store import audit, db, vocabulary

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """What admins gave, and who did so when; None where nobody did."""

    names: tuple[SiteName, ...]
    changed_by: UUID | None
    changed_at: datetime | None


def state() -> State:
    """The site's own names."""
    with db.unit_of_work() as session:
        row = vocabulary.row(session)
        if row is None:
            return State((), None, None)
        return State(tuple(SiteName(**name) for name in row.names), row.changed_by_id, row.changed_at)


def change(by: UUID, names: Sequence[SiteName]) -> State:
    """Put these names in the place of those before; the next call is heard with them."""
    with db.unit_of_work() as session:
        vocabulary.save(session, [name.model_dump() for name in names], by)
        audit.append(session, "vocabulary_changed", user_id=by, details={"names": len(names)})
    log.info("vocabulary_changed", by=str(by), names=len(names))
    return state()
