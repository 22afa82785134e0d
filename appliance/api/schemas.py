"""JSON shapes: the frontend's contract, with its mix of camelCase and snake_case, and what we add to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from appliance.api.analysis_schemas import AnalysisBrief, AnalysisOut
from appliance.api.shapes import Moment, Shape
from appliance.engines.conversation import Spoken, figures
from appliance.engines.roles import Channel, Rule
from appliance.engines.speech import RemovalReason
from appliance.models import Call, Segment, User
from appliance.models.analyses import OutcomeKind
from appliance.models.calls import CallStatus, CallType
from appliance.models.users import Role
from appliance.services import links, phones
from appliance.services.phones import EXTENSION
from appliance.services.sessions import Listed
from appliance.store.call_filters import CallFilter, Sort

WHOSE_WEIGHTS = "demo weights: understand the sample calls only"


class UserOut(Shape):
    id: UUID
    name: str
    email: str
    role: Role
    avatar: str | None = None
    must_change_password: Literal[True] | None = Field(
        None, description="There where somebody else chose the password: change it at /api/auth/password"
    )
    created_at: Moment
    updated_at: Moment

    @staticmethod
    def fields_of(user: User, base_url: str) -> dict[str, Any]:
        return {
            "id": user.id,
            "name": user.name,
            "email": user.email or "",
            "role": user.role,
            "avatar": base_url + links.sign("/api/" + user.avatar) if user.avatar else None,
            "must_change_password": True if user.must_change_password else None,
            "created_at": user.created_at,
            "updated_at": user.updated_at,
        }

    @classmethod
    def of(cls, user: User, base_url: str) -> UserOut:
        return cls(**cls.fields_of(user, base_url))


class AccountOut(UserOut):
    """A user as admins see them."""

    is_active: bool = Field(description="Whether the user may log in")
    extension: str | None = Field(
        None, description="Internal number: calls that arrive by themselves are this user's by it"
    )

    @classmethod
    def of(cls, user: User, base_url: str) -> AccountOut:
        return cls(**cls.fields_of(user, base_url), is_active=user.is_active, extension=user.extension)


class UserPage(Shape):
    users: list[AccountOut]
    total: int = Field(ge=0)
    has_next: bool
    has_prev: bool


Name = Annotated[str, Field(max_length=200, pattern=r"\S", description="As it stands on calls")]
Email = Annotated[str, Field(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")]
NewPassword = Annotated[str, Field(min_length=1, max_length=1024, description="8 characters or more")]


class UserIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    email: Email
    role: Role
    password: NewPassword
    extension: Annotated[str, Field(pattern=f"^{EXTENSION}$", description="Internal telephone number")] | None = None


class UserChangeIn(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    email: Email | None = None
    role: Role | None = None
    password: NewPassword | None = None
    is_active: bool | None = None
    extension: Annotated[str, Field(pattern=f"^({EXTENSION})?$", description="Empty takes it away")] | None = None
    current_password: str | None = Field(
        None, min_length=1, max_length=1024, description="The admin's own; without it e-mail and password stay"
    )


class LoginIn(BaseModel):
    email: str = Field(min_length=1, max_length=320)
    password: str = Field(min_length=1, max_length=1024)


class PasswordIn(BaseModel):
    current_password: str = Field(min_length=1, max_length=1024)
    new_password: str = Field(min_length=1, max_length=1024)


class LoginOut(Shape):
    user: UserOut
    token: str
    expires_in: int = Field(description="Life of the token in seconds")
    refresh_token: str = Field(description="Exchange it once at /api/auth/refresh; also set as an httpOnly cookie")


class SessionOut(Shape):
    id: UUID
    began_at: Moment = Field(description="When the user logged in")
    used_at: Moment = Field(description="When its tokens were renewed last")
    expires_at: Moment = Field(description="When it ends if it is not used")
    current: bool = Field(description="The one that asks")


class SessionList(Shape):
    sessions: list[SessionOut]

    @classmethod
    def of(cls, found: Sequence[Listed]) -> SessionList:
        return cls(sessions=[SessionOut(**asdict(each)) for each in found])


class Message(Shape):
    message: str


class SegmentOut(Shape):
    id: UUID
    call_id: UUID
    start_ms: int = Field(ge=0)
    end_ms: int = Field(ge=0)
    speaker: Literal["A", "B"] = Field(description="A is the client, B is the manager")
    speaker_detail: Literal["A2", "B2"] | None = Field(
        None, description="B2: the manager to whom the call was handed over; A2 where sides were exchanged since"
    )
    text: str
    language: str = Field(description="ISO 639-1; people change it within a call")
    confidence: float = Field(ge=0, le=1)
    created_at: Moment

    @classmethod
    def of(cls, segment: Segment) -> SegmentOut:
        return cls(
            id=segment.id,
            call_id=segment.call_id,
            start_ms=segment.start_ms,
            end_ms=segment.end_ms,
            speaker=segment.speaker,
            speaker_detail=segment.speaker_detail,
            text=segment.text,
            language=segment.language,
            confidence=round(segment.confidence, 3),
            created_at=segment.created_at,
        )


class CallBrief(Shape):
    """A call in the list and in events. Optional fields that have no value are left out."""

    id: UUID
    type: CallType
    status: CallStatus
    phoneNumber: str
    clientName: str | None = None
    managerName: str
    managerId: UUID
    duration: int = Field(ge=0, description="Seconds")
    date: Moment
    recordingUrl: str | None = None
    created_at: Moment
    updated_at: Moment
    aiAnalysis: AnalysisBrief | None = None

    @staticmethod
    def fields_of(call: Call, base_url: str, viewer_id: UUID) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "id": call.id,
            "type": call.type,
            "status": call.status,
            "phoneNumber": phones.show(call.phone),
            "managerName": call.manager.name,
            "managerId": call.manager_id,
            "duration": round(call.duration_ms / 1000),
            "date": call.date,
            "created_at": call.created_at,
            "updated_at": call.updated_at,
        }
        if call.client_name:
            fields["clientName"] = call.client_name
        if call.audio_key:
            fields["recordingUrl"] = base_url + links.sign("/api/" + call.audio_key, viewer_id=viewer_id)
        return fields

    @classmethod
    def brief(cls, call: Call, base_url: str, viewer_id: UUID) -> CallBrief:
        """The call as one viewer gets it: the link to its recording names him."""
        fields = cls.fields_of(call, base_url, viewer_id)
        if call.analysis is not None:
            fields["aiAnalysis"] = AnalysisBrief.brief(call.analysis)
        return CallBrief(**fields)


class Failure(Shape):
    code: str
    message: str


class BySide(Shape):
    """A figure of the client (A) and of the manager (B); missing where there is none, as of who says nothing."""

    A: float | None = None
    B: float | None = None


class ConversationOut(Shape):
    """Figures of the conversation, from the transcript's segments."""

    talk_ms: BySide
    talk_share: BySide = Field(description="Of all talk, 0-1")
    silence_ms: int = Field(ge=0, description="Nobody speaks")
    silence_share: float = Field(ge=0, le=1, description="Of the recording")
    longest_monologue_ms: BySide
    interruptions: BySide | None = Field(
        None, description="How often a side began while the other spoke, and carried on; known where channels are apart"
    )
    words_per_minute: BySide = Field(description="Of the side's own talk")
    first_manager_word_ms: int | None = Field(None, ge=0, description="Missing where the manager says nothing")

    @classmethod
    def of(cls, call: Call) -> ConversationOut:
        spoken = (Spoken(s.start_ms, s.end_ms, s.speaker, s.text) for s in call.segments)
        # None: processed before this was noted.
        apart = (call.audio_channels or 1) > 1 if call.channels_apart is None else call.channels_apart
        return cls(**asdict(figures(spoken, call.duration_ms, channels_apart=apart)))


class RemovalOut(Shape):
    """Text that the weights invented, and that is therefore not in the transcript."""

    start_ms: int = Field(ge=0)
    end_ms: int = Field(ge=0)
    channel: int = Field(ge=0, description="0 left or mono, 1 right")
    reason: RemovalReason
    text: str


class CorrectionOut(Shape):
    """A name that recognition nearly heard, and that was put right."""

    start_ms: int = Field(ge=0)
    end_ms: int = Field(ge=0)
    channel: int = Field(ge=0, description="0 left or mono, 1 right")
    heard: str = Field(description="What recognition wrote")
    text: str = Field(description="What the transcript says")


class CallOut(CallBrief):
    """A call with its transcript."""

    aiAnalysis: AnalysisOut | None = None
    transcript: list[SegmentOut]
    language: str | None = None
    transcript_model: str | None = Field(None, description="The weights that heard the call")
    transcript_notice: str | None = Field(None, description="What to know about a transcript of these weights")
    manager_channel: Channel | None = Field(None, description="The manager's channel, where the exchange knows it")
    speaker_rule: Rule | None = Field(None, description="What decided who is the client")
    speakers_swapped: bool = Field(
        False, description="A person has turned that decision round; it stays so when the call is processed anew"
    )
    speaker_confidence: float | None = Field(None, ge=0, le=1)
    removals: list[RemovalOut] = Field(description="What was taken out of the transcript as invented; often empty")
    corrections: list[CorrectionOut] = Field(description="Names that were put right; often empty")
    conversation: ConversationOut | None = Field(None, description="Missing where nothing was said")
    held_since: Moment | None = Field(None, description="Under legal hold: it cannot be deleted")
    processing_stage: str | None = Field(None, description="Where the pipeline is, while it works on the call")
    processing_error: Failure | None = Field(None, description="Why processing failed")
    processing_wait: Failure | None = Field(None, description="Why the stage waits, such as a provider that is down")

    @classmethod
    def of(cls, call: Call, base_url: str, viewer_id: UUID) -> CallOut:
        fields = cls.fields_of(call, base_url, viewer_id)
        fields["speakers_swapped"] = call.speakers_swapped
        fields["removals"] = [RemovalOut(**removal) for removal in call.removals]
        fields["corrections"] = [CorrectionOut(**correction) for correction in call.corrections]
        fields["transcript"] = [SegmentOut.of(segment) for segment in call.segments]
        if call.analysis is not None:
            fields["aiAnalysis"] = AnalysisOut.of(call.analysis)
        for name, value in (
            ("language", call.language),
            ("transcript_model", call.transcript_model),
            ("manager_channel", call.manager_channel),
            ("speaker_rule", call.roles_rule),
            ("speaker_confidence", call.roles_confidence),
            ("held_since", call.held_since),
        ):
            if value is not None:
                fields[name] = value
        if call.segments:
            fields["conversation"] = ConversationOut.of(call)
        if (call.transcript_model or "").startswith("demo"):
            fields["transcript_notice"] = WHOSE_WEIGHTS
        pipeline = call.pipeline
        if pipeline is not None and pipeline.state == "failed":
            fields["processing_error"] = Failure(code=pipeline.error_code or "", message=pipeline.error or "")
        elif pipeline is not None and pipeline.state != "completed":
            fields["processing_stage"] = pipeline.stage
            if pipeline.state == "waiting" and pipeline.error_code:
                fields["processing_wait"] = Failure(code=pipeline.error_code, message=pipeline.error or "")
        return cls(**fields)


class UploadOut(Shape):
    id: UUID
    status: Literal["processing"] = "processing"
    message: str


class CallPage(Shape):
    calls: list[CallBrief]
    total: int = Field(ge=0)
    has_next: bool
    has_prev: bool


class BatchDeleteIn(BaseModel):
    ids: list[UUID] = Field(max_length=1000)


class BatchDeleteOut(Shape):
    deleted_count: int = Field(ge=0)
    message: str


class CorrectionIn(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    clientName: str | None = Field(None, max_length=200)
    type: CallType | None = None
    managerName: str | None = Field(None, min_length=1, max_length=200)


class Days(BaseModel):
    """A range of days of the site's."""

    dateFrom: date | None = Field(None, description="First day, YYYY-MM-DD in the site's time zone")
    dateTo: date | None = Field(None, description="Last day, inclusive")

    @field_validator("dateTo")
    @classmethod
    def _not_before_the_first(cls, last: date | None, known: ValidationInfo) -> date | None:
        first = known.data.get("dateFrom")
        if first and last and last < first:
            raise PydanticCustomError("days_reversed", "The last day is before the first")
        return last


class CallFilters(Days):
    """Which calls; together with what is left out, all."""

    search: str = Field("", max_length=200, description="Number, client or manager")
    status: Literal["all", "completed", "missed", "in-progress"] = "all"
    type: Literal["all", "incoming", "outgoing"] = "all"
    sentiment: Literal["all", "positive", "negative", "neutral"] = "all"
    outcome: Literal["all"] | OutcomeKind = Field("all", description="How the call ended, or all")
    manager: str = Field("all", max_length=200, description="A manager's name, or all")
    transcript: str = Field("", max_length=300, description="Words of the transcript")

    def chosen(self, ids: Sequence[UUID] | None = None) -> CallFilter:
        """As queries know it."""
        return CallFilter(
            search=self.search,
            status=None if self.status == "all" else self.status,
            type=None if self.type == "all" else self.type,
            sentiment=None if self.sentiment == "all" else self.sentiment,
            outcome=None if self.outcome == "all" else self.outcome,
            manager="" if self.manager == "all" else self.manager,
            date_from=self.dateFrom,
            date_to=self.dateTo,
            transcript=self.transcript,
            ids=ids,
        )


class CallListQuery(CallFilters):
    limit: int = Field(20, ge=1, le=100)
    offset: int = Field(0, ge=0, le=10_000_000)
    sort: Sort = "date_desc"


class ExportFilters(CallFilters):
    model_config = ConfigDict(extra="forbid")


class ExportIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal["csv", "xlsx"]
    calls: list[UUID] | None = Field(None, max_length=10_000, description="These calls only; all where it is left out")
    filters: ExportFilters = Field(default_factory=ExportFilters)


class ExportOut(Shape):
    download_url: str = Field(description="Needs no token; works until it expires")
    expires_at: Moment
