"""Analysis by a language model behind an OpenAI-compatible endpoint: GPT-4o, vLLM or any other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import openai
import yaml
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliance.engines.language import Analysis, AnalysisRecord, Conversation
from appliance.engines.language.limits import TOPICS, consistent_score, distinct, shorten
from appliance.errors import EngineError

PROMPTS = Path(__file__).parent.parent / "prompts" / "analysis.yaml"
ACTION_ITEMS = 20


class Answer(BaseModel):
    """What the model is asked for. The schema is strict; the limits that models miscount are enforced afterwards."""

    model_config = ConfigDict(extra="forbid")

    sentiment: Literal["positive", "negative", "neutral"]
    sentiment_score: float = Field(ge=-1, le=1)
    topics: list[str]
    intents: list[str]
    summary: str = Field(min_length=1)
    action_items: list[str]
    language: str = Field(pattern="^[a-z]{2}$")


@lru_cache
def prompts() -> dict[str, Any]:
    """The prompt set."""
    loaded: dict[str, Any] = yaml.safe_load(PROMPTS.read_text(encoding="utf-8"))
    return loaded


class OpenAiCompatibleAnalyst:
    """One profile's analyst. Keeps one client, which is safe to use from many threads."""

    def __init__(self, provider: str, base_url: str, api_key: str, model: str, timeout_s: float) -> None:
        self.provider = provider
        self.model = model
        self._client = openai.OpenAI(base_url=base_url, api_key=api_key, timeout=timeout_s, max_retries=2)

    def analyse(self, conversation: Conversation, *, topics: Sequence[str] = ()) -> AnalysisRecord:
        """Ask, validate, and ask once more with the error where the answer does not fit the schema.

        Raises EngineError: llm_unavailable (retryable), llm_refused, llm_answer_invalid, llm_rejected.
        """
        messages = self._messages(conversation, topics)
        completion = self._ask(messages)
        used = [completion]
        try:
            answer = parse(completion)
        except ValidationError as error:
            problem = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
            messages += [
                {"role": "assistant", "content": completion.choices[0].message.content or ""},
                {"role": "user", "content": prompts()["repair"].format(problem=problem)},
            ]
            used.append(self._ask(messages))
            try:
                answer = parse(used[-1])
            except ValidationError as again:
                fields = ", ".join(".".join(map(str, e["loc"])) for e in again.errors()[:5])
                raise EngineError("llm_answer_invalid", f"the answer does not fit the schema: {fields}") from None
        return AnalysisRecord(
            analysis=within_limits(answer),
            provider=self.provider,
            model=completion.model or self.model,
            prompt_version=str(prompts()["version"]),
            prompt_tokens=sum(c.usage.prompt_tokens for c in used if c.usage),
            completion_tokens=sum(c.usage.completion_tokens for c in used if c.usage),
        )

    def _messages(self, conversation: Conversation, topics: Sequence[str]) -> list[dict[str, str]]:
        texts = prompts()
        lines = [json.dumps([u.id, u.speaker, u.text], ensure_ascii=False) for u in conversation.utterances]
        system = texts["system"].format(
            topics=", ".join(topics or texts["topics"]), intents=", ".join(texts["intents"])
        )
        user = texts["user"].format(
            direction=conversation.direction, language=conversation.language, transcript="\n".join(lines)
        )
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def _ask(self, messages: Any) -> ChatCompletion:
        schema: Any = {"name": "call_analysis", "strict": True, "schema": Answer.model_json_schema()}
        try:
            completion: ChatCompletion = self._client.chat.completions.create(
                model=self.model,
                messages=messages,
                response_format={"type": "json_schema", "json_schema": schema},
                temperature=0,
                seed=0,
                max_tokens=2000,
            )
        except (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError) as error:
            raise EngineError("llm_unavailable", type(error).__name__, retryable=True) from None
        except openai.APIStatusError as error:
            raise EngineError("llm_rejected", f"the endpoint answered {error.status_code}") from None
        if not completion.choices:
            raise EngineError("llm_answer_invalid", "the answer is empty", retryable=True)
        choice = completion.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            raise EngineError("llm_refused", "the model refused to analyse the call")
        return completion


def parse(completion: ChatCompletion) -> Answer:
    """The answer that a completion holds. Raises ValidationError, also for one that was cut off."""
    return Answer.model_validate_json(completion.choices[0].message.content or "")


def within_limits(answer: Answer) -> Analysis:
    """The answer with the contract's limits: 5 topics, 120 words, a score that agrees with its label."""
    return Analysis(
        sentiment=answer.sentiment,
        sentiment_score=consistent_score(answer.sentiment, answer.sentiment_score),
        topics=distinct(answer.topics, TOPICS),
        intents=distinct(answer.intents, TOPICS),
        summary=shorten(answer.summary),
        action_items=distinct(answer.action_items, ACTION_ITEMS),
        language=answer.language,
    )
