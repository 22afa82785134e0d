"""The profiles that the settings describe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from appliance.config import Settings
from appliance.engines.language import Conversation, Utterance
from appliance.engines.language.profiles import CloudRefused, MaskingRequired, Profile, check_allowed, is_masked
from appliance.errors import ApplianceError
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.providers import Chosen, of_environment
from tests.llm.scripted import serving


def local(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Profile:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return of_environment(Settings.offline())["local"]


def test_the_own_vllm_is_asked_for_no_more_than_it_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its context and its tokenizer are known, so that no long call has to be refused first."""
    (tmp_path / "tokenizer.json").write_text("{}")
    profile = local(monkeypatch, VLLM_WEIGHTS=str(tmp_path), VLLM_CONTEXT="12288", LOCAL_LLM_CONTEXT="65536")
    assert (profile.context_tokens, profile.tokenizer) == (12_288, str(tmp_path / "tokenizer.json"))


def test_another_local_endpoint_has_the_context_of_its_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    profile = local(monkeypatch, VLLM_WEIGHTS="", LOCAL_LLM_CONTEXT="65536")
    assert (profile.context_tokens, profile.tokenizer) == (65_536, "")
    assert local(monkeypatch, VLLM_WEIGHTS=str(tmp_path)).tokenizer == "", "weights without one are counted by bytes"


@pytest.mark.parametrize("prices", [("0", "0"), ("0", "10"), ("2.5", "0")])
def test_a_cap_that_can_never_be_reached_is_refused(monkeypatch: pytest.MonkeyPatch, prices: tuple[str, str]) -> None:
    for name, value in zip(("INPUT", "OUTPUT"), prices, strict=True):
        monkeypatch.setenv(f"OPENAI_PRICE_{name}", value)
    assert of_environment(Settings.offline())["openai"].daily_cost_cap is None
    monkeypatch.setenv("OPENAI_DAILY_COST_CAP", "20")
    if prices == ("0", "0"):
        with pytest.raises(ValidationError, match="OPENAI_PRICE_INPUT"):
            Settings.offline()
    else:
        assert of_environment(Settings.offline())["openai"].daily_cost_cap == 20


RULES = {
    # residency, MASK_PII: whether a cloud profile may be used, and whether it and a local one are masked
    ("local-only", "cloud"): (CloudRefused, True, False),
    ("local-only", "always"): (CloudRefused, True, True),
    ("local-only", "never"): (CloudRefused, False, False),
    ("cloud-masked", "cloud"): (None, True, False),
    ("cloud-masked", "always"): (None, True, True),
    ("cloud-masked", "never"): (MaskingRequired, False, False),
    ("cloud-allowed", "cloud"): (None, True, False),
    ("cloud-allowed", "always"): (None, True, True),
    ("cloud-allowed", "never"): (None, False, False),
}


@pytest.mark.parametrize(("residency", "masking"), RULES)
def test_residency_and_masking_decide_together(residency: Any, masking: Any) -> None:
    refusal, cloud_masked, local_masked = RULES[residency, masking]
    cloud = Profile(name="far", residency="cloud", base_url="https://api.example.com/v1", model="m")
    near = Profile(name="near", residency="local", base_url="http://127.0.0.1:9/v1", model="m")
    check_allowed(near, residency, masking)
    if refusal:
        with pytest.raises(ApplianceError) as refused:
            check_allowed(cloud, residency, masking)
        assert type(refused.value) is refusal
    else:
        check_allowed(cloud, residency, masking)
    assert (is_masked(cloud, masking), is_masked(near, masking)) == (cloud_masked, local_masked)


@pytest.mark.parametrize(("masking", "is_sent"), [("cloud", True), ("always", False), ("never", True)])
def test_a_local_model_is_told_names_unless_they_are_always_masked(
    monkeypatch: pytest.MonkeyPatch, masking: str, is_sent: bool
) -> None:
    said = "Здравствуйте, меня зовут Иван Петрович Сидоров, хочу купить машину."
    call = Conversation((Utterance("0", "A", 0, 3000, said),), "ru", "incoming")
    monkeypatch.setenv("MASK_PII", masking)
    with serving() as script:
        monkeypatch.setenv("LOCAL_LLM_URL", script.url)
        settings = Settings.offline()
        equipment = Equipment(settings, stored=False)
        record = equipment.analyst(Chosen(of_environment(settings)["local"]), call_id=None).analyse(call)
        sent = json.dumps(script.requests, ensure_ascii=False)
    assert ("Сидоров" in sent) is is_sent
    assert "Сидоров" in record.analysis.summary, "put back where it was masked"
