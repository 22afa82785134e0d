"""The contract with a real vLLM: a tiny model with random weights behind the real server, tokenizer and grammar."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.engines.language import AnalysisRecord, Conversation
from appliance.engines.language.endpoint import Endpoint
from appliance.engines.language.limits import label_of
from appliance.engines.language.openai_compatible import OpenAiCompatibleAnalyst
from appliance.engines.language.profiles import Profile
from appliance.engines.language.transport import Sending
from appliance.errors import EngineError
from appliance.evaluation.dialogues import load_dialogues
from tests.conftest import ROOT, _free_port, wait_until
from tests.engines.language.test_openai_compatible import Book

PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
CONTEXT = 12_288
KEY = "sk-for-tests"

START_S = 600
"""Half a minute where two cores are free; minutes where others work on them."""

KNOWN = 75
"""Dialogues whose words the tokenizer knows: not all, or each new one would make another model of it."""

TURNS = 700
"""About 17,000 tokens: more than the server's context, however many dialogues there are to take them from."""

pytestmark = pytest.mark.timeout(1200)


CALLS = [dialogue.conversation for dialogue in load_dialogues()]
ENGLISH = [call for call in CALLS if call.language == "en"]
RUSSIAN = [call for call in CALLS if call.language == "ru"]


@dataclass
class Vllm:
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_API_KEY": KEY,  # as supervisor tells it
        }
        options = {
            "--model": str(self.folder),
            "--served-model-name": "tiny",
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--max-model-len": str(CONTEXT),
            "--dtype": "bfloat16",
            "--structured-outputs-config": '{"backend":"guidance","disable_any_whitespace":true}',
        }
        flat = [part for option in options.items() for part in option]
        flags = ["--enforce-eager", "--enable-server-load-tracking"]
        command = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", *flags, *flat]
        with (self.folder.parent / "vllm.log").open("ab") as log:
            # A group of its own: the engine is a child that must go with the server.
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)

    def wait(self) -> None:
        def healthy() -> bool:
            if self.process and self.process.poll() is not None:
                log = (self.folder.parent / "vllm.log").read_text(encoding="utf-8", errors="replace")
                pytest.fail(f"vLLM ended with {self.process.returncode}: {log[-2000:]}")
            return httpx.get(self.url + "/health", timeout=2).is_success

        wait_until(healthy, START_S, "vLLM")

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, 9)
            self.process.wait()

    def freeze_engine(self) -> None:
        """Requests are taken, none is answered any more: however fast the machine, one can be caught in mid-answer."""
        assert self.process
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (pid := int(entry.name)) != self.process.pid:
                with contextlib.suppress(ProcessLookupError):
                    if os.getpgid(pid) == self.process.pid:
                        os.kill(pid, signal.SIGSTOP)

    def taken(self) -> int:
        """Requests that the server has taken and not answered."""
        return int(httpx.get(self.url + "/load", timeout=5).json()["server_load"])

    def running(self) -> int:
        text = httpx.get(self.url + "/metrics", timeout=5).text
        return sum(int(float(s.rsplit(" ", 1)[1])) for s in text.splitlines() if s.startswith("vllm:num_requests_r"))


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vllm]:
    if not PYTHON.is_file():
        pytest.skip("NO VLLM: `make test-vllm` installs it where a CPU torch can be had")
    folder = tmp_path_factory.mktemp("vllm") / "tiny"
    words = folder.with_suffix(".txt")
    words.write_text("\n".join(u.text for call in CALLS[:KNOWN] for u in call.utterances), encoding="utf-8")
    texts = [str(words), str(ROOT / "appliance" / "engines" / "prompts" / "analysis.yaml")]
    made = [str(PYTHON), str(Path(__file__).parent / "tiny_model.py"), str(folder), *texts]
    subprocess.run(made, check=True, capture_output=True, timeout=START_S)
    server = Vllm(folder, _free_port())
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.kill()


def profile(vllm: Vllm, **changes: Any) -> Profile:
    fields: dict[str, Any] = {
        "base_url": vllm.url + "/v1",
        "api_key": KEY,
        "model": "tiny",
        "context_tokens": CONTEXT,
        "tokenizer": str(vllm.folder / "tokenizer.json"),
        "timeout_s": 240,
        **changes,
    }
    return Profile(name="local", residency="local", **fields)


def analyse(vllm: Vllm, conversation: Conversation, **changes: Any) -> AnalysisRecord:
    return OpenAiCompatibleAnalyst(Endpoint(profile(vllm, **changes))).analyse(conversation)


def outcomes(vllm: Vllm, conversation: Conversation, **changes: Any) -> list[str]:
    """What became of each request. Random words may go on until they are cut off: the server has answered then, too."""
    book = Book()
    try:
        endpoint = Endpoint(profile(vllm, **changes))
        OpenAiCompatibleAnalyst(endpoint, sending=Sending(gate=book)).analyse(conversation)
    except EngineError as error:
        if error.code != "llm_answer_truncated":
            raise
    return [exchange.outcome for exchange in book.over]


def ended(vllm: Vllm, conversation: Conversation) -> AnalysisRecord | None:
    """The analysis, where the answer came to its end."""
    try:
        return analyse(vllm, conversation)
    except EngineError as error:
        if error.code != "llm_answer_truncated":
            raise
        return None


def test_answers_are_valid_and_repeat(vllm: Vllm) -> None:
    """A random model under the grammar gives valid JSON; what it claims is not in the call, so no claim is left."""
    call, first = next((call, made) for call in ENGLISH if (made := ended(vllm, call)))
    assert label_of(first.analysis.sentiment_score) == first.analysis.sentiment
    assert 0 < len(first.analysis.summary.split()) <= 120
    assert first.analysis.details.dropped_claims == first.analysis.details.claims
    assert first.prompt_tokens > 500
    assert first.completion_tokens > 20
    assert first.model == "tiny"
    assert analyse(vllm, call).analysis == first.analysis


def test_an_answer_in_another_language_is_refused(vllm: Vllm) -> None:
    """The model speaks English only: after one repair a Russian call fails, by a code.

    Its words are random: an answer may also never come to its end, and then that is what is said of it.
    """
    codes = [error.code if (error := refused(vllm, call)) else "" for call in RUSSIAN[:5]]
    assert any(codes), "five times it said so little that it might be any language"
    assert set(codes) <= {"", "llm_answer_wrong_language", "llm_answer_truncated"}


def refused(vllm: Vllm, conversation: Conversation) -> EngineError | None:
    try:
        analyse(vllm, conversation)
    except EngineError as error:
        return error
    return None


def test_a_wrong_key(vllm: Vllm) -> None:
    with pytest.raises(EngineError) as failed:
        analyse(vllm, ENGLISH[0], api_key="wrong")
    assert failed.value.code == "llm_misconfigured"
    assert "401" in str(failed.value)


def test_an_unknown_model(vllm: Vllm) -> None:
    with pytest.raises(EngineError) as failed:
        analyse(vllm, ENGLISH[0], model="another")
    assert failed.value.code == "llm_misconfigured"
    assert "404" in str(failed.value)


def test_too_long_for_the_server(vllm: Vllm) -> None:
    """The profile promises more than the server has: its refusal makes the parts smaller."""
    said = itertools.cycle(u for conversation in ENGLISH for u in conversation.utterances)
    utterances = tuple(replace(u, id=str(n)) for n, u in enumerate(itertools.islice(said, TURNS)))
    found = outcomes(vllm, Conversation(utterances, "en", "incoming"), context_tokens=64_000)
    assert found[0] == "llm_context_exceeded"
    assert found[-1] == "answered"


@pytest.mark.parametrize(("stream", "kind"), [(False, "application/json"), (True, "text/event-stream")])
def test_an_answer_comes_in_one_piece_unless_it_is_asked_for_in_many(vllm: Vllm, stream: bool, kind: str) -> None:
    """The analyst asks with `stream` off, and what the server sends then is one JSON document."""
    asked = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, "stream": stream}
    keyed = {"Authorization": f"Bearer {KEY}"}
    answer = httpx.post(vllm.url + "/v1/chat/completions", json=asked, headers=keyed, timeout=240).raise_for_status()
    assert answer.headers["content-type"].startswith(kind)
    if not stream:
        assert answer.json()["choices"][0]["message"]["content"]


def test_a_cancelled_request_ends_in_the_server_too(vllm: Vllm) -> None:
    with pytest.raises(EngineError) as failed:
        analyse(vllm, ENGLISH[1], timeout_s=1.0)
    assert failed.value.code == "llm_unavailable"
    wait_until(lambda: vllm.running() == 0, 10, "the server to drop the request")


def test_a_restart_in_mid_call(vllm: Vllm) -> None:
    """The server dies while it answers and comes back: the request is sent again, and answered."""
    made: list[list[str]] = []
    vllm.freeze_engine()
    thread = threading.Thread(target=lambda: made.append(outcomes(vllm, ENGLISH[2], timeout_s=START_S)))
    thread.start()
    wait_until(lambda: vllm.taken() > 0, START_S, "the request to arrive")
    assert not made
    vllm.kill()
    time.sleep(1)
    vllm.start()
    thread.join(START_S + 60)
    assert made
    assert "llm_unavailable" in made[0]
    assert made[0][-1] == "answered"
