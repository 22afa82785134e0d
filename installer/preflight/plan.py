"""The memory plan: speech weights, diarizer and language model that a machine carries, and vLLM's share of its card."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from installer.preflight.facts import Machine

PROFILES = Path(__file__).parent / "profiles.toml"
LONGEST_CONTEXT = 32_768
"""More than the longest call's transcript with its prompt; more would only cost memory."""


class NothingFits(Exception):
    """No profile goes into this machine."""


@dataclass(frozen=True)
class Plan:
    """What to install and how to set it. `vllm_share` is of the whole card, as --gpu-memory-utilization counts it."""

    profile: str
    speech: str
    speech_workers: int
    diarizer: str
    language_model: str = ""
    vllm_share: float = 0
    context_tokens: int = 0
    kv_cache_mb: int = 0


@lru_cache
def profiles() -> tuple[dict[str, Any], int]:
    """The profiles, largest first, and the reserve in MiB."""
    data = tomllib.loads(PROFILES.read_text(encoding="utf-8"))
    return {profile["name"]: profile for profile in data["profile"]}, data["reserve"]["mb"]


def plan(machine: Machine, variant: str) -> Plan:
    """The first profile that fits. Raises NothingFits."""
    known, reserve_mb = profiles()
    for profile in known.values():
        on_card = not profile["name"].startswith("cpu")
        if on_card != (variant == "nvidia"):
            continue
        made = _on_card(profile, machine, reserve_mb) if on_card else _on_processor(profile, machine)
        if made:
            return made
    raise NothingFits


def _on_processor(profile: dict[str, Any], machine: Machine) -> Plan | None:
    if machine.memory_mb < profile["memory_mb"]:
        return None
    return Plan(profile["name"], profile["speech"], profile["speech_workers"], profile["diarizer"])


def _on_card(profile: dict[str, Any], machine: Machine, reserve_mb: int) -> Plan | None:
    """What speech and the reserve leave is vLLM's, never more; and never what somebody else holds already."""
    card = machine.card
    if card is None or card.memory_mb < profile["memory_mb"]:
        return None
    others_mb = profile["speech_mb"] * profile["speech_workers"] + profile["diarizer_mb"] + reserve_mb
    left_mb = card.free_mb - others_mb
    common = (profile["name"], profile["speech"], profile["speech_workers"], profile["diarizer"])
    if "language_model" not in profile:
        return Plan(*common) if left_mb >= 0 else None
    share = int(100 * left_mb / card.memory_mb) / 100
    kv_mb = int(share * card.memory_mb) - profile["weights_mb"] - profile["working_mb"]
    tokens = kv_mb * 1024 // profile["kv_kib"]
    if tokens < profile["least_context"]:
        return None
    return Plan(*common, profile["language_model"], share, min(tokens, LONGEST_CONTEXT), kv_mb)
