"""Which of two voices is the manager, asked of a language model: where channels, words and direction leave it open."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from appliance.engines.language import Conversation, Speaker, Utterance
from appliance.engines.language.prompts import prompts
from appliance.engines.language.proofs import plain

FEWEST_WORDS = 2
"""Of a quote: a "yes" proves nothing."""


class SidesAnswer(BaseModel):
    """What the model is asked for."""

    model_config = ConfigDict(extra="forbid")

    manager: Literal["1", "2", "unclear"]
    quote: str


def question(conversation: Conversation, room: int, tokens: Callable[[str], int]) -> list[dict[str, str]]:
    """The request's messages with the beginning of the call, as much as fits into so many tokens.

    Voices are numbered as they appear: A and B would tell the model what was guessed.
    """
    voices = voices_of(conversation.utterances)
    text = prompts().sides
    left, lines = room - tokens(text.format(direction=conversation.direction, transcript="")), list[str]()
    for utterance in conversation.utterances:
        line = json.dumps([utterance.id, str(voices.index(utterance.speaker) + 1), utterance.text], ensure_ascii=False)
        left -= tokens(line) + 1
        if left < 0:
            break
        lines.append(line)
    content = text.format(direction=conversation.direction, transcript="\n".join(lines))
    return [{"role": "user", "content": content}]


def manager_in(content: str, conversation: Conversation) -> Speaker | None:
    """Whom the answer takes for the manager; None where it does not say, or does not quote the manager's own words."""
    try:
        answer = SidesAnswer.model_validate_json(content)
    except ValidationError:
        return None
    voices, quote = voices_of(conversation.utterances), plain(answer.quote)
    if answer.manager == "unclear" or len(quote.split()) < FEWEST_WORDS or len(voices) < 2:
        return None
    named = voices[int(answer.manager) - 1]
    proven = any(quote in plain(said.text) for said in conversation.utterances if said.speaker == named)
    return named if proven else None


def voices_of(utterances: Sequence[Utterance]) -> list[Speaker]:
    """Who speaks, in the order in which they begin."""
    return list(dict.fromkeys(utterance.speaker for utterance in utterances))


def exchanged(conversation: Conversation) -> Conversation:
    """The same with client and manager exchanged."""
    said = (replace(said, speaker="B" if said.speaker == "A" else "A") for said in conversation.utterances)
    return replace(conversation, utterances=tuple(said))
