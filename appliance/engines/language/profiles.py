"""Provider profiles: who analyses calls, and whether their words leave the building."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from appliance.engines.language import Analyst
from appliance.errors import ApplianceError


@dataclass(frozen=True, slots=True)
class Profile:
    """One provider. `builtin` has no endpoint; `context_tokens` is what fits into one request."""

    name: str
    residency: Literal["local", "cloud"]
    base_url: str = ""
    api_key: str = ""
    model: str = ""
    context_tokens: int = 32_768
    timeout_s: float = 120
    price_input: float = 0
    price_output: float = 0

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars, by the profile's prices per million tokens."""
        return (prompt_tokens * self.price_input + completion_tokens * self.price_output) / 1e6


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


def profile_named(profiles: Mapping[str, Profile], name: str) -> Profile:
    """The profile of a name. Raises UnknownProvider."""
    if name not in profiles:
        raise UnknownProvider(name=name)
    return profiles[name]


def open_analyst(profiles: Mapping[str, Profile], name: str, data_residency: str) -> Analyst:
    """The analyst of a profile. Raises UnknownProvider, and CloudRefused where residency forbids the profile."""
    profile = profile_named(profiles, name)
    if profile.residency == "cloud" and data_residency != "cloud-allowed":
        raise CloudRefused(name=name)
    if profile.name == "builtin":
        from appliance.engines.language.builtin import BuiltinAnalyst

        return BuiltinAnalyst()
    from appliance.engines.language.openai_compatible import OpenAiCompatibleAnalyst

    return OpenAiCompatibleAnalyst(profile.name, profile.base_url, profile.api_key, profile.model, profile.timeout_s)
