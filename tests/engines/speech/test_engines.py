"""Both real engines on the same weights."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import jiwer
import numpy as np
import pytest
import yaml

from appliance.engines import audio
from appliance.engines.speech import SAMPLE_RATE, Samples, SpeechEngine
from appliance.engines.speech.weights import open_engine
from appliance.errors import EngineError
from appliance.evaluation.demo_weights import mixes
from appliance.evaluation.speech import Item, evaluate
from appliance.evaluation.wording import normalised
from tests.conftest import ROOT, SAMPLES

WITHIN = 0.01
"""Of word error rates: how far the engines may be apart with the same weights."""

CALLS_OF_EACH = 4

DIALOGUES = yaml.safe_load((SAMPLES / "dialogues.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def engines(demo_weights: Path) -> dict[str, SpeechEngine]:
    return {
        "faster-whisper": open_engine(demo_weights / "ct2", threads=2),
        "whisper.cpp": open_engine(demo_weights / "ggml-demo.bin", threads=2),
    }


def channels_of(name: str, folder: Path) -> list[Samples]:
    shape = DIALOGUES[name]["sound"]
    decoded = folder / "samples.s16"
    count = audio.decode(SAMPLES / f"{name}.{shape['file']}", decoded)
    return [audio.samples_of(decoded, count, n) for n in range(count)]


@pytest.fixture(scope="session")
def heard(
    engines: dict[str, SpeechEngine], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], list[str]]:
    """The words of each channel that an engine hears in a sample, without case and punctuation."""

    @cache
    def listen(which: str, name: str) -> list[str]:
        texts = []
        for samples in channels_of(name, tmp_path_factory.mktemp(name)):
            found = engines[which].transcribe(samples, languages=("ru", "en", "kk"))
            text = " ".join(segment.text for segment in found.segments)
            texts.append(normalised(text, DIALOGUES[name]["language"]))
        return texts

    return listen


def said(name: str) -> list[str]:
    dialogue = DIALOGUES[name]
    sides: Sequence[str] = ("A", "B") if dialogue["sound"]["channels"] == 2 else ("AB",)
    texts = [" ".join(text for speaker, text in dialogue["lines"] if speaker in side) for side in sides]
    return [normalised(text, dialogue["language"]) for text in texts]


@pytest.mark.parametrize("name", DIALOGUES)
@pytest.mark.parametrize("which", ["faster-whisper", "whisper.cpp"])
def test_the_sample_calls_are_understood(heard: Callable[[str, str], list[str]], which: str, name: str) -> None:
    """The sample calls, telephone codecs among them, at no more than one word in ten wrong."""
    assert jiwer.wer(said(name), heard(which, name)) <= 0.10


def test_the_same_weights_err_alike_in_both_engines(
    engines: dict[str, SpeechEngine], heard: Callable[[str, str], list[str]]
) -> None:
    """On the sample calls: word error rates less than one percentage point apart."""
    rates = {}
    for which in engines:
        found = [text for name in DIALOGUES for text in heard(which, name)]
        rates[which] = jiwer.wer([text for name in DIALOGUES for text in said(name)], found)
    assert abs(rates["faster-whisper"] - rates["whisper.cpp"]) < WITHIN


def test_the_same_weights_err_alike_on_what_training_never_heard(engines: dict[str, SpeechEngine]) -> None:
    """The first calls of `appliance evaluate demo-weights`: both languages, clean and by telephone in noise."""
    items: list[Item] = []
    counted: Counter[str] = Counter()
    for item in mixes(ROOT / "weights" / "demo"):
        if counted[item.group] < CALLS_OF_EACH:
            items.append(item)
            counted[item.group] += 1
    assert len(counted) == 4
    rates, words = {}, 0
    for which, engine in engines.items():
        scores = evaluate(engine, items, ("ru", "en", "kk"))
        words = sum(score.words for score in scores)
        rates[which] = sum(score.words * score.word_error_rate for score in scores) / words
        print(which, f"{rates[which]:.2%}", [f"{score.group}: {score.word_error_rate:.2%}" for score in scores])
    assert words > 400
    assert abs(rates["faster-whisper"] - rates["whisper.cpp"]) < WITHIN


@pytest.mark.parametrize("which", ["faster-whisper", "whisper.cpp"])
def test_words_have_times_and_probabilities(engines: dict[str, SpeechEngine], which: str, tmp_path: Path) -> None:
    samples = channels_of("ru-test-drive", tmp_path)[0]
    shares: list[float] = []
    found = engines[which].transcribe(samples, languages=("ru", "en"), on_progress=shares.append)
    assert (found.language, found.language_probability > 0.9) == ("ru", True)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    for segment in found.segments:
        assert 0 <= segment.start_ms <= segment.end_ms <= len(samples) * 1000 // SAMPLE_RATE
        assert 0 <= segment.confidence <= 1
        assert segment.text == " ".join(word.text for word in segment.words)
        for word in segment.words:
            assert segment.start_ms <= word.start_ms <= word.end_ms <= segment.end_ms
            assert 0 <= word.probability <= 1
            assert word.text == word.text.strip() != ""


def test_a_tokenizer_that_names_no_timestamps_serves(
    engines: dict[str, SpeechEngine], demo_weights: Path, tmp_path: Path
) -> None:
    """As that of faster-whisper's conversions of Whisper base and tiny: its tokens end before the timestamps."""
    folder = shutil.copytree(demo_weights, tmp_path / "older") / "ct2"
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    named = [token for token in tokenizer["added_tokens"] if not re.fullmatch(r"<\|\d+\.\d\d\|>", token["content"])]
    assert len(named) == len(tokenizer["added_tokens"]) - 1501
    (folder / "tokenizer.json").write_text(json.dumps({**tokenizer, "added_tokens": named}), encoding="utf-8")
    samples = channels_of("ru-test-drive", tmp_path)[0]
    older, newer = (
        engine.transcribe(samples, languages=("ru",))
        for engine in (open_engine(folder, threads=2), engines["faster-whisper"])
    )
    assert [segment.text for segment in older.segments] == [segment.text for segment in newer.segments]
    assert len(older.segments) > 10
    starts = [[segment.start_ms for segment in found.segments] for found in (older, newer)]
    assert starts[0] == pytest.approx(starts[1], abs=100)  # the arithmetic of two loads may differ in the last digits


@pytest.mark.parametrize("which", ["faster-whisper", "whisper.cpp"])
def test_silence_and_noise_are_not_speech(engines: dict[str, SpeechEngine], which: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 10 * SAMPLE_RATE).astype(np.float32)
    for samples in (np.zeros(10 * SAMPLE_RATE, np.float32), noise, np.zeros(0, np.float32), np.zeros(100, np.float32)):
        assert engines[which].transcribe(samples, languages=("ru",)).segments == ()


def test_progress_can_abort(engines: dict[str, SpeechEngine], tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(_: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        engines["faster-whisper"].transcribe(channels_of("ru-service", tmp_path)[0], on_progress=stop)


def test_real_recordings_go_through(engines: dict[str, SpeechEngine], recordings: Path, tmp_path: Path) -> None:
    """The demo weights' words are noise on them; times, order and limits must hold all the same."""
    for file in sorted([*recordings.glob("*/*.wav"), *recordings.glob("*/*.mp3")]):
        if file.stat().st_size > 3_000_000:
            continue
        count = audio.decode(file, tmp_path / "samples.s16")
        samples = audio.samples_of(tmp_path / "samples.s16", count, 0)
        found = engines["faster-whisper"].transcribe(samples, languages=("ru", "en"))
        starts = [segment.start_ms for segment in found.segments]
        assert starts == sorted(starts), file.name
        if file.name == "pisets_test_silence.wav":
            assert not found.segments


def test_a_failing_library_is_an_error_not_silence(
    engines: dict[str, SpeechEngine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """whisper.cpp ends with a status that its binding drops, CTranslate2 raises: either is said."""
    import _pywhispercpp

    samples = channels_of("en-test-drive", tmp_path)[0]
    monkeypatch.setattr(_pywhispercpp, "whisper_full", lambda *_: -6)
    with pytest.raises(EngineError, match="-6") as caught:
        engines["whisper.cpp"].transcribe(samples, languages=("en",))
    assert (caught.value.code, caught.value.retryable) == ("recognition_failed", True)

    def out_of_memory(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA failed with error out of memory")

    monkeypatch.setattr(engines["faster-whisper"]._model, "transcribe", out_of_memory)  # type: ignore[attr-defined]
    with pytest.raises(EngineError, match="out of memory") as caught:
        engines["faster-whisper"].transcribe(samples, languages=("en",))
    assert caught.value.retryable
