"""The engines of one worker process: opened on first use, kept, shared by its threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from appliance.config import Settings
from appliance.engines.diarization import Diarizer
from appliance.engines.language import Analyst
from appliance.engines.language.profiles import Profile, check_allowed, profile_named
from appliance.engines.speech import SpeechEngine

DEMO_WEIGHTS = Path(__file__).parent.parent.parent / "weights" / "demo"
SPEAKER_WEIGHTS = Path(__file__).parent.parent.parent / "weights" / "speaker" / "dvector.onnx"

T = TypeVar("T")


def profiles(settings: Settings) -> dict[str, Profile]:
    """The provider profiles that the settings describe."""
    return {
        "builtin": Profile(name="builtin", residency="local"),
        "local": Profile(
            name="local",
            residency="local",
            base_url=settings.local_llm_url,
            api_key=settings.local_llm_api_key,
            model=settings.local_llm_model,
            timeout_s=settings.llm_timeout_s,
        ),
        "openai": Profile(
            name="openai",
            residency="cloud",
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key,
            model=settings.openai_model,
            context_tokens=128_000,
            timeout_s=settings.llm_timeout_s,
            price_input=settings.openai_price_input,
            price_output=settings.openai_price_output,
        ),
    }


class Equipment:
    """Opens engines as the settings say. A failure to open is not kept: the next call tries again."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._opened: dict[str, object] = {}

    def _open_once(self, name: str, opened: Callable[[], T]) -> T:
        with self._lock:
            if name not in self._opened:
                self._opened[name] = opened()
            return self._opened[name]  # type: ignore[return-value]

    @property
    def speech(self) -> SpeechEngine:
        """The speech engine for WHISPER_MODEL_PATH; the demo weights where that is empty. Raises EngineError."""
        return self._open_once("speech", self._speech)

    def _speech(self) -> SpeechEngine:
        from appliance.engines.speech.demo_weights import materialise
        from appliance.engines.speech.weights import open_engine

        path = Path(self.settings.whisper_model_path)
        if not self.settings.whisper_model_path:
            home = self.settings.data_dir / "demo-weights"
            materialise(DEMO_WEIGHTS, home)
            path = home / "ct2"
        return open_engine(path, device=self.settings.speech_device, threads=self.settings.speech_threads)

    @property
    def diarizer(self) -> Diarizer:
        """The diarizer for mono recordings. Raises EngineError."""
        return self._open_once("diarizer", self._diarizer)

    def _diarizer(self) -> Diarizer:
        from appliance.engines.diarization.clustering import ClusteringDiarizer

        return ClusteringDiarizer(SPEAKER_WEIGHTS)

    @property
    def analyst(self) -> Analyst:
        """The analyst that LLM_PROVIDER names. Raises EngineError."""
        return self._open_once("analyst", self._analyst)

    @property
    def profile(self) -> Profile:
        """What LLM_PROVIDER names. Raises UnknownProvider."""
        return profile_named(profiles(self.settings), self.settings.llm_provider)

    def _analyst(self) -> Analyst:
        profile = self.profile
        check_allowed(profile, self.settings.data_residency, "cloud")
        if profile.name == "builtin":
            from appliance.engines.language.builtin import BuiltinAnalyst

            return BuiltinAnalyst()
        from appliance.engines.language.endpoint import Endpoint
        from appliance.engines.language.openai_compatible import OpenAiCompatibleAnalyst

        return OpenAiCompatibleAnalyst(Endpoint(profile))

    def scratch(self, call_id: object) -> Path:
        """A folder for files of one call that can be made again; gone when the call is published."""
        folder = self.settings.data_dir / "scratch" / str(call_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder
