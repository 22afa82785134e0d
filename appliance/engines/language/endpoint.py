"""One profile's endpoint: requests with a deadline, retries, a bound on how many are in flight, and a breaker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx2
import openai
from openai.types.chat import ChatCompletion
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from appliance.engines.language.profiles import Profile
from appliance.engines.language.transport import CountedTransport, Exchange, Gate, exchanging, socket_of
from appliance.errors import EngineError

BREAK_AFTER = 5
"""So many failures of the endpoint in a row, by any call, open its breaker."""

BREAK_S = 20.0
"""How long an open breaker lets nobody through; then one request tries."""

LONGEST_WAIT_S = 3600.0

BACK_OFF = wait_random_exponential(multiplier=0.5, max=15)


class Breaker:
    """Keeps calls from queueing at an endpoint that is down.

    Own code: the known library holds a lock while the guarded call runs, which would let one request through at a time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_at = 0.0

    def enter(self) -> None:
        """Raises EngineError where the breaker is open."""
        with self._lock:
            left = self._closed_at - time.monotonic()
            if self._failures >= BREAK_AFTER and left > 0:
                raise EngineError("llm_unavailable", "the endpoint has been failing", retryable=True, wait_s=left)
            if self._failures >= BREAK_AFTER:
                self._closed_at = time.monotonic() + BREAK_S  # this one tries, the others go on waiting

    def record(self, *, failed: bool) -> None:
        with self._lock:
            self._failures = self._failures + 1 if failed else 0
            if self._failures == BREAK_AFTER:
                self._closed_at = time.monotonic() + BREAK_S


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: messages and the schema of the answer."""

    messages: list[dict[str, str]]
    name: str
    schema: dict[str, Any]
    answer_tokens: int


class Endpoint:
    """Safe to use from many threads; kept for as long as its profile stays the same."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.breaker = Breaker()
        self._places = threading.BoundedSemaphore(profile.parallel)
        self._client = openai.OpenAI(
            base_url="http://localhost/v1" if socket_of(profile.base_url) else profile.base_url,
            api_key=profile.api_key.get_secret_value() or "-",
            max_retries=0,
            # No proxy of the environment and no redirect: a request goes where the profile says or nowhere.
            http_client=httpx2.Client(transport=CountedTransport(profile), trust_env=False, follow_redirects=False),
        )

    def ask(
        self,
        question: Question,
        exchange_of: Callable[[float], Exchange],
        gate: Gate,
        pause: Callable[[float], None] = time.sleep,
        *,
        retries: bool = True,
    ) -> ChatCompletion:
        """Ask, again after failures that may pass, until the profile's deadline.

        exchange_of: a new Exchange for a deadline (monotonic). pause: sleeps; may raise, which ends the asking.
        Raises EngineError: llm_unavailable, llm_rate_limited, llm_misconfigured (all three wait), llm_context_exceeded,
        llm_rejected, llm_answer_oversized.
        """
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, EngineError) and error.code in PASSING),
            wait=_wait,
            stop=stop_before_delay(self.profile.timeout_s) if retries else stop_after_attempt(1),
            sleep=pause,
            reraise=True,
        )
        deadline = time.monotonic() + self.profile.timeout_s
        completion: ChatCompletion = retrying(self._once, question, exchange_of, gate, deadline)
        return completion

    def _once(
        self, question: Question, exchange_of: Callable[[float], Exchange], gate: Gate, deadline: float
    ) -> ChatCompletion:
        if not self._places.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise EngineError("llm_busy", "every place in flight is taken", retryable=True, wait_s=0)
        try:
            return self._sent(question, exchange_of(deadline), gate)
        finally:
            self._places.release()

    def _sent(self, question: Question, exchange: Exchange, gate: Gate) -> ChatCompletion:
        self.breaker.enter()
        try:
            with exchanging(exchange, gate):
                completion = self._create(question, max(1.0, exchange.deadline - time.monotonic()))
            if completion.usage:
                exchange.prompt_tokens = completion.usage.prompt_tokens
                exchange.completion_tokens = completion.usage.completion_tokens
                exchange.counted = True
            exchange.outcome = "answered"
        except EngineError as error:
            exchange.outcome = error.code
            if exchange.permitted or error.code in PASSING:  # what was refused here says nothing of the endpoint
                self.breaker.record(failed=error.code in PASSING)
            raise
        except Exception:
            exchange.outcome = "failed"
            raise
        finally:
            if exchange.permitted:
                gate.done(exchange)
        self.breaker.record(failed=False)
        return completion

    def _create(self, question: Question, timeout_s: float) -> ChatCompletion:
        profile, messages = self.profile, cast("Any", question.messages)
        schema: Any = {"name": question.name, "strict": True, "schema": question.schema}
        try:
            return self._client.chat.completions.create(
                model=profile.model,
                messages=messages,
                response_format={"type": "json_schema", "json_schema": schema},
                temperature=openai.omit if profile.temperature is None else profile.temperature,
                seed=0,
                stream=False,
                timeout=timeout_s,
                extra_body={profile.limit_parameter: question.answer_tokens},
            )
        except openai.APIStatusError as error:
            raise _status(error) from None
        except openai.APIResponseValidationError:
            raise EngineError("llm_answer_invalid", "the endpoint's answer is not a completion") from None
        except openai.APIConnectionError as error:
            if error.__cause__ and not isinstance(error.__cause__, httpx2.HTTPError | OSError):
                raise error.__cause__ from None  # ours, not the network's
            kind = "no answer in time" if isinstance(error, openai.APITimeoutError) else "no connection"
            raise EngineError("llm_unavailable", kind, retryable=True, wait_s=0) from None
        except ValueError:
            raise EngineError("llm_unavailable", "the answer is not JSON", retryable=True, wait_s=0) from None


PASSING = frozenset({"llm_unavailable", "llm_rate_limited"})
"""Failures of the endpoint that may pass while a call waits for its answer."""


def _status(error: openai.APIStatusError) -> EngineError:
    status, said = error.status_code, f"the endpoint answered {error.status_code}"
    wait_s = _retry_after(error.response.headers.get("retry-after")) or 0.0
    if status in {402, 429} and "insufficient_quota" in str(error.code or ""):
        return EngineError(
            "llm_misconfigured", "the endpoint's quota is used up", retryable=True, wait_s=LONGEST_WAIT_S
        )
    if status in {408, 409, 429}:
        return EngineError("llm_rate_limited", said, retryable=True, wait_s=wait_s)
    if status >= 500:
        return EngineError("llm_unavailable", said, retryable=True, wait_s=wait_s)
    look = _to_look_at(error)
    if look:
        return EngineError("llm_misconfigured", f"{said}: see {look}", retryable=True, wait_s=wait_s)
    about_length = "context length" in error.message.lower() or "maximum context" in error.message.lower()
    if status in {400, 413, 422} and (error.code == "context_length_exceeded" or about_length or status == 413):
        return EngineError("llm_context_exceeded", "the request is longer than the model's context")
    return EngineError("llm_rejected", said)


def _to_look_at(error: openai.APIStatusError) -> str:
    """What of the profile an administrator should look at; empty where the profile is not to blame."""
    if error.status_code in {300, 301, 302, 303, 307, 308, 401, 403, 404, 405}:
        return "address, key and model"
    if error.status_code == 400 and error.code in {"unsupported_parameter", "unsupported_value"}:
        return "answer_limit and temperature, the model takes others"
    return ""


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S)


def _wait(state: RetryCallState) -> float:
    """The longer of a jittered back-off and what the endpoint asked for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_s if isinstance(error, EngineError) else None
    return max(BACK_OFF(state), asked or 0.0)
