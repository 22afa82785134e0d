"""Upload > result, in the guide's shapes, and everything that is refused."""

from __future__ import annotations

import io
import subprocess
import wave
from http import client as http_client
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pytest
import yaml

from appliance.config import Settings
from appliance.services import calls as service
from appliance.services import failures
from appliance.store import db, objects
from tests.conftest import SAMPLES, Running, processed, upload

DIALOGUES = yaml.safe_load((SAMPLES / "dialogues.yaml").read_text(encoding="utf-8"))


def wav(seconds: float, rate: int = 8000, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        noise = np.random.default_rng(0).normal(0, 30, int(seconds * rate * channels))
        file.writeframes(noise.astype("<i2").tobytes())
    return buffer.getvalue()


def everything_stored() -> tuple[int, int, set[str]]:
    """Calls, waiting deletions that are due later, and object keys."""
    with db.connect() as connection:
        calls = connection.execute("SELECT count(*) FROM calls").fetchone()
        pending = connection.execute("SELECT count(*) FROM object_deletions").fetchone()
    keys = {o.object_name for o in objects.client().list_objects("call-recordings", recursive=True)}
    assert calls
    assert pending
    return calls[0], pending[0], keys


SHAPE = {
    "id", "type", "status", "phoneNumber", "clientName", "managerName", "managerId", "duration", "date", "recordingUrl",
    "created_at", "updated_at", "transcript", "aiAnalysis",
}  # fmt: skip


@pytest.mark.parametrize(
    "name", ["ru-test-drive", "ru-complaint", "ru-service", "ru-credit", "en-test-drive", "en-service"]
)
def test_a_sample_call_becomes_a_transcript_and_an_analysis(
    running: Running, people: dict[str, str], name: str
) -> None:
    """mp3 mono, a-law and mu-law stereo wav at 8 kHz, m4a mono and stereo; Russian and English."""
    told = DIALOGUES[name]
    http = running.client(people["admin"])
    answer = upload(
        http,
        SAMPLES / f"{name}.{told['sound']['file']}",
        type=told["direction"],
        managerName=told["manager"],
        clientName=told["client"],
        phoneNumber=told["phone"],
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "id": answer.json()["id"],
        "status": "processing",
        "message": "Файл успешно загружен, начата обработка",
    }
    call = processed(http, answer.json()["id"])
    assert call["status"] == "completed"
    assert set(call) >= SHAPE
    assert "processing_error" not in call
    assert call["language"] == told["language"]
    assert call["phoneNumber"] == told["phone"]
    assert call["transcript_model"] == "demo"
    assert "sample calls only" in call["transcript_notice"]
    for segment in call["transcript"]:
        assert set(segment) == {
            "id",
            "call_id",
            "start_ms",
            "end_ms",
            "speaker",
            "text",
            "language",
            "confidence",
            "created_at",
        }
        assert 0 <= segment["start_ms"] <= segment["end_ms"] <= 1000 * call["duration"] + 1000
        assert 0 <= segment["confidence"] <= 1
    assert {segment["speaker"] for segment in call["transcript"]} == {"A", "B"}
    assert call["conversation"]["talk_share"]["A"] + call["conversation"]["talk_share"]["B"] == pytest.approx(
        1, abs=0.01
    )
    assert ("interruptions" in call["conversation"]) == (told["sound"]["channels"] == 2)
    analysis = http.get(f"/api/calls/{call['id']}/ai-analysis").json()
    assert analysis == call["aiAnalysis"]
    assert analysis["processing_status"] == "completed"
    assert analysis["language"] == told["language"]
    assert analysis["provider"] == analysis["model"] == "builtin"
    assert analysis["topics"]
    assert len(analysis["topics"]) <= 5
    assert 0 < len(analysis["summary"].split()) <= 120


def test_the_manager_is_b_in_stereo(running: Running, people: dict[str, str]) -> None:
    """The sample's client is on the left: whoever introduces himself as the dealership is the manager."""
    http = running.client(people["admin"])
    call = processed(http, upload(http, SAMPLES / "ru-complaint.wav").json()["id"])
    first = min(call["transcript"], key=lambda segment: segment["start_ms"])
    assert first["speaker"] == "B"
    assert call["speaker_rule"] in {"introduction", "role_cues"}


def test_the_recording_plays_and_seeks(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    sample = SAMPLES / "ru-wrong-number.wav"
    call = http.get("/api/calls/" + upload(http, sample).json()["id"]).json()
    url, content = call["recordingUrl"], sample.read_bytes()
    whole = httpx.get(url)
    assert whole.status_code == 200
    assert whole.content == content
    assert whole.headers["content-type"] == "audio/wav"
    part = httpx.get(url, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
    assert httpx.get(url, headers={"Range": "bytes=-10"}).content == content[-10:]
    beyond = httpx.get(url, headers={"Range": f"bytes={len(content)}-"})
    assert beyond.status_code == 416
    assert httpx.get(url.replace("signature=", "signature=0")).status_code == 403
    assert httpx.get(url.replace("expires=1", "expires=2")).status_code == 403


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files that must be refused."""
    folder = tmp_path_factory.mktemp("broken")
    sample = (SAMPLES / "ru-test-drive.mp3").read_bytes()
    video = folder / "video.mp4"
    make_silent_video(video)
    return {
        "text.wav": "это не звук\n".encode() * 500,
        "empty.wav": b"",
        "zeros.mp3": bytes(5000),
        "cut.mp3": sample[: len(sample) * 2 // 3 + 5],
        "cut.wav": (SAMPLES / "ru-complaint.wav").read_bytes()[:200_000],
        "cut.m4a": (SAMPLES / "ru-service.m4a").read_bytes()[:50_000],
        "header.wav": wav(1)[:44],
        "video.m4a": video.read_bytes(),
        "playlist.m4a": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    }


def make_silent_video(target: Path) -> None:
    import av

    with av.open(str(target), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("text.wav", 415, "unsupported_audio"),
        ("empty.wav", 422, "audio_empty"),
        ("zeros.mp3", 415, "unsupported_audio"),
        ("cut.mp3", 422, "audio_truncated"),
        ("cut.wav", 422, "audio_truncated"),
        ("cut.m4a", 415, "unsupported_audio"),
        ("header.wav", 422, "audio_empty"),
        ("video.m4a", 415, "no_sound"),
        ("playlist.m4a", 415, "unsupported_audio"),
    ],
)
def test_what_is_no_recording_is_refused_and_leaves_nothing(
    running: Running, people: dict[str, str], broken: dict[str, bytes], name: str, status: int, code: str
) -> None:
    http = running.client(people["admin"])
    before = everything_stored()
    answer = upload(http, (name, broken[name]))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["code"], body["status"]) == (code, status)
    assert any("а" <= letter <= "я" for letter in body["detail"])
    assert everything_stored() == before


def test_errors_are_english_on_request(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    http.headers["Accept-Language"] = "en-GB,en;q=0.9"
    assert upload(http, ("x.wav", b"")).json()["detail"] == "The file is empty or has no sound in it"


def test_audio_over_sixty_minutes_is_refused(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    before = everything_stored()
    answer = upload(http, ("long.wav", wav(60 * 60 + 2)))
    assert (answer.status_code, answer.json()["code"]) == (413, "recording_too_long")
    assert everything_stored() == before


def test_sixty_minutes_are_not_too_long_for_what_a_codec_adds(tmp_path: Path) -> None:
    whole, limits = tmp_path / "whole.wav", Settings.offline()
    whole.write_bytes(wav(60 * 60 + 0.9))
    with whole.open("rb") as file:
        assert service.examine(file, whole, limits).duration_ms == 3_600_900
    whole.write_bytes(wav(60 * 60 + 1.1))
    with whole.open("rb") as file, pytest.raises(failures.RecordingTooLong):
        service.examine(file, whole, limits)


def test_a_file_over_the_limit_is_refused_while_it_arrives(running: Running, people: dict[str, str]) -> None:
    """With an honest Content-Length nothing is read; without one reading ends soon after the limit."""
    http = running.client(people["admin"])
    before = everything_stored()
    token = http.headers["Authorization"]
    sent = 0

    def endless() -> object:
        nonlocal sent
        yield (
            b'--x\r\nContent-Disposition: form-data; name="type"\r\n\r\nincoming\r\n'
            b'--x\r\nContent-Disposition: form-data; name="managerName"\r\n\r\nA B\r\n'
            b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'
        )
        for _ in range(400):
            sent += 1 << 20
            yield bytes(1 << 20)

    headers = {"Authorization": token, "Content-Type": "multipart/form-data; boundary=x"}
    try:
        answer = httpx.post(running.url + "/api/calls", content=endless(), headers=headers, timeout=60)  # type: ignore[arg-type]
        assert answer.status_code == 413
        assert answer.json()["code"] == "upload_too_large"
    except httpx.WriteError:
        pass  # the server had answered and closed before we were done sending
    assert sent < 300 << 20
    connection = http_client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    connection.request("POST", "/api/calls", headers={**headers, "Content-Length": str(200 << 20)})
    assert connection.getresponse().status == 413
    connection.close()
    assert everything_stored() == before


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"type": "sideways"}, "type"),
        ({"managerName": ""}, "managerName"),
        ({"date": "yesterday"}, "date"),
    ],
)
def test_wrong_fields_are_named(running: Running, people: dict[str, str], fields: dict[str, str], field: str) -> None:
    http = running.client(people["admin"])
    answer = upload(http, ("a.wav", wav(1)), **fields)
    assert answer.status_code == 422
    assert answer.json()["code"] == "validation_failed"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_number_nobody_can_call_is_refused(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    answer = upload(http, ("a.wav", wav(1)), phoneNumber="12")
    assert (answer.status_code, answer.json()["code"]) == (422, "phone_invalid")


def test_the_same_idempotency_key_never_makes_two_calls(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    first = upload(http, SAMPLES / "ru-wrong-number.wav", idempotency_key="k-1").json()["id"]
    assert upload(http, SAMPLES / "ru-wrong-number.wav", idempotency_key="k-1").json()["id"] == first
    # Somebody else's key leads nobody to a call.
    other = running.client(people["boris"])
    assert upload(other, SAMPLES / "ru-wrong-number.wav", idempotency_key="k-1").json()["id"] != first


def test_a_call_without_a_phone_number_shows_an_empty_one(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    call = http.get("/api/calls/" + upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]).json()
    assert call["phoneNumber"] == ""
    assert "clientName" not in call


def test_noise_becomes_an_empty_transcript(running: Running, people: dict[str, str]) -> None:
    """Nothing is invented where nobody speaks; the analysis says so."""
    http = running.client(people["admin"])
    call = processed(http, upload(http, ("noise.wav", wav(20))).json()["id"])
    assert call["status"] == "completed"
    assert call["transcript"] == []
    assert call["aiAnalysis"]["summary"] == "В записи нет распознанной речи."


class TestVisibility:
    def test_a_manager_sees_own_calls_only(self, running: Running, people: dict[str, str]) -> None:
        anna, boris = running.client(people["anna"]), running.client(people["boris"])
        call_id = upload(anna, SAMPLES / "ru-wrong-number.wav", managerName="Борис Иванов").json()["id"]
        mine = anna.get(f"/api/calls/{call_id}").json()
        assert mine["managerName"] == "Анна Смирнова"  # whoever uploads as a manager is the call's manager
        for path in (f"/api/calls/{call_id}", f"/api/calls/{call_id}/ai-analysis"):
            assert boris.get(path).json()["code"] == "call_not_found"

    def test_an_analyst_reads_and_changes_nothing(self, running: Running, people: dict[str, str]) -> None:
        analyst, admin = running.client(people["analyst"]), running.client(people["admin"])
        assert upload(analyst, SAMPLES / "ru-wrong-number.wav").status_code == 403
        call_id = upload(admin, SAMPLES / "ru-wrong-number.wav").json()["id"]
        assert analyst.get(f"/api/calls/{call_id}").status_code == 200

    def test_a_stranger_gets_nothing(self, running: Running) -> None:
        for http in (
            httpx.Client(base_url=running.url),
            httpx.Client(headers={"Authorization": "Bearer x.y.z"}, base_url=running.url),
        ):
            for method, path in (("GET", "/api/calls/00000000-0000-0000-0000-000000000000"), ("POST", "/api/calls")):
                answer = http.request(method, path)
                assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_unknown_routes_and_methods_answer_in_the_one_format(running: Running) -> None:
    assert httpx.get(running.url + "/api/nothing").json()["code"] == "route_not_found"
    assert httpx.delete(running.url + "/api/health").json()["code"] == "method_not_allowed"


def test_a_call_that_does_not_exist(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    answer = http.get("/api/calls/00000000-0000-0000-0000-000000000000")
    assert (answer.status_code, answer.json()["code"]) == (404, "call_not_found")
    assert http.get("/api/calls/nonsense").status_code == 422


def test_the_documentation_needs_no_internet(running: Running) -> None:
    page = httpx.get(running.url + "/docs").text
    assert "https://" not in page.replace("https://fastapi.tiangolo.com", "")
    assert httpx.get(running.url + "/openapi.json").json()["info"]["title"] == "Call Analytics AI"


def test_secrets_are_not_in_the_process_list(running: Running) -> None:
    facts = running.site.facts()
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [name for name in ("JWT_SECRET", "POSTGRES_PASSWORD", "S3_SECRET_KEY") if facts[name] in listed]


def test_the_database_holds_no_plain_password(running: Running, people: dict[str, str]) -> None:
    with psycopg.connect(db.dsn()) as connection:
        hashes = [
            row[0] for row in connection.execute("SELECT password_hash FROM users WHERE password_hash IS NOT NULL")
        ]
    assert hashes
    assert all(value.startswith("$argon2") for value in hashes)
