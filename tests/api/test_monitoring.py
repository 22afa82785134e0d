"""What Prometheus and the log are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from tests.conftest import PASSWORD, SAMPLES, Running, _free_port, processed, upload, wait_until

WAV = SAMPLES / "ru-wrong-number.wav"


def read(running: Running) -> dict[str, float]:
    """Every sample by `name{label=value,...}`."""
    answer = httpx.get(running.url + "/metrics")
    assert answer.status_code == 200, answer.text
    return {
        sample.name + "".join(f"{{{k}={v}}}" for k, v in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_call_is_counted_by_every_process(running: Running, people: dict[str, str]) -> None:
    before = read(running)
    http = running.client(people["admin"])
    call = processed(http, upload(http, WAV, phoneNumber="+7 495 765-43-21").json()["id"])

    def grown(name: str) -> float:
        return read(running)[name] - before.get(name, 0)

    for stage in ("decode", "transcribe", "diarize", "assign roles", "analyse", "publish"):
        assert grown(f"call_analytics_stage_seconds_count{{stage={stage}}}") == 1
    assert grown("call_analytics_upload_bytes_total") == WAV.stat().st_size
    assert grown("call_analytics_audio_seconds_total") == pytest.approx(call["duration"], abs=1)
    words = sum(len(segment["text"].split()) for segment in call["transcript"])
    assert grown("call_analytics_words_total{language=ru}") == pytest.approx(words, abs=2)
    assert grown("call_analytics_confidence_count") == grown("call_analytics_real_time_factor_count") == 1
    assert grown("call_analytics_llm_seconds_count{provider=builtin}") == 1
    assert "call_analytics_llm_cost_usd_total{provider=builtin}" not in read(running), "it asks no language model"
    assert grown("call_analytics_http_requests_total{method=POST}{route=/api/calls}{status=200}") == 1


def test_queues_are_looked_up(running: Running) -> None:
    found = read(running)
    assert found["call_analytics_database_up"] == 1
    for queue in ("speech", "analysis"):
        assert found[f"call_analytics_queue_depth{{queue={queue}}}"] >= 0
        assert found[f"call_analytics_queue_age_seconds{{queue={queue}}}"] >= 0


@pytest.fixture
def other(running: Running) -> Iterator[Running]:
    """A second API process on the same installation."""
    made = Running(running.site, _free_port())
    made.start("api")
    try:
        yield made
    finally:
        made.stop()


def test_websocket_clients_are_counted_and_die_with_their_process(
    running: Running, other: Running, people: dict[str, str]
) -> None:
    name = "call_analytics_websocket_clients"
    before = read(running)[name]
    token = running.client(people["admin"]).headers["Authorization"].removeprefix("Bearer ")
    with connect(f"ws://127.0.0.1:{other.port}/ws/calls?token={token}"):
        wait_until(lambda: read(running)[name] == before + 1, 10, "the client to be counted")
        other.kill("api")
    other.start("api")
    assert read(running)[name] == before


def test_the_lan_sees_no_metrics(running: Running) -> None:
    answer = httpx.get(running.url + "/metrics", headers={"X-Forwarded-For": "192.168.1.20"})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


def test_nothing_personal_is_told(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    call_id = upload(http, WAV, clientName="Аполлинария Непомнящая", phoneNumber="+7 495 111-22-33").json()["id"]
    call = processed(http, call_id)
    http.get("/api/calls", params={"search": "Непомнящая"})
    http.get("/api/calls", params={"search": "4951112233"})
    http.get("/api/nowhere/4951112233")
    told = httpx.get(running.url + "/metrics").text
    told += "".join(running.log(name) for name in ("api", "speech", "analysis", "housekeeping"))
    sentences = [segment["text"] for segment in call["transcript"] if len(segment["text"]) > 8]
    for secret in ("Непомнящая", "111-22-33", "1112233", people["admin"], call["aiAnalysis"]["summary"], *sentences):
        assert secret not in told
    assert http.headers["Authorization"].split()[1] not in told


def test_every_request_analysis_and_connection_is_logged(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    me = http.get("/api/auth/me").json()["id"]
    with connect(f"ws://127.0.0.1:{running.port}/ws/calls", subprotocols=["bearer", http.headers["Authorization"][7:]]):  # type: ignore[list-item]
        call_id = upload(http, WAV).json()["id"]
        processed(http, call_id)
    request_id = http.get(f"/api/calls/{call_id}").headers["X-Request-ID"]
    lines = [json.loads(line) for line in running.log("api").splitlines() if line.startswith("{")]
    [request] = [line for line in lines if line.get("request_id") == request_id and line["event"] == "request"]
    assert (request["method"], request["route"], request["status"]) == ("GET", "/api/calls/{call_id}", 200)
    assert request["user_id"] == me
    assert request["ms"] > 0
    assert any(line["event"] == "websocket_opened" and line["user_id"] == me for line in lines)
    analysed = [json.loads(line) for line in running.log("analysis").splitlines() if call_id in line]
    [result] = [line for line in analysed if line["event"] == "call_analysed"]
    assert (result["provider"], result["sentiment"]) == ("builtin", "neutral")


def test_no_log_holds_a_secret(running: Running, people: dict[str, str]) -> None:
    """Neither the installation's nor anybody's: not in what was asked, and not in what went wrong."""
    http = running.client(people["admin"])
    token = http.headers["Authorization"].removeprefix("Bearer ")
    wrong = "a password that is wrong"
    httpx.post(running.url + "/api/auth/login", json={"email": "nobody@test.example", "password": wrong})
    httpx.get(running.url + f"/api/nowhere?token={token}")
    httpx.post(running.url + "/api/auth/login", content=f'{{"password": "{wrong}"')
    link = http.get(f"/api/calls/{upload(http, WAV).json()['id']}").json()["recordingUrl"]
    httpx.get(link)
    facts = running.site.facts()
    secrets = {facts[name] for name in ("JWT_SECRET", "POSTGRES_PASSWORD", "S3_SECRET_KEY")}
    secrets |= {running.site.owner_password(), token, wrong, PASSWORD, link.split("signature=")[1]}
    logs = {file.name: file.read_text(encoding="utf-8", errors="replace") for file in running.site.logs.iterdir()}
    assert '"route": "/api/recordings/{name}"' in logs["test-api.log"]
    assert not [name for name, text in logs.items() if any(secret in text for secret in secrets)]


@pytest.mark.parametrize(
    ("change", "secret"),
    [
        ({"JWT_SECRET": "short but secret"}, "short but secret"),
        ({"DATABASE_URL": "postgresql://appliance:hidden-word@127.0.0.1:1/none"}, "hidden-word"),
        ({"OPENAI_PRICE_INPUT": "sk-pasted-into-the-wrong-line"}, "sk-pasted-into-the-wrong-line"),
    ],
)
def test_no_failure_at_a_start_tells_a_secret(running: Running, change: dict[str, str], secret: str) -> None:
    command = [str(Path(sys.prefix) / "bin" / "appliance"), "migrate"]
    environment = {**os.environ, "APPLIANCE_ENV_FILE": str(running.site.env_file), **change}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode
    assert next(iter(change)) in done.stderr or "connection" in done.stderr
    assert secret not in done.stdout + done.stderr
