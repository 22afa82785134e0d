"""Weights that a bundle carries: chosen by the memory profile, and put to use as the machine's plan has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from installer.bundle.__main__ import weights_of
from installer.failures import StepFailed
from installer.preflight.plan import plan
from installer.setup import carried
from tests.installer.test_preflight import machine

FILES = {
    "large-v3": "model.bin",
    "large-v3-turbo": "model.bin",
    "community-1": "config.yaml",
    "Qwen3-14B-AWQ": "model-00001-of-00002.safetensors",
}

LAID = Path("/var/lib/call-analytics/models")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name, file in FILES.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()
    return tmp_path


def folders(models: Path) -> list[Path]:
    return sorted(models.iterdir())


def test_what_the_plan_names_is_put_to_use_with_its_share_of_the_card(models: Path) -> None:
    made = plan(machine({"card": "l4"}), "nvidia")
    chosen = carried.settings(folders(models), LAID, made)
    assert chosen == {
        "WHISPER_MODEL_PATH": str(LAID / made.speech),
        "SPEECH_BATCH_SIZE": "4",
        "PYANNOTE_WEIGHTS": str(LAID / "community-1"),
        "VLLM_WEIGHTS": str(LAID / made.language_model),
        "VLLM_SHARE": f"{made.vllm_share:.2f}",
        "VLLM_CONTEXT": str(made.context_tokens),
        "LOCAL_LLM_MODEL": "Qwen3-14B-AWQ",
        "LOCAL_LLM_CONTEXT": str(made.context_tokens),
        "LLM_PROVIDER": "local",
    }
    assert carried.unused(folders(models), chosen) == ["large-v3-turbo"]


def test_a_model_for_a_larger_card_is_not_started(models: Path) -> None:
    chosen = carried.settings(folders(models), LAID, plan(machine({"card": "a4000"}), "nvidia"))
    assert chosen["WHISPER_MODEL_PATH"] == str(LAID / "large-v3-turbo")
    assert not {"VLLM_WEIGHTS", "LLM_PROVIDER"} & chosen.keys()
    assert carried.unused(folders(models), chosen) == ["Qwen3-14B-AWQ", "large-v3"]


def test_as_many_calls_at_a_time_as_the_card_has_room_for(models: Path) -> None:
    made = plan(machine({"card": "h100"}), "nvidia")
    chosen = carried.settings(folders(models), LAID, made)
    assert chosen["SPEECH_WORKERS"] == str(made.speech_workers) == "3"
    assert chosen["SPEECH_BATCH_SIZE"] == str(made.speech_batch) == "16"


def test_a_plan_with_other_speech_weights_is_not_gone_by(models: Path) -> None:
    """Heavier ones beside a language model would not fit."""
    made = plan(machine({"card": "a4000"}), "nvidia")
    others = [folder for folder in folders(models) if folder.name != made.speech]
    assert carried.settings(others, LAID, made) == {
        "WHISPER_MODEL_PATH": str(LAID / "large-v3"),
        "PYANNOTE_WEIGHTS": str(LAID / "community-1"),
    }


def test_a_further_machine_and_one_without_a_card(models: Path) -> None:
    made = plan(machine({"card": "l4"}), "nvidia")
    assert carried.settings(folders(models), LAID, made, is_node=True).keys() == {
        "WHISPER_MODEL_PATH",
        "SPEECH_BATCH_SIZE",
        "PYANNOTE_WEIGHTS",
    }
    for without in (plan(machine({}), "cpu"), None):
        assert carried.settings(folders(models), LAID, without).keys() == {"WHISPER_MODEL_PATH"}


def test_a_bundle_carries_what_its_profile_names(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert weights_of("24", models) == [models / name for name in ("large-v3", "Qwen3-14B-AWQ", "community-1")]
    assert weights_of("cpu-small", models) == []
    with pytest.raises(StepFailed, match="in a folder Qwen3-8B-AWQ"):
        weights_of("16", models)
    (models / "Qwen3-14B-AWQ" / FILES["Qwen3-14B-AWQ"]).rename(models / "Qwen3-14B-AWQ" / "model.gguf")
    with pytest.raises(StepFailed, match="in a folder Qwen3-14B-AWQ"):  # what vLLM does not load
        weights_of("24", models)
    (models / "community-1" / "config.yaml").unlink()
    assert weights_of("8", models) == [models / "large-v3-turbo"]
    assert "no diarizer" in capsys.readouterr().out


def test_of_several_cards_the_freest_is_the_one_for_everything() -> None:
    one = machine({"card": "l4"})
    busy = replace(one.cards[0], free_mb=100)
    assert one.numbered_card == ""
    assert replace(one, cards=(busy, one.cards[0])).numbered_card == "1"
    assert replace(one, cards=(one.cards[0], busy)).numbered_card == "0"
