"""Our recognition against the libraries by themselves: same weights, threads, beam and word times.

The weights are random ones of the shapes `tiny` and `small` that say the same number of tokens for every window, see
random_weights. WhisperX's way, speech cut into windows that are recognised in batches, is the batched peer's.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.engines import audio
from appliance.engines.speech import SAMPLE_RATE, Samples
from appliance.engines.speech.faster_whisper import TEMPERATURES, FasterWhisper
from appliance.engines.speech.recognition import BEAM
from appliance.engines.speech.whisper_cpp import BEAM_SEARCH, WhisperCpp
from benchmarks import random_weights
from benchmarks.report import ROOT, Line, compare, compare_all

THREADS = 2
TOGETHER = 4
BATCH = 8
ONE_WINDOW_S = 25
RUNS = {"tiny": 3, "small": 2}
SECTION = "recognise"


def measure(folder: Path) -> Iterator[Line]:
    samples = _call(folder)
    for shape, runs in RUNS.items():
        weights = random_weights.make(shape, folder / "weights")
        yield from _beside_faster_whisper(shape, weights.folder, samples, runs)
        if shape == "tiny":  # the binding takes several times as long, in ours and in its own code
            yield _beside_whisper_cpp(shape, weights.ggml, samples[: ONE_WINDOW_S * SAMPLE_RATE])
            yield _together(shape, weights.folder, samples[: ONE_WINDOW_S * SAMPLE_RATE])


def _call(folder: Path) -> Samples:
    """A call of 50 s, two windows."""
    channels = audio.decode(ROOT / "samples" / "ru-test-drive.mp3", folder / "call.s16")
    return audio.samples_of(folder / "call.s16", channels, 0)


def _beside_faster_whisper(shape: str, weights: Path, samples: Samples, runs: int) -> Iterator[Line]:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    ours = FasterWhisper(weights, shape, device="cpu", threads=THREADS)
    plain = WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=THREADS, local_files_only=True)
    options = {"language": "ru", "beam_size": BEAM, "temperature": TEMPERATURES, "word_timestamps": True}

    def alone() -> None:
        assert ours.transcribe(samples, languages=("ru",)).segments

    def by_library() -> None:
        assert list(plain.transcribe(samples, vad_filter=True, condition_on_previous_text=False, **options)[0])

    def batched() -> None:
        assert list(BatchedInferencePipeline(plain).transcribe(samples, batch_size=BATCH, **options)[0])

    peers = {"faster-whisper": (by_library, 1.0), "faster-whisper, batched": (batched, 1.0)}
    yield from compare_all(SECTION, f"a 50 s call, shape {shape}", alone, peers, runs=runs)


def _beside_whisper_cpp(shape: str, weights: Path, samples: Samples) -> Line:
    from pywhispercpp.model import Model

    ours = WhisperCpp(weights, shape, threads=THREADS)
    bare = Model(
        str(weights),
        params_sampling_strategy=BEAM_SEARCH,
        beam_search={"beam_size": BEAM, "patience": -1.0},
        n_threads=THREADS,
        language="ru",
        token_timestamps=True,
        redirect_whispercpp_logs_to=None,
        print_progress=False,
        print_realtime=False,
    )
    return compare(
        SECTION,
        f"{ONE_WINDOW_S} s, shape {shape}",
        "whisper.cpp's binding",
        lambda: ours.transcribe(samples, languages=("ru",)),
        lambda: bare.transcribe(samples),
        runs=2,
        target=1.0,
    )


def _together(shape: str, weights: Path, samples: Samples) -> Line:
    ours = FasterWhisper(weights, shape, device="cpu", threads=THREADS)

    def alone(_: int) -> None:
        ours.transcribe(samples, languages=("ru",))

    def together() -> None:
        with ThreadPoolExecutor(TOGETHER) as pool:
            list(pool.map(alone, range(TOGETHER)))

    def in_turn() -> None:
        for n in range(TOGETHER):
            alone(n)

    what = f"{TOGETHER} calls at once, shape {shape}"
    return compare(SECTION, what, "one after the other", together, in_turn, runs=2)
