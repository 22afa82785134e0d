"""What is said of machines: a table of recorded facts; the memory plan; and a look at the machine that runs this."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from installer.preflight import checks, facts, report
from installer.preflight.plan import LONGEST_CONTEXT, NothingFits, plan, profiles, speech_mb
from tests.conftest import ROOT

RECORDED = yaml.safe_load((Path(__file__).parent / "machines.yaml").read_text(encoding="utf-8"))
BUILT_AT = 1_780_000_000


def machine(case: dict[str, Any]) -> facts.Machine:
    known = {**RECORDED["base"], **case.get("facts", {})}
    if "card" in case:
        known |= {"cards": [RECORDED["cards"][case["card"]]], "nvidia_hardware": True}
    return facts.Machine.load(json.dumps(known))


@pytest.mark.parametrize("name", RECORDED["machines"])
def test_what_is_said_of_a_machine(name: str) -> None:
    case = RECORDED["machines"][name]
    variant = case.get("variant", "cpu")
    findings = checks.decide(machine(case), variant, (8000,), BUILT_AT)
    assert {found.check: found.verdict for found in findings if found.verdict != "ok"} == case.get("not_ok", {})
    assert checks.verdict(findings) == case["verdict"]
    assert [found for found in findings if (found.verdict == "ok") == bool(found.remedy_ru)] == []
    assert [found for found in findings if bool(found.remedy_en) != bool(found.remedy_ru)] == []
    try:
        profile = plan(machine(case), variant).profile
    except NothingFits:
        profile = None
    assert profile == case["profile"]


@pytest.mark.parametrize("card", ["a4000", "l4", "rtx3090", "l40s", "h100"])
def test_vllm_gets_what_speech_leaves_and_never_all(card: str) -> None:
    fitted = machine({"card": card})
    made = plan(fitted, "nvidia")
    known, sizes = profiles()
    profile, free_mb = known[made.profile], fitted.cards[0].free_mb
    others_mb = speech_mb(profile, made.speech_batch, sizes) + profile["diarizer_mb"] + sizes.reserve
    vllm_mb = made.vllm_share * fitted.cards[0].memory_mb
    assert vllm_mb + others_mb <= free_mb
    assert vllm_mb >= profile["weights_mb"] + profile["working_mb"] + made.kv_cache_mb - 1
    assert profile["least_context"] <= made.context_tokens <= LONGEST_CONTEXT
    assert made.vllm_share < 0.92  # vLLM's own default, blind to others on the card


@pytest.mark.parametrize(
    ("card", "batch"), [("rtx4060", 8), ("t4", 4), ("a4000", 4), ("l4", 4), ("rtx3090", 4), ("l40s", 16), ("h100", 16)]
)
def test_a_card_is_given_the_batch_of_its_profile(card: str, batch: int) -> None:
    fitted = machine({"card": card})
    made = plan(fitted, "nvidia")
    assert made.speech_batch == profiles()[0][made.profile]["speech_batch"] == batch
    findings = checks.decide(fitted, "nvidia", (8000,))
    assert f"stretches of speech in a batch: {batch}\n" in report.as_text(fitted, findings, "nvidia", "en")
    assert f"отрезков речи в пакете: {batch}\n" in report.as_text(fitted, findings, "nvidia", "ru")
    assert json.loads(report.as_json(fitted, findings, "nvidia"))["plan"]["speech_batch"] == batch


def test_a_smaller_batch_goes_before_a_smaller_profile() -> None:
    """From card to card with less and less of it free: the batch is halved, then the profile below is taken."""
    whole = machine({"card": "l4"})
    found = []
    for free_mb in range(whole.cards[0].free_mb, 14_000, -50):
        fitted = replace(whole, cards=(replace(whole.cards[0], free_mb=free_mb),))
        made = plan(fitted, "nvidia")
        found.append((made.profile, made.speech_batch))
        known, sizes = profiles()
        others_mb = speech_mb(known[made.profile], made.speech_batch, sizes) + sizes.reserve
        assert others_mb + known[made.profile]["diarizer_mb"] + made.vllm_share * 23_034 <= free_mb
    assert list(dict.fromkeys(found))[:4] == [("24", 4), ("24", 2), ("24", 1), ("16", 4)]


def test_speech_of_a_batch_is_what_was_measured() -> None:
    """faster-whisper's authors: eight stretches of large at once take 6090 MiB; more calls bring no second copy."""
    known, sizes = profiles()
    one, three = ({**known["80"], "speech_workers": count} for count in (1, 3))
    assert 6090 <= speech_mb(one, 8, sizes) < 6090 * 1.05
    assert speech_mb(three, 8, sizes) - speech_mb(one, 8, sizes) == 2 * 8 * sizes.encoded
    assert plan(machine({}), "cpu").speech_batch == 0


def test_a_recording_is_read_back_as_it_was() -> None:
    recorded = machine({"card": "l4"})
    assert facts.Machine.load(recorded.dump()) == recorded


def test_cards_as_nvidia_smi_lists_them() -> None:
    listing = "NVIDIA L4, 23034, 22563, 8.9, 580.95.05\nGRID, with comma, 4096, [N/A], 7.5, 535.1"
    assert [card.name for card in facts.cards(listing)] == ["NVIDIA L4", "GRID, with comma"]
    assert facts.cards(listing)[1].free_mb == 0
    assert facts.cards("") == ()


def test_both_languages_show_verdict_remedy_and_plan() -> None:
    fitted = machine({"card": "l4", "facts": {"disk_free_mb": 6000}})
    findings = checks.decide(fitted, "nvidia", (8000,))
    russian = report.as_text(fitted, findings, "nvidia", "ru")
    english = report.as_text(fitted, findings, "nvidia", "en")
    assert "освободите место" in russian
    assert "free or add space" in english
    assert f"--gpu-memory-utilization {plan(fitted, 'nvidia').vllm_share:.2f}" in english
    assert json.loads(report.as_json(fitted, findings, "nvidia"))["verdict"] == "refuse"


def test_it_looks_at_this_machine_with_nothing_installed_and_changes_nothing(tmp_path: Path) -> None:
    command = ["-I", "-c", "import sys; sys.path.insert(0, '.'); from installer.preflight.__main__ import main; main()"]
    options = ["--json", "--folder", str(tmp_path / "data")]
    done = subprocess.run(
        [sys.executable, "-S", *command, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    seen = json.loads(done.stdout)["machine"]
    assert seen["memory_mb"] > 500
    assert seen["disk_write_mb_s"] > 0
    assert list(tmp_path.iterdir()) == []
