"""The OpenAPI description: FastAPI's own, with an example for everything and the one error body for all failures."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI
from pydantic import BaseModel, Field

from appliance.api import errors

BINARY = {"schema": {"type": "string", "format": "binary"}}
"""The description of an answer that is a file."""

EXAMPLES = Path(__file__).parent / "examples.yaml"


class FieldProblem(BaseModel):
    field: str
    code: str
    message: str


class Problem(BaseModel):
    """RFC 9457. `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str = Field(description="Russian, or English by Accept-Language: en")
    errors: list[FieldProblem] | None = Field(None, description="What is wrong with which field, for 422")


@lru_cache
def examples() -> dict[str, Any]:
    """The examples by `METHOD /path`; see the file."""
    loaded: dict[str, Any] = yaml.safe_load(EXAMPLES.read_text(encoding="utf-8"))
    return loaded


def install(app: FastAPI) -> None:
    """Complete what FastAPI knows; the result is made once."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(plain())
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _completed(schema: dict[str, Any]) -> dict[str, Any]:
    shapes = schema["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        shapes.pop(unused, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    shapes |= problem.pop("$defs") | {"Problem": problem}
    failure = {
        "description": "Any failure",
        "content": {
            errors.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": examples()["problem"]}
        },
    }
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = failure
            _add_examples(operation, examples().get(f"{method.upper()} {path}", {}))
    return schema


def _add_examples(operation: dict[str, Any], known: dict[Any, Any]) -> None:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if "request" in known:
            content["example"] = known["request"]
    for parameter in operation.get("parameters", []):
        if parameter["name"] in known.get("parameters", {}):
            parameter["example"] = known["parameters"][parameter["name"]]
    for status, answer in operation["responses"].items():
        for media_type, content in answer.get("content", {}).items():
            if media_type == "application/json" and int(status) in known:
                content["example"] = known[int(status)]
