"""Analysis by a language model behind an OpenAI-compatible endpoint: GPT-4o, vLLM or any other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pydantic import BaseModel

from appliance.engines.language import Analysis, AnalysisRecord, Conversation, Speaker, Used, Utterance, sides
from appliance.engines.language.answer import (
    Answer,
    AnswerUnfit,
    JoinedSummary,
    SummarisedT,
    analysis_of,
    parse,
    schema_of,
)
from appliance.engines.language.endpoint import Endpoint, Question
from appliance.engines.language.limits import shorten
from appliance.engines.language.parts import in_brief, merge, split
from appliance.engines.language.prompts import prompts
from appliance.engines.language.tokens import counter
from appliance.engines.language.transport import Exchange, Sending
from appliance.errors import EngineError

ANSWER_SHARE = 0.35
"""An answer is given the profile's answer_tokens, and no more than this share of a small context."""

MARGIN = 64
"""Tokens that chat templates add."""

NO_JOIN = frozenset({"llm_answer_invalid", "llm_answer_wrong_language", "llm_answer_truncated", "llm_context_exceeded"})
"""Failures of a joined summary, in whose place each part's stands in brief."""

HALVINGS = 6
"""How often the parts are halved where the endpoint says that a request was too long after all."""


class Masked(Protocol):
    """A conversation whose personal data is replaced, and the way back."""

    @property
    def conversation(self) -> Conversation: ...

    @property
    def counts(self) -> Mapping[str, int]:
        """How many were replaced, by kind."""
        ...

    def restored(self, value: Any) -> Any:
        """A JSON value with the personal data put back into its strings."""
        ...

    def invents(self, value: Any) -> bool:
        """Whether a string of a JSON value holds a placeholder that stands for nothing."""
        ...


class OpenAiCompatibleAnalyst:
    """One call's analyst over a profile's endpoint. See Analyst."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        mask: Callable[[Conversation], Masked] | None = None,
        sending: Sending | None = None,
    ) -> None:
        self.provider = endpoint.profile.name
        self.model = endpoint.profile.model
        self._endpoint = endpoint
        self._mask = mask
        self._sending = sending or Sending()
        self._exchanges: list[Exchange] = []
        self._answered_by = ""
        self._masked: Masked | None = None
        self._tokens = counter(endpoint.profile.tokenizer)
        self._context_tokens = endpoint.profile.context_tokens
        self._largest = 0

    def analyse(self, conversation: Conversation, *, topics: Sequence[str] = ()) -> AnalysisRecord:
        """Ask, validate, and ask once more with the error where the answer does not fit.

        Raises EngineError: those of Endpoint.ask, llm_refused, llm_answer_truncated, llm_answer_invalid,
        llm_answer_wrong_language, llm_context_too_small.
        """
        self._exchanges, self._masked = [], self._mask(conversation) if self._mask else None
        sent = self._masked.conversation if self._masked else conversation
        # Put back at the very end: what the parts came to is sent once more, to be joined.
        answer = Answer.model_validate(self._restored(self._within_context(sent, topics).model_dump()))
        analysis: Analysis = analysis_of(answer, conversation, topics)
        used = self.used
        return AnalysisRecord(
            analysis=replace(analysis, language=conversation.language or analysis.language),
            provider=self.provider,
            model=self._answered_by or self.model,
            prompt_version=prompts().version,
            prompt_tokens=used.prompt_tokens,
            completion_tokens=used.completion_tokens,
            cost=used.cost,
            requests=used.requests,
            masked=dict(self._masked.counts) if self._masked else {},
        )

    def manager_of(self, conversation: Conversation) -> Speaker | None:
        """See Analyst: one question, and no second one where its answer is of no use.

        Raises EngineError: those of Endpoint.ask, llm_refused.
        """
        self._exchanges, self._masked = [], self._mask(conversation) if self._mask else None
        sent = self._masked.conversation if self._masked else conversation
        asked = sides.question(sent, self._context_tokens - self._answer_tokens - MARGIN, self._tokens)
        content, _ = self._ask(asked, sides.SidesAnswer, self._answer_tokens, sent.language)
        return sides.manager_in(content, sent)

    @property
    def used(self) -> Used:
        """See Analyst."""
        return Used(
            requests=sum(exchange.outcome == "answered" for exchange in self._exchanges),
            prompt_tokens=sum(exchange.prompt_tokens for exchange in self._exchanges),
            completion_tokens=sum(exchange.completion_tokens for exchange in self._exchanges),
            cost=sum(exchange.charged for exchange in self._exchanges),
        )

    def _within_context(self, conversation: Conversation, topics: Sequence[str]) -> Answer:
        for _ in range(HALVINGS):
            try:
                return self._whole(conversation, topics)
            except EngineError as error:
                if error.code != "llm_context_exceeded":
                    raise
                # Our count was too low, or the server's context is smaller than the profile says.
                self._context_tokens = min(self._context_tokens, self._largest) // 2
        raise EngineError("llm_context_too_small", "the model's context does not hold even a small part of a call")

    def _whole(self, conversation: Conversation, topics: Sequence[str]) -> Answer:
        empty = self._messages(replace(conversation, utterances=()), topics, "")
        answer_tokens = self._answer_tokens
        room = self._context_tokens - answer_tokens - MARGIN - sum(self._tokens(m["content"]) for m in empty)
        # A repair repeats the answer: it needs the room of one more, and is sent without it where there is none.
        parts = split(conversation.utterances, room, lambda utterance: self._tokens(_line(utterance)) + 1)
        answers = []
        for number, part in enumerate(parts, 1):
            which = prompts().part.format(number=number, total=len(parts)) if len(parts) > 1 else ""
            messages = self._messages(replace(conversation, utterances=part), topics, which)
            answers.append(self._answered(messages, Answer, answer_tokens, conversation.language))
        if len(answers) == 1:
            return answers[0]
        return merge(answers, self._joined([answer.summary for answer in answers], conversation.language))

    @property
    def _answer_tokens(self) -> int:
        return min(self._endpoint.profile.answer_tokens, int(self._context_tokens * ANSWER_SHARE))

    def _joined(self, summaries: Sequence[str], language: str) -> str:
        """One summary of the parts' summaries, in rounds of as many as fit; where the model cannot, each in brief."""
        left = [shorten(summary) for summary in summaries]
        try:
            while len(left) > 1:
                asked = self._fitting(left, language)
                if len(asked) == len(left):
                    break
                left = [self._join(some, language) for some in asked]
        except EngineError as error:
            if error.code not in NO_JOIN:
                raise
        return left[0] if len(left) == 1 else in_brief([self._restored(summary) for summary in summaries])

    def _fitting(self, summaries: Sequence[str], language: str) -> list[list[str]]:
        """Neighbours together, as many as fit into one request."""
        room = self._context_tokens - self._answer_tokens - 2 * MARGIN  # the second one is for the words of a repair
        groups: list[list[str]] = []
        for summary in summaries:
            if groups and self._tokens(_join_of([*groups[-1], summary], language)) <= room:
                groups[-1].append(summary)
            else:
                groups.append([summary])
        return groups

    def _join(self, summaries: Sequence[str], language: str) -> str:
        if len(summaries) == 1:
            return summaries[0]
        asked = [{"role": "user", "content": _join_of(summaries, language)}]
        return shorten(self._answered(asked, JoinedSummary, self._answer_tokens, language).summary)

    def _messages(self, conversation: Conversation, topics: Sequence[str], part: str) -> list[dict[str, str]]:
        texts = prompts()
        system = texts.system.format(
            topics=", ".join(topics or texts.topics_in(conversation.language)), intents=", ".join(texts.intents)
        )
        user = texts.user.format(
            direction=conversation.direction,
            language=conversation.language,
            part=part,
            transcript="\n".join(_line(utterance) for utterance in conversation.utterances),
        )
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def _answered(
        self, messages: list[dict[str, str]], shape: type[SummarisedT], answer_tokens: int, language: str
    ) -> SummarisedT:
        content, cut_off = self._ask(messages, shape, answer_tokens, language)
        try:
            return self._read(content, shape, language)
        except AnswerUnfit as unfit:
            problem = "it was cut off, be shorter" if cut_off else str(unfit)
        repair = {"role": "user", "content": prompts().repair.format(problem=problem)}
        repeated = [*messages, {"role": "assistant", "content": content}, repair]
        size = sum(self._tokens(message["content"]) for message in repeated)
        if not content.strip() or size + answer_tokens + MARGIN > self._context_tokens:
            repeated = [*messages[:-1], {"role": "user", "content": f"{messages[-1]['content']}\n{repair['content']}"}]
        content, cut_off = self._ask(repeated, shape, answer_tokens, language)
        try:
            return self._read(content, shape, language)
        except AnswerUnfit as unfit:
            if cut_off:
                raise EngineError("llm_answer_truncated", "the answer was cut off twice") from None
            raise EngineError(unfit.code, f"the answer cannot be used: {unfit}") from None

    def _read(self, content: str, shape: type[SummarisedT], language: str) -> SummarisedT:
        """The answer as it came, still masked. Raises AnswerUnfit."""
        answer = parse(shape, content, language, self._restored)
        if self._masked and self._masked.invents(answer.model_dump()):
            raise AnswerUnfit("a placeholder such as [NAME_1] is not one of those in the text: copy them as they are")
        return answer

    def _restored(self, value: Any) -> Any:
        return self._masked.restored(value) if self._masked else value

    def _ask(
        self, messages: list[dict[str, str]], shape: type[BaseModel], answer_tokens: int, language: str
    ) -> tuple[str, bool]:
        """The text of the answer and whether it was cut off. Raises EngineError."""
        profile, sending = self._endpoint.profile, self._sending
        bounded = profile.residency == "local"
        question = Question(messages, "call_analysis", schema_of(shape, language, bounded=bounded), answer_tokens)
        size = sum(self._tokens(message["content"]) for message in messages)
        self._largest = max(self._largest, size + answer_tokens)
        masked = self._masked.counts if self._masked else {}

        def exchange_of(deadline: float) -> Exchange:
            made = Exchange(profile, sending.call_id, sending.purpose, masked, size, answer_tokens, deadline)
            self._exchanges.append(made)
            return made

        completion = self._endpoint.ask(question, exchange_of, sending.gate, sending.pause, retries=sending.retries)
        self._answered_by = completion.model
        if not completion.choices:
            return "", False
        choice = completion.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            raise EngineError("llm_refused", "the model refused to analyse the call")
        return choice.message.content or "", choice.finish_reason == "length"


def _join_of(summaries: Sequence[str], language: str) -> str:
    listed = "\n".join(json.dumps(summary, ensure_ascii=False) for summary in summaries)
    return prompts().join.format(language=language, summaries=listed)


def _line(utterance: Utterance) -> str:
    """One line of the transcript as the model reads it: JSON, so that nothing said can end the line or the data."""
    parts: Any = [utterance.id, utterance.speaker, utterance.text]
    return json.dumps(parts, ensure_ascii=False)
