"""What the documentation does not name does not exist for its readers: settings, commands, endpoints, changelog."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest
import typer
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import SecretStr

from appliance.api.documentation import examples
from appliance.app import build
from appliance.cli import app as cli
from appliance.config import Settings, settings
from tests.conftest import ROOT

DOCS = ROOT / "docs"


def document(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_setting_is_documented() -> None:
    text = document("settings.md")
    missing = [name.upper() for name in Settings.model_fields if f"`{name.upper()}`" not in text]
    assert not missing
    undescribed = [name for name, field in Settings.model_fields.items() if not field.description]
    assert not undescribed


def test_every_key_is_in_the_inventory() -> None:
    """docs/security.md says where it lies, who makes it and how it is changed."""
    inventory = document("security.md").split("## Keys")[1].split("\n## ")[0]
    secret = [name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr]
    assert len(secret) > 5
    assert not [name for name in secret if f"`{name}`" not in inventory]


def noted_actions() -> Iterator[str]:
    """What the trail is told anywhere in the code."""
    for file in (ROOT / "appliance").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {"audit.append", "_note"}:
                named = (part for part in ast.walk(call.args[1]) if isinstance(part, ast.Constant))
                yield from (str(part.value) for part in named)


def test_every_action_of_the_audit_trail_is_documented() -> None:
    trail = document("security.md").split("## The audit trail")[1].split("\n## ")[0]
    noted = set(noted_actions())
    assert len(noted) > 30
    assert not [action for action in noted if f"`{action}`" not in trail]


def test_no_setting_is_documented_that_does_not_exist() -> None:
    named = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", document("settings.md"), re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}


def commands(group: typer.Typer, prefix: str = "") -> Iterator[str]:
    for command in group.registered_commands:
        name = command.name or (command.callback.__name__.replace("_", "-") if command.callback else "")
        yield f"{prefix}{name}"
    for part in group.registered_groups:
        assert part.typer_instance
        yield from commands(part.typer_instance, f"{prefix}{part.name} ")


def test_every_command_is_documented() -> None:
    text = document("operation.md")
    missing = [name for name in commands(cli) if f"`appliance {name}" not in text]
    assert not missing


def test_every_endpoint_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APPLIANCE_ENV_FILE", raising=False)
    for name, value in {
        "DATABASE_URL": "postgresql://",
        "S3_ENDPOINT": "http://x",
        "S3_ACCESS_KEY": "x",
        "S3_SECRET_KEY": "x",
        "JWT_SECRET": "x" * 32,
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    text = document("api.md")
    paths = build().openapi()["paths"]
    settings.cache_clear()
    missing = [
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if method != "head" and f"{method.upper()} {path}" not in text
    ]
    assert not missing
    assert "/ws/calls" in text


def test_the_api_document_is_up_to_date() -> None:
    """`make docs` writes it anew."""
    written = subprocess.run(
        [sys.executable, "-c", "import make_api, sys; sys.stdout.write(make_api.document())"],
        cwd=DOCS,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert written == document("api.md")


def test_the_documents_link_to_what_is_there() -> None:
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def cases_of(file: Path) -> set[str]:
    """Names of a file's tests, as pytest writes them behind the file's."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
    return names


def test_every_test_that_the_security_table_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", document("asvs.md"))
    assert len(named) > 100
    assert not [f"{file}::{name}" for file, name in named if name not in cases_of(ROOT / file)]


def test_every_test_that_the_reliability_page_names_exists() -> None:
    """`…` stands for the file that was named before."""
    file, missing = "", []
    found = re.findall(r"`(tests/[\w/]+\.py|…)::(\w+)`", document("reliability.md"))
    assert len(found) > 80
    for named, name in found:
        file = file if named == "…" else named
        if name not in cases_of(ROOT / file):
            missing.append(f"{file}::{name}")
    assert not missing


def test_every_test_that_any_page_names_exists() -> None:
    """By its file or by its name alone; what stands behind `::` is looked at above."""
    files = {file.relative_to(ROOT).as_posix(): cases_of(file) for file in (ROOT / "tests").rglob("*.py")}
    cases = set().union(*files.values())
    missing = []
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        missing += [f"{page.name}: {name}" for name in re.findall(r"tests/[\w/]+\.py", text) if name not in files]
        missing += [
            f"{page.name}: {name}" for name in re.findall(r"`(test_(?:[a-z0-9]+_){2,}\w+)`", text) if name not in cases
        ]
        beside = {Path(file).name for file in files}
        missing += [f"{page.name}: {name}" for name in re.findall(r"`(test_\w+\.py)`", text) if name not in beside]
    assert not missing


def test_the_security_table_holds_each_requirement_once() -> None:
    """ASVS 5.0 has 253 requirements of levels 1 and 2."""
    rows = re.findall(r"^\| ([\d., ]+) \| (.+?) \| (.*?) \| (.*?) ?\|$", document("asvs.md"), re.MULTILINE)
    numbers = [number for ids, *_ in rows for number in ids.split(", ")]
    assert len(numbers) == len(set(numbers)) == 253
    assert {state for _, state, *_ in rows} == {"met", "part", "not met", "n/a"}
    assert not [ids for ids, state, why, _ in rows if state != "met" and not why]


def test_the_product_speaks_of_itself_alone() -> None:
    """No placeholder is left in a document."""
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md"), *(ROOT / "weights").rglob("*.md")]
    assert not [p.name for p in pages if re.search(r"TODO|FIXME|TIME_[A-Z]+|_TABLE\b", p.read_text(encoding="utf-8"))]


def test_public_functions_of_engines_and_evaluation_say_what_they_do() -> None:
    silent = [
        f"{file.name}: {node.name}"
        for folder in (ROOT / "appliance" / "engines", ROOT / "appliance" / "evaluation")
        for file in folder.rglob("*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if not ast.get_docstring(node)
    ]
    assert not silent


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """The application's OpenAPI description."""
    script = (
        "import json, make_api; make_api.document(); import appliance.app as a; print(json.dumps(a.build().openapi()))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=DOCS, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_the_openapi_description_is_valid(described: dict[str, Any]) -> None:
    openapi_spec_validator.validate(described)


def test_everything_json_has_an_example_that_fits(described: dict[str, Any]) -> None:
    parts = []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            contents = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in contents:
                parts += [(f"{method} {path}", kind, body) for kind, body in content.get("content", {}).items()]
    kinds = {"application/json", "multipart/form-data", "application/problem+json"}
    structured = [part for part in parts if part[1] in kinds]
    assert len(structured) > 60
    assert not [where for where, _, body in structured if "example" not in body]
    for _, _, body in structured:
        schema = {**body["schema"], "components": described["components"]}
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(body["example"])


def test_no_example_is_of_an_endpoint_that_does_not_exist(described: dict[str, Any]) -> None:
    known = {f"{method.upper()} {path}" for path, operations in described["paths"].items() for method in operations}
    assert {name for name in examples() if " " in name} <= known


def test_the_guides_examples_are_the_documented_ones(described: dict[str, Any]) -> None:
    example = described["paths"]["/api/calls"]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    assert (example["total"], example["calls"][0]["clientName"]) == (248, "Михаил Козлов")
    assert "422" not in described["paths"]["/api/calls"]["get"]["responses"]
    assert "HTTPValidationError" not in json.dumps(described)
