"""Our recognition against the libraries by themselves: same weights, threads, beam and word times."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.engines import audio
from appliance.engines.speech.demo_weights import FOLDER, GGML_FILE, materialise
from appliance.engines.speech.faster_whisper import BEAM, TEMPERATURES, FasterWhisper
from appliance.engines.speech.whisper_cpp import BEAM_SEARCH, WhisperCpp
from benchmarks.report import ROOT, Line, compare

THREADS = 2
TOGETHER = 4
SECTION = "recognise"


def measure(folder: Path) -> Iterator[Line]:
    from faster_whisper import BatchedInferencePipeline, WhisperModel
    from pywhispercpp.model import Model

    materialise(ROOT / "weights" / "demo", folder / "weights")
    weights, ggml = folder / "weights" / FOLDER, folder / "weights" / GGML_FILE
    channels = audio.decode(ROOT / "samples" / "ru-test-drive.mp3", folder / "call.s16")
    samples = audio.samples_of(folder / "call.s16", channels, 0)
    ours = FasterWhisper(weights, "demo", device="cpu", threads=THREADS)
    plain = WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=THREADS, local_files_only=True)
    options = {"language": "ru", "beam_size": BEAM, "temperature": TEMPERATURES, "word_timestamps": True}

    def alone() -> None:
        ours.transcribe(samples, languages=("ru",))

    def by_library() -> None:
        list(plain.transcribe(samples, vad_filter=True, condition_on_previous_text=False, **options)[0])

    def batched() -> None:
        list(BatchedInferencePipeline(plain).transcribe(samples, batch_size=8, **options)[0])

    yield compare(SECTION, "a 50 s call (demo weights)", "faster-whisper", alone, by_library, target=1.0)
    yield compare(SECTION, "a 50 s call (demo weights)", "faster-whisper, batched", alone, batched)

    cpp = WhisperCpp(ggml, "demo", threads=THREADS)
    bare = Model(
        str(ggml),
        params_sampling_strategy=BEAM_SEARCH,
        beam_search={"beam_size": BEAM, "patience": -1.0},
        n_threads=THREADS,
        language="ru",
        token_timestamps=True,
        redirect_whispercpp_logs_to=None,
        print_progress=False,
        print_realtime=False,
    )
    yield compare(
        SECTION,
        "a 50 s call (demo weights, ggml)",
        "whisper.cpp's binding",
        lambda: cpp.transcribe(samples, languages=("ru",)),
        lambda: bare.transcribe(samples),
        target=1.0,
    )

    def together() -> None:
        with ThreadPoolExecutor(TOGETHER) as pool:
            list(pool.map(lambda _: alone(), range(TOGETHER)))

    def in_turn() -> None:
        for _ in range(TOGETHER):
            alone()

    yield compare(SECTION, f"{TOGETHER} calls at once", "one after the other", together, in_turn)
