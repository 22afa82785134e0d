"""Write docs/api.md from the application's own description: `make docs`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

EVENTS = """## Events: `/ws/calls`
Connect with the subprotocols `bearer, <token>` (or `?token=<token>`); a token that ends closes the socket with 4401, a
client that does not read with 4408. Everybody hears of the calls that he may see. With `?last_event_id=N` what came
after event N is sent first, and every stored event carries its number as `id`.

| `type` | `data` |
|---|---|
| `call_created` | `{"call": {...}}`, the call as in the list |
| `call_processing_progress` | `{"call_id", "stage", "progress"}`, progress 0-1; not stored, not replayed |
| `call_processed` | `{"call_id", "status": "completed", "has_analysis": true}`, also of up to 50 calls analysed anew |
| `call_processing_failed` | `{"call_id", "error"}`, a stable code |
| `ping` | `{}`, after 25 s without another event |
"""

ERRORS = """## Errors
Every failure is `application/problem+json`: `type`, `title`, `status`, `code` (stable), `detail` (Russian, or English
by `Accept-Language: en`), and for 422 `errors`: `field`, `code`, `message` each.
"""


def name_of(schema: dict[str, Any]) -> str:
    """A short name for a JSON schema."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rsplit('/', 1)[-1]}`"
    if "anyOf" in schema:
        return " or ".join(name_of(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {name_of(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


def endpoint(path: str, method: str, described: dict[str, Any]) -> str:
    """One endpoint's section."""
    lines = [f"### {method.upper()} {path}", described.get("description", "").strip(), ""]
    body = next(iter(described.get("requestBody", {}).get("content", {}).items()), None)
    if body:
        lines += [f"Body ({body[0]}): {name_of(body[1]['schema'])}", ""]
    if parameters := described.get("parameters"):
        lines += ["| parameter | in | type | |", "|---|---|---|---|"]
        lines += [
            f"| `{p['name']}` | {p['in']} | {name_of(p['schema'])} | {p.get('description', '')} |" for p in parameters
        ]
        lines.append("")
    for status, answer in described["responses"].items():
        if status.startswith("2") and (content := answer.get("content", {}).get("application/json")):
            lines += [f"Answer {status}: {name_of(content['schema'])}", ""]
    return "\n".join(lines)


def shape(name: str, schema: dict[str, Any]) -> str:
    """One schema's table."""
    lines = [f"### {name}", schema.get("description", "").strip(), "", "| field | type | |", "|---|---|---|"]
    for field, described in schema.get("properties", {}).items():
        mark = "" if field in schema.get("required", []) else " (optional)"
        lines.append(f"| `{field}` | {name_of(described)}{mark} | {described.get('description', '')} |")
    return "\n".join([*lines, ""])


def document() -> str:
    """The whole document."""
    for setting in ("DATABASE_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        os.environ.setdefault(setting, "postgresql://")
    os.environ.setdefault("JWT_SECRET", "-" * 32)
    from appliance.app import build

    described = build().openapi()
    parts = [
        "# API",
        "Written by `make docs` from the application's own description; the same is at `/docs`.",
        "",
        "## Endpoints",
    ]
    for path, methods in described["paths"].items():
        parts += [endpoint(path, method, about) for method, about in methods.items() if method != "head"]
    parts += [EVENTS, ERRORS, "## Shapes"]
    for name, schema in sorted(described["components"]["schemas"].items()):
        if not name.startswith("Body_") and not name.endswith("ValidationError"):
            parts.append(shape(name, schema))
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "api.md").write_text(document(), encoding="utf-8")
