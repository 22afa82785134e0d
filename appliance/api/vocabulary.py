"""/api/admin/vocabulary: the names that recognition is to expect at this site."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from appliance.api.deps import ViewerDep
from appliance.api.shapes import Moment, Shape
from appliance.engines.speech.site_names import SiteName, SiteNames
from appliance.services import rights, vocabulary

router = APIRouter(prefix="/api/admin/vocabulary", tags=["administration"])


class VocabularyIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    names: SiteNames = Field(description="All of the site's own names: they take the place of those before")


class VocabularyOut(Shape):
    names: list[SiteName]
    changed_by: UUID | None = Field(description="The admin; null: nobody has given names")
    changed_at: Moment | None

    @classmethod
    def of(cls, state: vocabulary.State) -> VocabularyOut:
        return cls(names=list(state.names), changed_by=state.changed_by, changed_at=state.changed_at)


@router.get("")
def show(viewer: ViewerDep) -> VocabularyOut:
    """The names that admins gave. Makes, models and the users' names are expected without being given."""
    rights.admin_only(viewer)
    return VocabularyOut.of(vocabulary.state())


@router.put("")
def change(viewer: ViewerDep, body: VocabularyIn) -> VocabularyOut:
    """Give the site's names anew. The next call is heard with them; calls that are done stay as they are."""
    return VocabularyOut.of(vocabulary.change(rights.admin_only(viewer), body.names))
