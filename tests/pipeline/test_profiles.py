"""The profiles that the settings describe."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config import Settings
from appliance.engines.language.profiles import Profile
from appliance.pipeline.providers import of_environment


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
