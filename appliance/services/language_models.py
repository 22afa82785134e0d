"""Who analyses: shown, chosen, tried out; profiles added, changed and removed by admins."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.orm import Session

from appliance import logs
from appliance.config import Settings, settings
from appliance.engines.language import Conversation, Used, Utterance
from appliance.engines.language.profiles import Profile, check_allowed, profile_named
from appliance.engines.language.transport import check_place
from appliance.errors import ApplianceError, EngineError
from appliance.models import LlmRequest
from appliance.pipeline import analyse
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.ledger import day_began
from appliance.pipeline.providers import Chosen, ProfileUnusable, chosen, chosen_name, known, of_environment, opened
from appliance.store import audit, db, language, pipelines, reanalyses, sealing

log = logs.get(__name__)


class ProfileReserved(ApplianceError):
    code = "llm_profile_reserved"
    status = 422
    ru = "Профиль {name} задаётся настройками сервера и здесь не меняется"
    en = "The profile {name} is set by the server's settings and cannot be changed here"


class ProfileInUse(ApplianceError):
    code = "llm_profile_in_use"
    status = 409
    ru = "Профиль {name} сейчас анализирует звонки: сначала выберите другой"
    en = "The profile {name} analyses calls now: choose another one first"


class KeyNeeded(ApplianceError):
    code = "llm_key_needed"
    status = 422
    ru = "Адрес профиля {name} изменён: введите ключ заново"
    en = "The address of the profile {name} was changed: give the key anew"


@dataclass(frozen=True, slots=True)
class Shown:
    """A profile as admins see it. `refusal` says why calls may not go there; `spent_today` in US dollars."""

    profile: Profile
    source: str
    refusal: ApplianceError | None
    spent_today: float


@dataclass(frozen=True, slots=True)
class State:
    """Who analyses and who could. `damaged` names stored profiles that cannot be read."""

    active: str
    chosen_by: UUID | None
    chosen_at: datetime | None
    settings: Settings
    profiles: tuple[Shown, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a sample call, and what it took; `error` where there is no valid analysis."""

    profile: Profile
    latency_ms: int
    used: Used
    model: str = ""
    error: EngineError | None = None


def state() -> State:
    """Who analyses and who could, allowed or not."""
    with db.unit_of_work() as session:
        choice, active = language.choice(session), chosen_name(settings(), session)
        spent = language.spent(session, day_began(settings()))
        found = of_environment(settings())
        sources = dict.fromkeys(found, "environment")
        damaged = []
        for row in language.profiles(session):
            try:
                found.setdefault(row.name, opened(row))
                sources.setdefault(row.name, "stored")
            except ProfileUnusable:
                damaged.append(row.name)
    shown = tuple(
        Shown(profile, sources[name], refusal_of(profile), spent.get(name, 0.0)) for name, profile in found.items()
    )
    return State(
        active=active,
        chosen_by=choice.chosen_by_id if choice else None,
        chosen_at=choice.chosen_at if choice else None,
        settings=settings(),
        profiles=shown,
        damaged=tuple(damaged),
    )


def refusal_of(profile: Profile) -> ApplianceError | None:
    """Why calls may not go to a profile; None where they may."""
    try:
        check(profile)
    except ApplianceError as error:
        return error
    return None


def check(profile: Profile) -> None:
    """Raises CloudRefused, MaskingRequired, NotLocal."""
    check_allowed(profile, settings().data_residency, settings().mask_pii)
    check_place(profile)


def change(by: UUID | None, active: str | None, wanted: Mapping[str, Mapping[str, Any] | None]) -> State:
    """Add, change or (None) remove stored profiles, then choose who analyses; all of it or nothing.

    by: the admin; None: the operator at the command line. Calls that wait for their provider are looked at again.
    Raises ProfileReserved, ProfileInUse, KeyNeeded, UnknownProvider, CloudRefused, MaskingRequired, NotLocal.
    """
    with db.unit_of_work() as session:
        language.one_change_at_a_time(session)
        for name, fields in wanted.items():
            _put(session, name, fields)
        current = active or chosen_name(settings(), session)
        if wanted.get(current, ...) is None:
            raise ProfileInUse(name=current)
        if active is not None:
            check(profile_named(known(settings(), session, [active]), active))
            language.choose(session, active, by)
        pipelines.wake(session, analyse.Analyse.name)
        reanalyses.wake(session)
        saved = sorted(name for name, fields in wanted.items() if fields is not None)
        details = {"active": current, "saved": saved, "removed": sorted(set(wanted) - set(saved))}
        audit.append(session, "llm_changed", user_id=by, details=details)
    log.info("llm_changed", by=str(by) if by else "operator", active=active, profiles=sorted(wanted))
    return state()


def _put(session: Session, name: str, fields: Mapping[str, Any] | None) -> None:
    if name in of_environment(settings()):
        raise ProfileReserved(name=name)
    if fields is None:
        profile_named({row.name: BLANK for row in language.profiles(session)}, name)
        language.remove_profile(session, name)
        return
    before = {row.name: row for row in language.profiles(session)}.get(name)
    given = dict(fields)
    key: SecretStr | None = given.pop("api_key", None)
    sealed = before.sealed_key if before else None
    if key is not None:
        sealed = sealing.seal(key.get_secret_value()) if key.get_secret_value() else None
    elif before and sealed and before.definition.get("base_url") != given.get("base_url"):
        raise KeyNeeded(name=name)  # or the key would be sent to whoever the new address is
    check(Profile(name=name, **given))
    language.save_profile(session, name, given, sealed)


BLANK = Profile(name="blank", residency="local")

SAMPLE = Conversation(
    utterances=(
        Utterance("0", "B", 0, 4000, "Автосалон, добрый день."),
        Utterance("1", "A", 4000, 9000, "Здравствуйте, хочу записаться на тест-драйв Лады Весты в субботу."),
        Utterance("2", "B", 9000, 14000, "Записал вас на субботу, на двенадцать часов. Ждём вас."),
        Utterance("3", "A", 14000, 16000, "Отлично, спасибо, до свидания."),
    ),
    language="ru",
    direction="incoming",
)
"""Invented: nobody's data."""

TRY_S = 30.0
"""An admin waits no longer than this for a sample call."""


def try_out(by: UUID | None, name: str | None) -> Tried:
    """Send an invented call to a profile, the chosen one where none is named. Audited as every other.

    Raises UnknownProvider, ProfileUnusable, CloudRefused, MaskingRequired, NotLocal.
    """
    with db.unit_of_work() as session:
        wanted = name or chosen(settings(), session).profile.name
        profile = profile_named(known(settings(), session, [wanted]), wanted)
    check(profile)
    brief = profile.model_copy(update={"timeout_s": min(TRY_S, profile.timeout_s)})
    began = time.monotonic()
    model, used, failure = "", Used(), None
    try:
        analyst = Equipment(settings()).analyst(Chosen(brief, by), call_id=None, purpose="test")
        try:
            model = analyst.analyse(SAMPLE).model
        finally:
            used = analyst.used
    except EngineError as error:
        failure = error
    return Tried(profile, round((time.monotonic() - began) * 1000), used, model, failure)


def left(since: datetime) -> Sequence[LlmRequest]:
    """Requests that left the machine since a moment, oldest first: never what they said."""
    with db.unit_of_work() as session:
        return language.left(session, since)
