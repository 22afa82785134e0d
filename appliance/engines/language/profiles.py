"""Provider profiles: who analyses calls, and whether their words leave the building."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from appliance.errors import ApplianceError

Residency = Literal["local", "cloud"]

DataResidency = Literal["local-only", "cloud-masked", "cloud-allowed"]
"""local-only: no profile outside the building. cloud-masked: only with personal data masked. cloud-allowed: any."""

Masking = Literal["cloud", "always", "never"]

AnswerLimit = Literal["max_tokens", "max_completion_tokens"]
"""The parameter that bounds an answer. OpenAI's newer models refuse the first, many other servers know no other."""

LEAST_CONTEXT = 2048
"""Tokens without which instructions, a piece of a call and an answer have no room."""

OPENAIS_OWN = (".openai.com", ".azure.com")
"""Hosts that want max_completion_tokens, from GPT-4o on."""


class Profile(BaseModel):
    """One provider. `builtin` has no endpoint; `context_tokens` is what fits into one request, answer included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="Short name, such as local")
    residency: Residency = Field(description="cloud: requests leave the building")
    base_url: str = Field(
        default="",
        max_length=500,
        pattern=r"^(|https?://[^\s@?#]+|unix:/[^\s]+)$",
        description="OpenAI-compatible endpoint, for example http://127.0.0.1:8100/v1, or unix:/run/vllm.sock",
    )
    api_key: SecretStr = Field(default=SecretStr(""), description="Key of the endpoint")
    model: str = Field(default="", max_length=200, description="Model name that the endpoint serves")
    context_tokens: int = Field(default=32_768, ge=LEAST_CONTEXT, le=2_000_000, description="Tokens of one request")
    tokenizer: str = Field(
        default="", max_length=500, description="The model's tokenizer.json on this machine, for exact counts"
    )
    timeout_s: float = Field(default=120, gt=0, le=3600, description="Deadline of one answer, retries included")
    parallel: int = Field(default=16, gt=0, le=1024, description="Requests in flight at a time, per worker process")
    answer_tokens: int = Field(
        default=3000, ge=500, le=200_000, description="Most tokens of one answer, a model's reasoning included"
    )
    answer_limit: AnswerLimit | None = Field(
        default=None, description="Parameter for answer_tokens; none: max_completion_tokens at OpenAI's own hosts"
    )
    temperature: float | None = Field(
        default=0, ge=0, le=2, description="0: the same call, the same answer; none: not sent, for reasoning models"
    )
    price_input: float = Field(default=0, ge=0, description="US dollars per million tokens sent")
    price_output: float = Field(default=0, ge=0, description="US dollars per million tokens received")
    daily_cost_cap: float | None = Field(
        default=None, ge=0, description="US dollars a day; calls wait for the next day when it is reached"
    )

    @property
    def limit_parameter(self) -> AnswerLimit:
        """What bounds an answer at this endpoint."""
        host = f".{urlsplit(self.base_url).hostname or ''}"
        return self.answer_limit or ("max_completion_tokens" if host.endswith(OPENAIS_OWN) else "max_tokens")

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars, by the profile's prices per million tokens."""
        return (prompt_tokens * self.price_input + completion_tokens * self.price_output) / 1e6


BUILTIN = Profile(name="builtin", residency="local")
"""The analyst without a language model."""


class UnknownProvider(ApplianceError):
    """No profile has this name."""

    code = "llm_provider_unknown"
    status = 422
    ru = "Неизвестный профиль анализа: {name}"
    en = "Unknown analysis profile: {name}"


class CloudRefused(ApplianceError):
    """The profile is outside the building and residency forbids that."""

    code = "cloud_provider_refused"
    status = 403
    ru = "Профиль {name} передаёт данные за пределы организации; DATA_RESIDENCY=local-only это запрещает"
    en = "The profile {name} sends data out of the building; DATA_RESIDENCY=local-only forbids it"


class AddressInvalid(ApplianceError):
    """The profile's address is none."""

    code = "llm_address_invalid"
    status = 422
    ru = "Адрес профиля {name} неверен"
    en = "The address of the profile {name} is not valid"


class NotLocal(ApplianceError):
    """The profile says local, its endpoint is not in the building."""

    code = "llm_not_local"
    status = 422
    ru = "Профиль {name} назван локальным, но адрес {host} находится за пределами организации"
    en = "The profile {name} is called local, but the address {host} is outside the building"


class MaskingRequired(ApplianceError):
    """Personal data may leave the building masked alone."""

    code = "masking_required"
    status = 403
    ru = "Профиль {name} облачный: DATA_RESIDENCY=cloud-masked не допускает MASK_PII=never"
    en = "The profile {name} is in the cloud: DATA_RESIDENCY=cloud-masked does not go with MASK_PII=never"


def profile_named(profiles: Mapping[str, Profile], name: str) -> Profile:
    """The profile of a name. Raises UnknownProvider."""
    if name not in profiles:
        raise UnknownProvider(name=name)
    return profiles[name]


def check_allowed(profile: Profile, residency: DataResidency, masking: Masking) -> None:
    """Raises CloudRefused or MaskingRequired where calls may not go to the profile."""
    if profile.residency == "local":
        return
    if residency == "local-only":
        raise CloudRefused(name=profile.name)
    if residency == "cloud-masked" and masking == "never":
        raise MaskingRequired(name=profile.name)


def is_masked(profile: Profile, masking: Masking) -> bool:
    """Whether personal data is replaced before it is sent to the profile."""
    return masking == "always" or (masking == "cloud" and profile.residency == "cloud")
