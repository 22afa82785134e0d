"""Recognition is told of the names to expect, where its weights understand that."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from appliance.engines import audio
from appliance.engines.speech import SAMPLE_RATE, Samples, SpeechEngine
from appliance.engines.speech.vocabulary import Name, makes_and_models, of_names
from appliance.engines.speech.weights import open_engine
from tests.conftest import SAMPLES

NAMES = of_names([Name("Автосалон Восток")]).joined(makes_and_models())


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    decoded = tmp_path_factory.mktemp("hot") / "samples.s16"
    audio.decode(SAMPLES / "ru-test-drive.mp3", decoded)
    return audio.samples_of(decoded, 1, 0)


def prompts_of(engine: SpeechEngine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the library's decoder is given before each window, filled as it recognises."""
    model: Any = engine._model  # type: ignore[attr-defined]
    found: list[str] = []
    real = model.model.generate

    class Watched:
        def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> Any:
            found.append(model.hf_tokenizer.decode(prompts[0], skip_special_tokens=False))
            return real(features, prompts, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(real.__self__, name)

    monkeypatch.setattr(model, "model", Watched())
    return found


def test_every_window_is_told_of_the_names(demo_weights: Path, samples: Samples, tmp_path: Path) -> None:
    """The demo weights under another name, which are said to understand it, and a short list: they do not."""
    folder = shutil.copytree(demo_weights / "ct2", tmp_path / "whisper-tiny")
    (folder / "appliance.json").write_text('{"hot_words": true}')
    engine = open_engine(folder, threads=2)
    with pytest.MonkeyPatch.context() as patch:
        prompts = prompts_of(engine, patch)
        engine.transcribe(
            samples[: 15 * SAMPLE_RATE], languages=("ru",), vocabulary=of_names([Name("Автосалон Восток")])
        )
        assert prompts
        told = [
            prompt for prompt in prompts if prompt.startswith("<|startofprev|> Автосалон Восток<|startoftranscript|>")
        ]
        rest = {prompt for prompt in prompts if prompt not in told}
        # Speech that was passed over is listened to once more without names.
        assert len(told) >= len(prompts) - len(rest) > 0
        assert rest <= {"<|startoftranscript|><|ru|><|transcribe|>"}
        assert {prompt.split("<|startoftranscript|>")[1] for prompt in told} == {"<|ru|><|transcribe|>"}


@pytest.mark.parametrize("weights", ["ct2", "ggml-demo.bin"])
def test_the_demo_weights_are_told_of_none(demo_weights: Path, samples: Samples, weights: str) -> None:
    engine = open_engine(demo_weights / weights, threads=2)
    with pytest.MonkeyPatch.context() as patch:
        prompts = prompts_of(engine, patch) if weights == "ct2" else []
        found = engine.transcribe(samples, languages=("ru",), vocabulary=NAMES)
        assert not any("startofprev" in prompt for prompt in prompts)
    said, told = (
        " ".join(segment.text for segment in heard.segments)
        for heard in (found, engine.transcribe(samples, languages=("ru",)))
    )
    assert said == told
    assert "тест-драйв" in said
