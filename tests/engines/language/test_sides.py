"""A language model is asked who the manager is, and believed where it proves it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from appliance.engines.language import Conversation, Speaker, Utterance, sides
from appliance.engines.language.builtin import BuiltinAnalyst
from appliance.engines.language.endpoint import Endpoint
from appliance.engines.language.masking import MaskedConversation
from appliance.engines.language.openai_compatible import OpenAiCompatibleAnalyst
from appliance.engines.language.profiles import Profile
from tests.llm.scripted import Scripted, says, serving, transcript_of

SAID: tuple[tuple[Speaker, str], ...] = (
    ("B", "Алло, это Иван Петрович Сидоров."),
    ("A", "Да, добрый день, посмотрел по базе, ваша машина стоит на подъёмнике."),
    ("B", "Понял, а когда приезжать?"),
    ("A", "К шести всё сделаем."),
)
CALL = Conversation(
    tuple(Utterance(str(n), who, n * 1000, n * 1000 + 900, text) for n, (who, text) in enumerate(SAID)),
    language="ru",
    direction="incoming",
)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as script:
        yield script


def asked(server: Scripted, answer: dict[str, Any] | str) -> Speaker | None:
    server.steps = [says(answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))]
    profile = Profile(name="local", base_url=server.url, model="m", residency="local", timeout_s=10)
    analyst = OpenAiCompatibleAnalyst(Endpoint(profile), mask=MaskedConversation)
    found = analyst.manager_of(CALL)
    assert (analyst.used.requests, analyst.used.prompt_tokens) == (1, 1000)
    return found


@pytest.mark.parametrize(
    ("answer", "manager"),
    [
        ({"manager": "2", "quote": "посмотрел по базе"}, "A"),
        ({"manager": "1", "quote": "а когда приезжать"}, "B"),
        ({"manager": "2", "quote": "Посмотрел по базе, ваша машина"}, "A"),
        ({"manager": "1", "quote": "посмотрел по базе"}, None),
        ({"manager": "2", "quote": "мы вам перезвоним"}, None),
        ({"manager": "2", "quote": "Да"}, None),
        ({"manager": "2", "quote": ""}, None),
        ({"manager": "unclear", "quote": ""}, None),
        ({"manager": "B", "quote": "посмотрел по базе"}, None),
        ("The manager is 2.", None),
        ("", None),
    ],
)
def test_the_manager_is_whom_his_own_words_prove(
    server: Scripted, answer: dict[str, Any] | str, manager: Speaker | None
) -> None:
    assert asked(server, answer) == manager


def test_the_model_is_not_told_what_was_guessed_nor_anybodys_name(server: Scripted) -> None:
    asked(server, {"manager": "unclear", "quote": ""})
    (body,) = server.requests
    lines = transcript_of(body)
    assert [(name, voice) for name, voice, _ in lines] == [("0", "1"), ("1", "2"), ("2", "1"), ("3", "2")]
    assert "Сидоров" not in json.dumps(body, ensure_ascii=False)
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["manager", "quote"]


def test_of_a_long_call_the_beginning_is_asked_about() -> None:
    long = replace(CALL, utterances=tuple(replace(u, id=str(n)) for n, u in enumerate(CALL.utterances * 500)))
    (message,) = sides.question(long, 2000, lambda text: len(text.encode()) // 3)
    lines = [line for line in message["content"].splitlines() if line.startswith('["')]
    assert 10 < len(lines) < 100
    assert lines == [line for line in lines if json.loads(line)[0] == str(lines.index(line))]
    assert len(message["content"].encode()) // 3 <= 2000


def test_one_voice_and_the_builtin_analyst_settle_nothing() -> None:
    alone = replace(CALL, utterances=CALL.utterances[:1])
    assert sides.manager_in(json.dumps({"manager": "1", "quote": "Алло это Иван"}), alone) is None
    assert BuiltinAnalyst().manager_of(CALL) is None


def test_exchanged_is_the_same_call_the_other_way_round() -> None:
    turned = sides.exchanged(CALL)
    assert [u.speaker for u in turned.utterances] == ["A", "B", "A", "B"]
    assert sides.exchanged(turned) == CALL
