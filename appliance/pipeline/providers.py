"""Who analyses: asked anew for every call, so that a choice holds in every worker from the next call on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import SecretStr, ValidationError
from sqlalchemy.orm import Session

from appliance.config import Settings
from appliance.engines.language.profiles import BUILTIN, LEAST_CONTEXT, Profile, check_allowed, profile_named
from appliance.errors import ApplianceError
from appliance.models import LlmProfile
from appliance.store import db, language, sealing

if TYPE_CHECKING:  # the openai package is slow to import
    from appliance.engines.language.endpoint import Endpoint


class ProfileUnusable(ApplianceError):
    """A stored profile cannot be read: it was put there by hand, or its key was sealed with another secret."""

    code = "llm_profile_unusable"
    status = 422
    ru = "Профиль {name} испорчен или его ключ зашифрован другим JWT_SECRET: сохраните профиль заново"
    en = "The profile {name} is damaged, or its key was sealed with another JWT_SECRET: save the profile anew"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The profile that analyses. `by` is the user who chose it; None: the environment or the command line."""

    profile: Profile
    by: UUID | None = None
    at: datetime | None = None


def of_environment(settings: Settings) -> dict[str, Profile]:
    """The provider profiles that the settings describe."""
    tokenizer = Path(settings.vllm_weights) / "tokenizer.json"
    common = {"timeout_s": settings.llm_timeout_s, "parallel": settings.llm_parallel}
    return {
        "builtin": BUILTIN,
        "local": Profile(
            name="local",
            residency="local",
            base_url=settings.local_llm_url,
            api_key=settings.local_llm_api_key,
            model=settings.local_llm_model,
            context_tokens=max(LEAST_CONTEXT, settings.vllm_context)
            if settings.vllm_weights
            else settings.local_llm_context,
            tokenizer=str(tokenizer) if settings.vllm_weights and tokenizer.is_file() else "",
            **common,
        ),
        "openai": Profile(
            name="openai",
            residency="cloud",
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key,
            model=settings.openai_model,
            context_tokens=128_000,
            answer_tokens=settings.openai_answer_tokens,
            answer_limit="max_completion_tokens",
            temperature=settings.openai_temperature,
            price_input=settings.openai_price_input,
            price_output=settings.openai_price_output,
            daily_cost_cap=settings.openai_daily_cost_cap,
            **common,
        ),
    }


def opened(row: LlmProfile) -> Profile:
    """A stored profile with its key. Raises ProfileUnusable."""
    try:
        key = sealing.unseal(row.sealed_key) if row.sealed_key else ""
        return Profile(**{**row.definition, "name": row.name, "api_key": SecretStr(key)})
    except (sealing.Unsealable, ValidationError, TypeError):
        raise ProfileUnusable(name=row.name) from None


def known(settings: Settings, session: Session, names: Sequence[str] | None = None) -> dict[str, Profile]:
    """The profiles of the environment and of the database; a stored one cannot take the name of the environment's.

    names: these only, so that one damaged profile is no obstacle for the others. Raises ProfileUnusable.
    """
    stored = [row for row in language.profiles(session) if names is None or row.name in names]
    return {**{row.name: opened(row) for row in stored}, **of_environment(settings)}


def chosen_name(settings: Settings, session: Session) -> str:
    """The name of the profile that analyses the next call, whether there is such a profile or not."""
    choice = language.choice(session)
    return choice.profile if choice else settings.llm_provider


def chosen(settings: Settings, session: Session) -> Chosen:
    """Who analyses the next call, allowed or not. Raises UnknownProvider, ProfileUnusable."""
    choice, name = language.choice(session), chosen_name(settings, session)
    profile = profile_named(known(settings, session, [name]), name)
    return Chosen(profile, choice.chosen_by_id, choice.chosen_at) if choice else Chosen(profile)


class Providers:
    """The chosen profile and the open endpoints of one process. Safe to use from many threads.

    stored: whether there is a database that knows more profiles and the admins' choice.
    """

    def __init__(self, settings: Settings, *, stored: bool) -> None:
        self._settings = settings
        self._stored = stored
        self._lock = threading.Lock()
        self._open: dict[str, Endpoint] = {}

    def active(self) -> Chosen:
        """Who analyses the next call. Raises UnknownProvider, ProfileUnusable, CloudRefused, MaskingRequired."""
        if self._stored:
            with db.unit_of_work() as session:
                found = chosen(self._settings, session)
        else:
            name = self._settings.llm_provider
            found = Chosen(profile_named(of_environment(self._settings), name))
        check_allowed(found.profile, self._settings.data_residency, self._settings.mask_pii)
        return found

    def named(self, name: str, by: UUID | None) -> Chosen:
        """A profile that somebody named for an order of his own. Raises as `active` does."""
        with db.unit_of_work() as session:
            profile = profile_named(known(self._settings, session, [name]), name)
        check_allowed(profile, self._settings.data_residency, self._settings.mask_pii)
        return Chosen(profile, by)

    def endpoint(self, profile: Profile) -> Endpoint:
        """The profile's endpoint, with the breaker and the places in flight that its calls share.

        A profile that was changed gets a new one; requests in flight end at the old one.
        """
        from appliance.engines.language.endpoint import Endpoint

        with self._lock:
            open_one = self._open.get(profile.name)
            if open_one is None or open_one.profile != profile:
                open_one = self._open[profile.name] = Endpoint(profile)
            return open_one
