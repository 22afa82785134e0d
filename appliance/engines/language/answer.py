"""What a language model is asked for: the one schema, how answers are checked against it, and what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from appliance.engines.language import Analysis, Conversation, Sentiment
from appliance.engines.language.claims import (
    Car,
    Credit,
    Details,
    NextContact,
    Objection,
    Outcome,
    Task,
    TradeIn,
)
from appliance.engines.language.limits import TOPICS, consistent_score, distinct, shorten, shorten_item
from appliance.engines.language.prompts import prompts
from appliance.engines.language.proofs import Proofs
from appliance.engines.language.script import is_in

ACTION_ITEMS = 10
CARS = OBJECTIONS = 5

LANGUAGE = re.compile("^[a-z]{2}$")
"""ISO 639-1; `und` and Whisper's codes of three letters are none, and no answer is held to them."""

FREE_FORM = ("maxLength", "minLength", "maxItems")
"""Bounds that OpenAI's strict mode refuses or ignores; a local server's grammar keeps to them."""


Topic = Annotated[str, WithJsonSchema({"type": "string", "maxLength": 40})]
Summary = Annotated[str, WithJsonSchema({"type": "string", "minLength": 10, "maxLength": 900})]
"""The shortest keeps a grammar from an empty one; nothing is refused for it."""


class AnswerUnfit(Exception):
    """The answer cannot be used; the message tells the model what to mend and holds none of its words.

    `code` is that of the failure where the second answer is no better.
    """

    code = "llm_answer_invalid"


class WrongLanguage(AnswerUnfit):
    """What people read is not in the language of the call."""

    code = "llm_answer_wrong_language"


class Answer(BaseModel):
    """What the model is asked for. Bounds that models miscount are in the schema and enforced afterwards."""

    model_config = ConfigDict(extra="forbid")

    language: str = Field(pattern=LANGUAGE.pattern)
    """First, so that a model has said it before it writes what people read."""
    sentiment: Sentiment
    sentiment_score: float = Field(ge=-1, le=1)
    topics: Annotated[list[Topic], Field(json_schema_extra={"maxItems": TOPICS})]
    intents: Annotated[list[str], Field(json_schema_extra={"maxItems": TOPICS})]
    summary: Summary
    tasks: Annotated[list[Task], Field(json_schema_extra={"maxItems": ACTION_ITEMS})]
    outcome: Outcome
    cars: Annotated[list[Car], Field(json_schema_extra={"maxItems": CARS})]
    trade_in: TradeIn | None
    credit: Credit | None
    objections: Annotated[list[Objection], Field(json_schema_extra={"maxItems": OBJECTIONS})]
    next_contact: NextContact | None


class JoinedSummary(BaseModel):
    """The summary of a call whose parts were analysed one by one."""

    model_config = ConfigDict(extra="forbid")

    summary: Summary


SummarisedT = TypeVar("SummarisedT", Answer, JoinedSummary)


@lru_cache
def schema_of(shape: type[BaseModel], language: str, *, bounded: bool) -> dict[str, Any]:
    """The JSON schema, strict as OpenAI asks for it, for a call in `language`.

    bounded: keeps the bounds that only local servers enforce.
    """
    schema = shape.model_json_schema()
    if shape is Answer:
        schema["properties"]["intents"]["items"] = {"type": "string", "enum": list(prompts().intents)}
        if LANGUAGE.match(language):
            schema["properties"]["language"] = {"type": "string", "enum": [language]}

    def strict(node: Any) -> Any:
        if isinstance(node, list):
            return [strict(part) for part in node]
        if not isinstance(node, dict):
            return node
        made = {
            key: {name: strict(part) for name, part in value.items()}
            if key in {"properties", "$defs"}
            else strict(value)
            for key, value in node.items()
            if key not in {"title", "default", "description"} and (bounded or key not in FREE_FORM)
        }
        if "properties" in made:
            made |= {"additionalProperties": False, "required": list(made["properties"])}
        return made

    done: dict[str, Any] = strict(schema)
    return done


def parse(shape: type[SummarisedT], content: str, language: str, shown: Callable[[str], str] = str) -> SummarisedT:
    """The answer in a model's text, for a call in `language`; `shown` gives the summary as people will read it.

    Raises AnswerUnfit, WrongLanguage.
    """
    answer = _fitting(shape, content)
    summary = shown(answer.summary)
    if not summary.strip():
        raise AnswerUnfit("summary: is empty")
    _check_language("summary", summary, language)
    if isinstance(answer, Answer):
        if LANGUAGE.match(language) and answer.language != language:
            raise WrongLanguage(f"language: is not that of the call ({language})")
        _check_language("tasks", shown(" ".join(task.text for task in answer.tasks)), language)
    return answer


def _check_language(field: str, text: str, language: str) -> None:
    """Raises WrongLanguage."""
    if not is_in(text, language):
        raise WrongLanguage(f"{field}: is not in the language of the call ({language})")


def _fitting(shape: type[SummarisedT], content: str) -> SummarisedT:
    """The text as an object of the shape. Raises AnswerUnfit with field names and reasons, without values."""
    if not content.strip():
        raise AnswerUnfit("the answer is empty")
    try:
        return shape.model_validate_json(content)
    except ValidationError as error:
        found = (f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors(include_input=False)[:5])
        raise AnswerUnfit("; ".join(found)) from None


def analysis_of(answer: Answer, conversation: Conversation, topics: Sequence[str]) -> Analysis:
    """The answer within the contract's limits: 5 topics, the site's `topics` first, 120 words, a score that agrees
    with its label, proofs.
    """
    proofs = Proofs(conversation.utterances)
    tasks = proofs.all_proven(answer.tasks, ACTION_ITEMS)
    own = {topic.casefold(): topic for topic in topics}
    known = {topic.casefold(): topic for topic in prompts().topics_in(conversation.language)} | own
    named = [known.get(topic.strip().casefold(), topic) for topic in answer.topics]
    details = Details(
        outcome=proofs.proven(answer.outcome),
        cars=proofs.all_proven(answer.cars, CARS),
        trade_in=proofs.proven(answer.trade_in),
        credit=proofs.proven(answer.credit),
        objections=proofs.all_proven(answer.objections, OBJECTIONS),
        next_contact=proofs.proven(answer.next_contact),
        tasks=tasks,
        claims=proofs.made,
        dropped_claims=proofs.dropped,
        warnings=("instructions_in_speech",) if speaks_to_a_model(conversation) else (),
    )
    return Analysis(
        sentiment=answer.sentiment,
        sentiment_score=consistent_score(answer.sentiment, answer.sentiment_score),
        topics=distinct(sorted(named, key=lambda topic: topic.casefold() not in own), TOPICS),
        intents=distinct([intent for intent in answer.intents if intent in prompts().intents], TOPICS),
        summary=shorten(answer.summary),
        action_items=distinct([shorten_item(task.text) for task in tasks], ACTION_ITEMS),
        language=answer.language,
        details=details,
    )


def speaks_to_a_model(conversation: Conversation) -> bool:
    """Whether somebody says what only a language model would obey ("ignore your instructions")."""
    said = " ".join(utterance.text for utterance in conversation.utterances).casefold().replace("ё", "е")
    return any(re.search(pattern, said) for pattern in prompts().injections)
