"""The gate of an installation: a request that leaves the machine or has a price is written down before it is sent."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from appliance import metrics
from appliance.config import Settings
from appliance.engines.language.profiles import Profile, check_allowed
from appliance.engines.language.transport import Exchange
from appliance.errors import ApplianceError, EngineError
from appliance.pipeline.providers import Chosen, chosen
from appliance.store import audit, db, language

Purpose = Literal["analysis", "reanalysis", "test", "evaluation"]
"""analysis: by the chosen profile alone. The others: by one that somebody named."""

SHORT_WAIT_S = 1.0


def day_began(settings: Settings) -> datetime:
    """Midnight in the site's time zone."""
    zone = ZoneInfo(settings.site_timezone)
    return datetime.combine(datetime.now(zone).date(), time(), zone)


class Ledger:
    """See Gate. Holds for one chosen profile; cheap to make."""

    def __init__(self, settings: Settings, on_whose_word: Chosen) -> None:
        self._settings = settings
        self._chosen = on_whose_word

    def permit(self, exchange: Exchange) -> None:
        """Check, reserve the cost and write the request down: all committed before a byte is sent.

        Raises CloudRefused, MaskingRequired; EngineError llm_switched, llm_cost_cap.
        """
        profile = exchange.profile
        check_allowed(profile, self._settings.data_residency, self._settings.mask_pii)
        if not (exchange.leaves or profile.price_input or profile.price_output):
            return
        with db.unit_of_work() as session:
            if exchange.purpose == "analysis":
                self._check_still_chosen(session, profile)
            reserved = self._reserve(session, exchange)
            exchange.ticket = language.begin_request(
                session,
                profile=profile.name,
                model=profile.model,
                host=exchange.host,
                purpose=exchange.purpose,
                call_id=exchange.call_id,
                leaves=exchange.leaves,
                chosen_by_id=self._chosen.by,
                masked=dict(exchange.masked),
                bytes_sent=exchange.bytes_sent,
                reserved_cost=reserved,
            )
            if exchange.leaves:
                self._audit(session, exchange)

    def _audit(self, session: Session, exchange: Exchange) -> None:
        profile = exchange.profile
        details: dict[str, audit.Detail] = {
            "profile": profile.name,
            "model": profile.model,
            "host": exchange.host,
            "bytes": exchange.bytes_sent,
            "masked": sum(exchange.masked.values()),
        }
        user_id, call_id = self._chosen.by, exchange.call_id
        audit.append(session, "llm_request_sent", user_id=user_id, call_id=call_id, details=details)

    def _check_still_chosen(self, session: Session, profile: Profile) -> None:
        """What an admin switched off while the call waited its turn is not sent to any more."""
        try:
            still = chosen(self._settings, session).profile == profile
        except ApplianceError:
            still = False
        if not still:
            message = "another profile was chosen before the request was sent"
            raise EngineError("llm_switched", message, retryable=True, wait_s=SHORT_WAIT_S)

    def _reserve(self, session: Session, exchange: Exchange) -> float:
        """The most that the request can cost, where the day's cap has room for it."""
        profile, most = exchange.profile, exchange.most_cost
        if profile.daily_cost_cap is None:
            return most
        language.one_payer_at_a_time(session, profile.name)
        today = day_began(self._settings)
        if language.spent(session, today).get(profile.name, 0.0) + most > profile.daily_cost_cap:
            tomorrow = today + timedelta(days=1)
            wait_s = max(SHORT_WAIT_S, (tomorrow - datetime.now(tomorrow.tzinfo)).total_seconds())
            message = f"the day's cap of {profile.daily_cost_cap:g} USD is reached"
            raise EngineError("llm_cost_cap", message, retryable=True, wait_s=wait_s)
        return most

    def done(self, exchange: Exchange) -> None:
        """Put what it did cost in the place of what was reserved; where nobody said, what was reserved counts."""
        profile = exchange.profile.name
        metrics.LLM_TOKENS.labels(profile, "prompt").inc(exchange.prompt_tokens)
        metrics.LLM_TOKENS.labels(profile, "completion").inc(exchange.completion_tokens)
        metrics.LLM_COST.labels(profile).inc(exchange.charged)
        if exchange.ticket is None:
            return
        with db.unit_of_work() as session:
            language.end_request(
                session,
                exchange.ticket,
                bytes_received=exchange.bytes_received,
                prompt_tokens=exchange.prompt_tokens,
                completion_tokens=exchange.completion_tokens,
                cost=exchange.cost,
                outcome=exchange.outcome,
            )
