"""A stereo call that is handed over, from the upload to the exchange of sides."""

from __future__ import annotations

import wave
from pathlib import Path

from appliance.engines.speech import SAMPLE_RATE
from tests.conftest import Running, processed, upload
from tests.handed_over import RUSSIAN, spoken


def test_the_second_manager_is_told_and_stays_on_his_side(
    running: Running, people: dict[str, str], tmp_path: Path
) -> None:
    sound, _, change_ms = spoken("ru", RUSSIAN)
    with wave.open(str(tmp_path / "call.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((sound.T * 32767).astype("<i2").tobytes())
    http = running.client(people["admin"])
    call_id = upload(http, tmp_path / "call.wav").json()["id"]
    transcript = processed(http, call_id)["transcript"]
    assert {s["speaker"] for s in transcript} == {"A", "B"}
    told = [s.get("speaker_detail") for s in transcript]
    wanted = ["B2" if s["speaker"] == "B" and s["start_ms"] >= change_ms - 500 else None for s in transcript]
    assert told == wanted
    assert "B2" in told
    turned = http.post(f"/api/calls/{call_id}/swap-speakers").json()["transcript"]
    assert [s.get("speaker_detail") for s in turned] == [detail and "A2" for detail in told]
    again = http.post(f"/api/calls/{call_id}/swap-speakers").json()["transcript"]
    assert [s.get("speaker_detail") for s in again] == told
    assert http.delete(f"/api/calls/{call_id}").is_success
