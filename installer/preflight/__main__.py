"""`python3 -m installer.preflight`: the same look before anything is installed. Exit status 1 where it refuses."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from installer.language import Parser, spoken
from installer.preflight import checks, facts, given, report


def main() -> int:
    options = Parser(
        prog="preflight", description="Look whether this machine is fit / Проверить машину перед установкой."
    )
    options.add_argument("--port", type=int, help="port of the API / порт API")
    options.add_argument(
        "--settings", type=Path, help="settings that the installation is to be given / настройки для установки"
    )
    options.add_argument("--variant", choices=("cpu", "nvidia"), default="cpu", help="the bundle's / вариант комплекта")
    options.add_argument(
        "--folder", type=Path, default=Path("/var/lib/call-analytics"), help="of the data / папка данных"
    )
    options.add_argument("--built-at", type=float, default=0, help=argparse.SUPPRESS)
    options.add_argument("--language", choices=("ru", "en"), default=spoken(), help="language / язык")
    options.add_argument("--json", action="store_true", help="for programs / для программ")
    chosen = options.parse_args()
    try:
        settings = given.read(chosen.settings) if chosen.settings else {}
        port = chosen.port or int(settings.get("PORT", "8000"))
        machine = facts.gather((port,), chosen.folder, settings=settings)
    except (OSError, ValueError) as error:
        options.error(f"--settings: {given.said(error, options.language)}")
    return tell(machine, chosen.variant, port, chosen.language, chosen.built_at, as_json=chosen.json)


def tell(machine: facts.Machine, variant: str, port: int, language: str, built_at: float, *, as_json: bool) -> int:
    """Print what there is to say; 1 where it must not be installed."""
    findings = checks.decide(machine, variant, (port,), built_at)
    text = report.as_json(machine, findings, variant)
    sys.stdout.write((text if as_json else report.as_text(machine, findings, variant, language)) + "\n")
    return int(checks.verdict(findings) == "refuse")


if __name__ == "__main__":
    sys.exit(main())
