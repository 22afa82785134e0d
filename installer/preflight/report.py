"""Findings and plan, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from installer.preflight.checks import Finding, verdict
from installer.preflight.facts import Machine
from installer.preflight.plan import NothingFits, Plan, plan

MARKS = {"ok": "ok", "warn": "!", "refuse": "X"}
WORDS = {
    "ru": {"ok": "Можно устанавливать.", "warn": "Можно устанавливать, но прочтите замечания.", "refuse": "Нельзя."},
    "en": {"ok": "Ready to install.", "warn": "Ready to install; mind the remarks.", "refuse": "Not like this."},
}


def as_json(machine: Machine, findings: list[Finding], variant: str) -> str:
    made = _planned(machine, variant)
    body: dict[str, Any] = {
        "verdict": verdict(findings),
        "findings": [asdict(finding) for finding in findings],
        "plan": asdict(made) if made else None,
        "machine": json.loads(machine.dump()),
    }
    return json.dumps(body, ensure_ascii=False, indent=1)


def as_text(machine: Machine, findings: list[Finding], variant: str, language: str) -> str:
    lines = []
    for finding in findings:
        said, remedy = (finding.ru, finding.remedy_ru) if language == "ru" else (finding.en, finding.remedy_en)
        lines.append(f"  {MARKS[finding.verdict]:>2}  {said}")
        if remedy:
            lines.append(f"        -> {remedy}")
    if made := _planned(machine, variant):
        lines += ["", *_plan_lines(made, language)]
    return "\n".join([*lines, "", WORDS[language][verdict(findings)]])


def _planned(machine: Machine, variant: str) -> Plan | None:
    try:
        return plan(machine, variant)
    except NothingFits:
        return None


def _plan_lines(made: Plan, language: str) -> list[str]:
    ru = language == "ru"
    lines = [
        f"План памяти (профиль {made.profile}):" if ru else f"Memory plan (profile {made.profile}):",
        f"      {'распознавание' if ru else 'speech weights'}: {made.speech}",
        f"      {'звонков сразу' if ru else 'calls at a time'}: {made.speech_workers}{_batch_said(made, ru=ru)}",
        f"      {'разделение голосов' if ru else 'diarizer'}: {made.diarizer}",
    ]
    if not made.language_model:
        return [*lines, "      анализ: встроенный, без модели" if ru else "      analysis: built in, without a model"]
    cache = f"(кэш {made.kv_cache_mb} МиБ)" if ru else f"(cache {made.kv_cache_mb} MiB)"
    options = f"--gpu-memory-utilization {made.vllm_share:.2f} --max-model-len {made.context_tokens}"
    return [
        *lines,
        f"      {'языковая модель' if ru else 'language model'}: {made.language_model}",
        f"      vLLM: {options} {cache}",
    ]


def _batch_said(made: Plan, *, ru: bool) -> str:
    if not made.speech_batch:
        return ""
    return f", {'отрезков речи в пакете' if ru else 'stretches of speech in a batch'}: {made.speech_batch}"
