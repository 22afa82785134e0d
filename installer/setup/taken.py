"""The company's own settings, put together with the installation's, and tried for real before anything is started."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from appliance.config import Settings, SettingsInvalid, check_file
from installer.setup.step import StepFails

OURS = {"DATA_DIR", "MODELS_DIR", "DEMO", "NODES_LISTEN", "NODE_NAME", "NODE_WORKERS", "SEAL_KEY"}
"""What the installation decides, or a command later."""

BESIDES = {"POSTGRES_PASSWORD"}
"""Of the bundled database; not of Settings."""

PARTS = {"DATABASE_URL": "postgresql", "S3_ENDPOINT": "s3", "REDIS_URL": "queue"}
"""What `doctor` can try before there is a table. A language model is tried by it afterwards."""

STORE = ("S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY")


def together(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The company's settings go before what the memory plan chose; with its own language model none is started here."""
    if given.get("LOCAL_LLM_URL"):
        of_model = ("VLLM_", "LOCAL_LLM_", "LLM_PROVIDER")
        own = {name: value for name, value in own.items() if not name.startswith(of_model)}
    return {**own, **given}


def check(given: Mapping[str, str], language: str) -> None:
    """Raises StepFails with what is wrong and how to mend it."""
    ru = language == "ru"
    known = {name.upper() for name in Settings.model_fields} | BESIDES
    if unknown := sorted(given.keys() - known):
        raise StepFails(f"{'Таких настроек нет' if ru else 'There are no such settings'}: {', '.join(unknown)}")
    if decided := sorted(given.keys() & OURS):
        raise StepFails(f"{'Их пишет сама установка' if ru else 'The installation writes these'}: {', '.join(decided)}")
    if any(given.get(name) for name in STORE) and not all(given.get(name) for name in STORE):
        raise StepFails(f"{'Нужны все три' if ru else 'All three are needed'}: {', '.join(STORE)}")
    with tempfile.NamedTemporaryFile("w", suffix=".env", encoding="utf-8") as file:  # readable for root alone
        for name, value in (_stand_ins() | dict(given)).items():
            file.write(f"{name}={value}\n")
        file.flush()
        try:
            check_file(Path(file.name))
        except SettingsInvalid as error:
            raise StepFails(error.message(language)) from None
        _try(Path(file.name), [part for name, part in PARTS.items() if given.get(name)], language)


def _stand_ins() -> dict[str, str]:
    """For what is made at the first start."""
    nowhere = {"DATABASE_URL": "postgresql://localhost/none", "S3_ENDPOINT": "http://localhost", "S3_ACCESS_KEY": "-"}
    return {**nowhere, "S3_SECRET_KEY": "-", "JWT_SECRET": secrets.token_hex(32)}


def _try(file: Path, parts: list[str], language: str) -> None:
    """In a process of its own: this one has settings of its own to read yet."""
    if not parts:
        return
    command = [str(Path(sys.prefix) / "bin" / "appliance"), "doctor", "--json"]
    command += [argument for part in parts for argument in ("--part", part)]
    told = {**os.environ, "APPLIANCE_ENV_FILE": str(file), "APPLIANCE_LANG": language}
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise StepFails(done.stderr.strip()[-600:]) from None
    failed = [one for one in found if not one["ok"]]
    if failed:
        raise StepFails("\n".join(f"{one['part']}: {one['found']}\n  -> {one['remedy']}" for one in failed))
