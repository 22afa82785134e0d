"""A site's own names: given by admins, checked, and used from the next call on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from appliance.models import SiteVocabulary
from appliance.store import db
from tests.conftest import SAMPLES, Running, processed, upload

ADDRESS = "/api/admin/vocabulary"


@pytest.fixture
def admin(running: Running, people: dict[str, str]) -> Iterator[httpx.Client]:
    """An admin; whatever other tests or this one gave is gone."""
    _forget()
    yield running.client(people["admin"])
    _forget()


def _forget() -> None:
    with db.unit_of_work() as session:
        session.execute(delete(SiteVocabulary))


def test_names_are_kept_until_others_are_given(admin: httpx.Client) -> None:
    assert admin.get(ADDRESS).json() == {"names": [], "changed_by": None, "changed_at": None}
    names = [{"text": "  Автоград   Восток ", "heard": ["авто град"]}, {"text": "Шульгин"}]
    put = admin.put(ADDRESS, json={"names": names})
    assert put.status_code == 200
    kept = [{"text": "Автоград Восток", "heard": ["авто град"]}, {"text": "Шульгин", "heard": []}]
    shown = admin.get(ADDRESS).json()
    assert shown == put.json()
    assert shown["names"] == kept
    assert shown["changed_by"]
    assert admin.put(ADDRESS, json={"names": []}).json()["names"] == []
    newest = admin.get("/api/admin/audit", params={"action": "vocabulary_changed", "limit": 2}).json()["entries"]
    assert [entry["details"] for entry in newest] == [{"names": 0}, {"names": 2}]


@pytest.mark.parametrize(
    "names",
    [
        [{"text": "Вос\nток"}],
        [{"text": "Вос\u0000ток"}],
        [{"text": "Вос\u202eток"}],
        [{"text": "я" * 61}],
        [{"text": "!!"}],
        [{"text": "раз два три четыре пять"}],
        [{"text": "Восток", "heard": ["восход"] * 21}],
        [{"text": "Восток", "heard": [""]}],
        [{"text": "Восток"}] * 501,
        [{"text": "Восток", "other": 1}],
        "Восток",
    ],
)
def test_what_is_no_name_is_refused(admin: httpx.Client, names: Any) -> None:
    answer = admin.put(ADDRESS, json={"names": names})
    assert answer.status_code == 422, answer.text
    assert admin.get(ADDRESS).json()["names"] == []


def test_the_next_call_is_heard_with_new_names(admin: httpx.Client, running: Running, people: dict[str, str]) -> None:
    """The same recording twice, with nothing started anew in between."""
    anna = running.client(people["anna"])
    sample = next(iter(sorted(SAMPLES.glob("ru-*.*"))))
    sent = []
    try:
        sent.append(upload(anna, sample).raise_for_status().json()["id"])
        before = processed(anna, sent[0])
        words = [word.strip(".,?!").lower() for segment in before["transcript"] for word in segment["text"].split()]
        word = max((word for word in words if word.isalpha()), key=len)
        admin.put(ADDRESS, json={"names": [{"text": "Автодромыч", "heard": [word]}]}).raise_for_status()
        sent.append(upload(anna, sample).raise_for_status().json()["id"])
        after = processed(anna, sent[1])
        assert "автодромыч" not in str(before["transcript"]).lower()
        assert any("Автодромыч" in segment["text"] for segment in after["transcript"])
        assert {c["heard"].strip(".,?!").lower() for c in after["corrections"]} >= {word}
        assert all(c["start_ms"] <= c["end_ms"] for c in after["corrections"])
    finally:
        for call_id in sent:
            admin.delete(f"/api/calls/{call_id}")
