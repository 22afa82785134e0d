"""/api/admin/llm: who analyses calls, chosen and tried out by admins."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from appliance.api.deps import Language, ViewerDep
from appliance.api.schemas import Failure
from appliance.api.shapes import Moment, Shape
from appliance.engines.language.profiles import AnswerLimit, DataResidency, Masking, Residency
from appliance.services import language_models, rights

router = APIRouter(prefix="/api/admin/llm", tags=["administration"])

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="Short name of a profile")]


class ProfileFields(BaseModel):
    """A provider's profile but for its name and key."""

    model_config = ConfigDict(extra="forbid")

    residency: Residency = Field(description="cloud: requests leave the building")
    base_url: str = Field(
        min_length=1, max_length=500, pattern=r"^(https?://[^\s@?#]+|unix:/[^\s]+)$", description="OpenAI-compatible"
    )
    model: str = Field(min_length=1, max_length=200, description="Model name that the endpoint serves")
    context_tokens: int = Field(32_768, ge=2048, le=2_000_000, description="Tokens of one request, answer included")
    tokenizer: str = Field("", max_length=500, description="The model's tokenizer.json on the server")
    timeout_s: float = Field(120, gt=0, le=3600, description="Deadline of one answer, retries included")
    parallel: int = Field(16, gt=0, le=1024, description="Requests in flight at a time, per worker")
    answer_tokens: int = Field(3000, ge=500, le=200_000, description="Most tokens of one answer, reasoning included")
    answer_limit: AnswerLimit | None = Field(
        None, description="Parameter that bounds the answer; null: max_completion_tokens at OpenAI's own hosts"
    )
    temperature: float | None = Field(0, ge=0, le=2, description="null: not sent, as reasoning models ask for")
    price_input: float = Field(0, ge=0, le=1e6, description="US dollars per million tokens sent")
    price_output: float = Field(0, ge=0, le=1e6, description="US dollars per million tokens received")
    daily_cost_cap: float | None = Field(
        None, ge=0, le=1e9, description="US dollars a day; then calls wait. Needs a price above 0"
    )

    @field_validator("daily_cost_cap")
    @classmethod
    def _can_be_reached(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and not any(info.data.get(price, 1) for price in ("price_input", "price_output")):
            raise PydanticCustomError("cap_without_price", "A cap needs price_input or price_output above 0")
        return value


class ProfileIn(ProfileFields):
    api_key: SecretStr | None = Field(
        None, max_length=1000, description="Stored sealed, never shown; left out: as it was, empty: none"
    )

    @field_validator("api_key")
    @classmethod
    def _fits_into_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]*", value.get_secret_value()):
            raise PydanticCustomError("key_not_ascii", "Letters, digits and signs of ASCII only")
        return value

    def fields_given(self) -> dict[str, Any]:
        return {name: value for name, value in self if name != "api_key" or value is not None}


class ProviderIn(BaseModel):
    """Profiles are changed first, then the choice is made; all of it or nothing."""

    model_config = ConfigDict(extra="forbid")

    active: Name | None = Field(None, description="Who analyses from the next call on; left out: as before")
    profiles: dict[Name, ProfileIn | None] = Field(
        default_factory=dict, max_length=50, description="Profiles to add or to replace; null removes one"
    )


class ProfileOut(Shape):
    name: str
    source: Literal["environment", "stored"] = Field(description="environment: set by the server's settings")
    residency: Residency
    base_url: str
    model: str
    context_tokens: int
    tokenizer: str
    timeout_s: float
    parallel: int
    answer_tokens: int
    answer_limit: AnswerLimit
    temperature: float | None
    price_input: float
    price_output: float
    daily_cost_cap: float | None
    has_key: bool
    allowed: bool
    refusal: Failure | None = Field(description="Why calls may not go there")
    spent_today: float = Field(description="US dollars; requests under way count with the most that they can cost")

    @classmethod
    def of(cls, shown: language_models.Shown, language: str) -> ProfileOut:
        profile = shown.profile
        return cls(
            **profile.model_dump(exclude={"api_key", "answer_limit"}),
            answer_limit=profile.limit_parameter,
            source=shown.source,
            has_key=bool(profile.api_key.get_secret_value()),
            allowed=shown.refusal is None,
            refusal=Failure(code=shown.refusal.code, message=shown.refusal.message(language))
            if shown.refusal
            else None,
            spent_today=round(shown.spent_today, 6),
        )


class ProviderOut(Shape):
    active: str
    chosen_by: UUID | None = Field(description="The admin; null: the environment or the command line")
    chosen_at: Moment | None
    data_residency: DataResidency
    mask_pii: Masking
    when_down: Literal["wait", "builtin"] = Field(description="What becomes of calls while the provider is down")
    profiles: list[ProfileOut]
    damaged: list[str] = Field(description="Stored profiles that cannot be read")

    @classmethod
    def of(cls, state: language_models.State, language: str) -> ProviderOut:
        return cls(
            active=state.active,
            chosen_by=state.chosen_by,
            chosen_at=state.chosen_at,
            data_residency=state.settings.data_residency,
            mask_pii=state.settings.mask_pii,
            when_down=state.settings.llm_when_down,
            profiles=[ProfileOut.of(shown, language) for shown in state.profiles],
            damaged=list(state.damaged),
        )


class TrialIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    profile: Name | None = Field(None, description="The chosen one where it is left out")


class TrialOut(Shape):
    profile: str
    model: str
    valid: bool = Field(description="Whether the answer was an analysis, by the schema")
    latency_ms: int
    prompt_tokens: int
    completion_tokens: int
    cost: float = Field(description="US dollars, valid answer or not")
    requests: int = Field(description="Those answered: two where the first answer had to be repaired")
    error: Failure | None

    @classmethod
    def of(cls, tried: language_models.Tried) -> TrialOut:
        return cls(
            profile=tried.profile.name,
            model=tried.model or tried.profile.model,
            valid=tried.error is None,
            latency_ms=tried.latency_ms,
            prompt_tokens=tried.used.prompt_tokens,
            completion_tokens=tried.used.completion_tokens,
            cost=round(tried.used.cost, 6),
            requests=tried.used.requests,
            error=Failure(code=tried.error.code, message=str(tried.error)) if tried.error else None,
        )


@router.get("")
def show(viewer: ViewerDep, language: Language) -> ProviderOut:
    """Who analyses and who could; keys are never shown."""
    rights.admin_only(viewer)
    return ProviderOut.of(language_models.state(), language)


@router.put("")
def change(viewer: ViewerDep, language: Language, body: ProviderIn) -> ProviderOut:
    """Choose who analyses, add, change and remove profiles. Every worker goes by it from its next call on."""
    wanted = {name: profile.fields_given() if profile else None for name, profile in body.profiles.items()}
    return ProviderOut.of(language_models.change(rights.admin_only(viewer), body.active, wanted), language)


@router.post("/test")
def test(viewer: ViewerDep, body: TrialIn) -> TrialOut:
    """Send an invented call to a profile, and see what it takes and whether the answer is valid."""
    return TrialOut.of(language_models.try_out(rights.admin_only(viewer), body.profile))
