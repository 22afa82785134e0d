"""What names of recordings and call detail records say."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.services.arrivals import cdr, mixmonitor

MOSCOW = ZoneInfo("Europe/Moscow")
WHEN = "20240101-120000-1704099600.1"


@pytest.mark.parametrize(
    ("name", "direction", "number", "extension"),
    [
        (f"out-74951234567-101-{WHEN}.wav", "outgoing", "74951234567", "101"),
        (f"external-101-+79161234567-{WHEN}.wav", "incoming", "+79161234567", "101"),
        (f"in-74957654321-79161234567-{WHEN}.WAV", "incoming", "79161234567", None),
        (f"q-600-79161234567-{WHEN}.wav", "incoming", "79161234567", None),
        (f"rg-601-79161234567-{WHEN}.mp3", "incoming", "79161234567", None),
        (f"exten-101-79161234567-{WHEN}.wav", "incoming", "79161234567", "101"),
        (f"force-89161234567-3201-{WHEN}.wav", "outgoing", "89161234567", "3201"),
        (f"internal-102-101-{WHEN}.wav", None, "101", "102"),
        (f"external-101-anonymous-{WHEN}.wav", "incoming", "anonymous", "101"),
    ],
)
def test_a_name_tells_who_called_whom(name: str, direction: str | None, number: str, extension: str | None) -> None:
    said = mixmonitor.parse(name, MOSCOW)
    assert said is not None
    assert (said.direction, said.number, said.extension) == (direction, number, extension)
    assert said.started == datetime(2024, 1, 1, 12, tzinfo=MOSCOW)
    assert said.uniqueid == "1704099600.1"


@pytest.mark.parametrize(
    "name", ["call.wav", f"out-1-2-3-{WHEN}.wav", "out-74951234567-101-20241301-120000-1.1.wav", f"-1-2-{WHEN}.wav"]
)
def test_another_name_tells_nothing(name: str) -> None:
    assert mixmonitor.parse(name, MOSCOW) is None


CALL = '"2024-01-01 12:00:00","2024-01-01 12:00:09","2024-01-01 12:01:09",69,60'
CSV = (
    f'"","79161234567","600","from-queue","""A"" <79161234567>","SIP/trunk-1","SIP/102-2","Queue","600",{CALL},'
    '"NO ANSWER","DOCUMENTATION","1704099600.1",""\n'
    f'"","79161234567","600","from-queue","""A"" <79161234567>","SIP/trunk-1","Local/103@from-queue-2;1","Queue","600",'
    f'{CALL},"ANSWERED","DOCUMENTATION","1704099600.1",""\n'
    '"","79161234567","600","cut o'
)
CUSTOM = (
    f'"<101>","101","74951234567","from-internal","PJSIP/101-1","PJSIP/trunk-2","Dial","",{CALL},'
    '"ANSWERED","3","","1704099700.5",""\n'
)


@pytest.mark.parametrize(
    ("text", "uniqueid", "peers"),
    [(CSV, "1704099600.1", (None, "103")), (CUSTOM, "1704099700.5", ("101", None))],
    ids=["cdr_csv", "cdr_custom"],
)
def test_a_record_tells_whose_telephone_it_was(
    tmp_path: Path, text: str, uniqueid: str, peers: tuple[str | None, str | None]
) -> None:
    file = tmp_path / "Master.csv"
    file.write_text("calldate,clid\n" + text, encoding="utf-8")
    found = cdr.records(file)
    assert set(found) == {uniqueid}
    assert (found[uniqueid].caller_peer, found[uniqueid].answering_peer) == peers
    assert found[uniqueid].is_answered


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cdr, "LATEST_BYTES", len(CUSTOM) + 10)
    file = tmp_path / "Master.csv"
    file.write_text(CUSTOM.replace("1704099700.5", "1.1") * 50 + CUSTOM, encoding="utf-8")
    assert set(cdr.records(file)) == {"1704099700.5"}
