"""The memory plan: speech weights, diarizer and language model that a machine carries, and vLLM's share of its card."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from installer.preflight.facts import Card, Machine

PROFILES = Path(__file__).parent / "profiles.toml"
LONGEST_CONTEXT = 32_768
"""More than the longest call's transcript with its prompt; more would only cost memory."""


class NothingFits(Exception):
    """No profile goes into this machine."""


@dataclass(frozen=True)
class Plan:
    """What to install and how to set it. `vllm_share` is of the whole card, as --gpu-memory-utilization counts it.

    speech_batch: stretches of speech that are recognised at once; 0 without a card: what suits the processor.
    """

    profile: str
    speech: str
    speech_workers: int
    diarizer: str
    speech_batch: int = 0
    language_model: str = ""
    vllm_share: float = 0
    context_tokens: int = 0
    kv_cache_mb: int = 0


@dataclass(frozen=True)
class Sizes:
    """What every profile on a card reckons with, in MiB: kept free; a further stretch of a batch; one encoded."""

    reserve: int
    stretch: int
    encoded: int


@lru_cache
def profiles() -> tuple[dict[str, Any], Sizes]:
    """The profiles, largest first, and the sizes that they share."""
    data = tomllib.loads(PROFILES.read_text(encoding="utf-8"))
    sizes = Sizes(data["reserve"]["mb"], data["batch"]["stretch_mb"], data["batch"]["encoded_mb"])
    return {profile["name"]: profile for profile in data["profile"]}, sizes


def plan(machine: Machine, variant: str) -> Plan:
    """The first profile that fits. Raises NothingFits."""
    known, sizes = profiles()
    for profile in known.values():
        on_card = not profile["name"].startswith("cpu")
        if on_card != (variant == "nvidia"):
            continue
        made = _on_card(profile, machine, sizes) if on_card else _on_processor(profile, machine)
        if made:
            return made
    raise NothingFits


def speech_mb(profile: dict[str, Any], batch: int, sizes: Sizes) -> int:
    """What speech takes of a card with so many stretches of speech at once."""
    kept = batch * sizes.encoded * int(profile["speech_workers"])
    return int(profile["speech_mb"]) + (batch - 1) * sizes.stretch + kept


def _on_processor(profile: dict[str, Any], machine: Machine) -> Plan | None:
    if machine.memory_mb < profile["memory_mb"]:
        return None
    return Plan(profile["name"], profile["speech"], profile["speech_workers"], profile["diarizer"])


def _on_card(profile: dict[str, Any], machine: Machine, sizes: Sizes) -> Plan | None:
    """With the largest batch that fits: recognition is slower with a smaller one, and a smaller profile worse."""
    if machine.card is None or machine.card.memory_mb < profile["memory_mb"]:
        return None
    batch = int(profile["speech_batch"])
    while batch:
        if made := _with_batch(profile, machine.card, sizes, batch):
            return made
        batch //= 2
    return None


def _with_batch(profile: dict[str, Any], card: Card, sizes: Sizes, batch: int) -> Plan | None:
    """What speech and the reserve leave is vLLM's, never more; and never what somebody else holds already."""
    left_mb = card.free_mb - speech_mb(profile, batch, sizes) - profile["diarizer_mb"] - sizes.reserve
    common = (profile["name"], profile["speech"], profile["speech_workers"], profile["diarizer"], batch)
    if "language_model" not in profile:
        return Plan(*common) if left_mb >= 0 else None
    share = int(100 * left_mb / card.memory_mb) / 100
    kv_mb = int(share * card.memory_mb) - profile["weights_mb"] - profile["working_mb"]
    tokens = kv_mb * 1024 // profile["kv_kib"]
    if tokens < profile["least_context"]:
        return None
    return Plan(*common, profile["language_model"], share, min(tokens, LONGEST_CONTEXT), kv_mb)
