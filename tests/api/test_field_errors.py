"""What is wrong with a field is said in the language of the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args
from uuid import UUID

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import core_schema

from appliance.api import errors
from appliance.app import build
from appliance.config import settings
from tests.conftest import Running

PARTS = {
    "str": {"string_type", "string_unicode"},
    "int": {"int_type", "int_parsing", "int_parsing_size", "int_from_float"},
    "float": {"float_type", "float_parsing", "finite_number"},
    "bool": {"bool_type", "bool_parsing"},
    "literal": {"literal_error"},
    "enum": {"enum"},
    "list": {"list_type"},
    "dict": {"dict_type", "invalid_key"},
    "model": {"model_type"},
    "model-fields": {"model_type", "model_attributes_type", "missing", "extra_forbidden"},
    "uuid": {"uuid_type", "uuid_parsing"},
    "date": {"date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"},
    "datetime": {"datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"},
    "none": {"none_required"},
    "bytes": {"bytes_type"},
    "function-plain": {"value_error", "assertion_error"},
    "function-before": {"value_error", "assertion_error"},
    "function-after": {"value_error", "assertion_error"},
    "function-wrap": {"value_error", "assertion_error"},
    "lax-or-strict": set(),
    "json-or-python": set(),
    "nullable": set(),
    "default": set(),
    "union": set(),
    "model-field": set(),
    "definitions": set(),
    "definition-ref": set(),
    "chain": set(),
    "any": set(),
    "is-instance": {"value_error"},
}
"""What pydantic may say of each part of a schema."""

BOUNDS = {
    "gt": "greater_than",
    "ge": "greater_than_equal",
    "lt": "less_than",
    "le": "less_than_equal",
    "multiple_of": "multiple_of",
    "pattern": "string_pattern_mismatch",
    "tz_constraint": "timezone_aware",
}
LENGTHS = {"str": "string_too_", "list": "too_", "dict": "too_", "bytes": "bytes_too_"}


def kinds_of(schema: Any) -> Iterator[str]:
    """Every kind of error that a core schema can raise."""
    if isinstance(schema, Mapping):
        part = schema.get("type")
        if isinstance(part, str) and "schema_type" not in schema:
            if part not in PARTS and part in get_args(core_schema.CoreSchemaType):
                raise AssertionError(f"what can go wrong with {part} is not known here")
            yield from PARTS.get(part, ())
            yield from (kind for bound, kind in BOUNDS.items() if schema.get(bound) is not None)
            for bound in ("min_length", "max_length"):
                if schema.get(bound) is not None and part in LENGTHS:
                    yield LENGTHS[part] + ("short" if bound == "min_length" else "long")
        for name, value in schema.items():
            if name not in {"metadata", "serialization", "ref", "cls", "expected"}:
                yield from kinds_of(value)
    elif isinstance(schema, list | tuple):
        for value in schema:
            yield from kinds_of(value)


def requested(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The core schema of everything that requests may hold."""
    for name in ("DATABASE_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.setenv(name, "postgresql://x")
    monkeypatch.setenv("JWT_SECRET", "x" * 32)
    settings.cache_clear()
    routes: list[Any] = list(build().routes)
    while routes:
        route = routes.pop()
        if router := getattr(route, "original_router", None):
            routes += router.routes
        if isinstance(route, APIRoute):
            waiting = [route.dependant]
            while waiting:
                dependant = waiting.pop()
                waiting += dependant.dependencies
                for of_place in ("path", "query", "header", "cookie", "body"):
                    for field in getattr(dependant, f"{of_place}_params"):
                        yield field._type_adapter.core_schema
    settings.cache_clear()


def test_every_kind_of_error_that_a_request_can_have_is_said_in_russian(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {kind for schema in requested(monkeypatch) for kind in kinds_of(schema)} | {"json_invalid"}
    assert len(found) > 30
    assert not found - errors.field_errors().keys()
    known = {*get_args(core_schema.ErrorType), *OWN}
    assert not errors.field_errors().keys() - known


OWN = {
    "cap_without_price",
    "days_reversed",
    "key_not_ascii",
    "name_not_printable",
    "name_without_letter",
    "name_too_many_words",
}


class Everything(BaseModel):
    text: str = Field(min_length=2, max_length=3)
    whole: int = Field(ge=1, le=2)
    more: int = Field(gt=1, lt=3, multiple_of=2)
    several: list[int] = Field(min_length=1, max_length=2)


@pytest.mark.parametrize(
    "value", [{}, {"text": "", "whole": 0, "more": 0, "several": []}, {"text": "long", "whole": 9}]
)
@pytest.mark.parametrize("rest", [{}, {"more": 9, "several": [1, 2, 3]}, {"more": "x", "several": {}}])
def test_facts_stand_in_the_sentence(value: dict[str, Any], rest: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        TypeAdapter(Everything).validate_python(value | rest)
    for error in caught.value.errors():  # type: ignore[attr-defined]
        said = errors.in_russian(error["type"], error.get("ctx", {}))
        assert re.search("[а-я]", said), error
        assert "{" not in said
        for fact in ("min_length", "max_length", "ge", "le", "gt", "lt"):
            if fact in error.get("ctx", {}):
                assert str(error["ctx"][fact]) in said


CALLS = "/api/calls"
NOBODY = UUID("00000000-0000-4000-8000-000000000000")
REVERSED = {"dateFrom": "2025-06-17", "dateTo": "2025-06-16"}
WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "/api/auth/login", {"json": {}}, "missing"),
    ("POST", "/api/auth/login", {"content": b"{", "headers": {"Content-Type": "application/json"}}, "json_invalid"),
    ("POST", "/api/auth/login", {"json": []}, "model_attributes_type"),
    ("POST", "/api/auth/login", {"json": {"email": 1, "password": "x"}}, "string_type"),
    ("POST", "/api/auth/login", {"json": {"email": "", "password": "x"}}, "string_too_short"),
    ("POST", "/api/auth/login", {"json": {"email": "x" * 321, "password": "x"}}, "string_too_long"),
    ("GET", CALLS, {"params": {"limit": "x"}}, "int_parsing"),
    ("GET", CALLS, {"params": {"limit": "0"}}, "greater_than_equal"),
    ("GET", CALLS, {"params": {"limit": "101"}}, "less_than_equal"),
    ("GET", CALLS, {"params": {"limit": "9" * 5000}}, "int_parsing_size"),
    ("GET", CALLS, {"params": {"sort": "x"}}, "literal_error"),
    ("GET", CALLS, {"params": {"dateFrom": "x"}}, "date_from_datetime_parsing"),
    ("GET", CALLS, {"params": {"dateFrom": "2025-01-01T10:00:00"}}, "date_from_datetime_inexact"),
    ("GET", CALLS, {"params": REVERSED}, "days_reversed"),
    ("GET", "/api/search", {"params": {"q": "x", **REVERSED}}, "days_reversed"),
    ("GET", "/api/dashboard/stats", {"params": REVERSED}, "days_reversed"),
    ("POST", CALLS + "/export", {"json": {"format": "csv", "filters": REVERSED}}, "days_reversed"),
    ("GET", CALLS + "/x", {}, "uuid_parsing"),
    ("POST", CALLS, {"data": {"type": "incoming"}, "files": {"x": b"x"}}, "missing"),
    ("POST", CALLS + "/batch-delete", {"json": {"ids": {}}}, "list_type"),
    ("POST", CALLS + "/batch-delete", {"json": {"ids": [str(NOBODY)] * 1001}}, "too_long"),
    ("POST", CALLS + "/export", {"json": {"format": "csv", "whole": True}}, "extra_forbidden"),
    (
        "POST",
        "/api/users",
        {"json": {"name": "X", "email": "x", "role": "admin", "password": "x"}},
        "string_pattern_mismatch",
    ),
    ("PATCH", f"/api/users/{NOBODY}", {"json": {"is_active": "perhaps"}}, "bool_parsing"),
    ("PATCH", f"/api/users/{NOBODY}", {"json": {"is_active": []}}, "bool_type"),
    ("PUT", "/api/admin/llm", {"json": {"profiles": []}}, "dict_type"),
    ("PUT", "/api/admin/llm", {"json": {"profiles": {"a": {"timeout_s": "x"}}}}, "float_parsing"),
    ("PUT", "/api/admin/llm", {"json": {"profiles": {"a": {"timeout_s": 0}}}}, "greater_than"),
    ("PUT", "/api/admin/llm", {"json": {"profiles": {"a": {"parallel": 1.5}}}}, "int_from_float"),
    ("PUT", "/api/admin/llm", {"json": {"profiles": {"a": {"api_key": "ключ"}}}}, "key_not_ascii"),
    ("PUT", "/api/admin/llm", {"json": {"profiles": {"a": {"daily_cost_cap": 5}}}}, "cap_without_price"),
    ("PUT", "/api/admin/vocabulary", {"json": {"names": [{"text": "a b c d e"}]}}, "name_too_many_words"),
    ("PUT", "/api/admin/vocabulary", {"json": {"names": [{"text": "123"}]}}, "name_without_letter"),
    ("PUT", "/api/admin/vocabulary", {"json": {"names": [{"text": "a\u0007b"}]}}, "name_not_printable"),
]


@pytest.fixture(scope="module")
def admin(running: Running, people: dict[str, str]) -> httpx.Client:
    return running.client(people["admin"])


@pytest.mark.parametrize(("method", "path", "sent", "kind"), WRONG)
def test_a_request_that_is_wrong_is_told_so_in_its_language(
    admin: httpx.Client, method: str, path: str, sent: dict[str, Any], kind: str
) -> None:
    headers = sent.get("headers", {})
    told = {}
    for language in ("", "en", "ru"):
        answer = admin.request(method, path, **{**sent, "headers": {**headers, "Accept-Language": language}})
        assert answer.status_code == 422, answer.text
        by_kind = {error["code"]: error["message"] for error in answer.json()["errors"]}
        assert kind in by_kind, by_kind
        told[language] = by_kind
    assert told[""] == told["ru"]
    assert not [said for said in told["ru"].values() if not re.match("[А-Я]", said)]
    assert not [said for said in told["en"].values() if re.search("[А-Яа-я]", said)]
