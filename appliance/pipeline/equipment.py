"""The engines of one worker process: opened on first use, kept, shared by its threads."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from appliance.config import Settings
from appliance.engines.diarization import Diarizer
from appliance.engines.language import Analyst
from appliance.engines.language.profiles import is_masked
from appliance.engines.language.transport import OpenGate, Sending
from appliance.engines.speech import SpeechEngine, site_names
from appliance.engines.speech.vocabulary import Name, Vocabulary, makes_and_models, of_names
from appliance.pipeline.ledger import Ledger, Purpose
from appliance.pipeline.providers import Chosen, Providers
from appliance.store import calls, db, vocabulary

if TYPE_CHECKING:
    from appliance.engines.diarization.embedding import VoiceEncoder
    from appliance.engines.diarization.handover import HandoverFinder

DEMO_WEIGHTS = Path(__file__).parent.parent.parent / "weights" / "demo"
SPEAKER_WEIGHTS = Path(__file__).parent.parent.parent / "weights" / "speaker" / "dvector.onnx"
PYANNOTE_PYTHON = Path(__file__).parent.parent.parent / ".venv-pyannote" / "bin" / "python"
"""pyannote lives in an environment of its own: docs/decisions/0009."""

T = TypeVar("T")


class Equipment:
    """Opens engines as the settings say. A failure to open is not kept: the next call tries again.

    stored: whether there is a database, where admins choose the provider.
    """

    def __init__(self, settings: Settings, *, stored: bool = True) -> None:
        self.settings = settings
        self.stored = stored
        self.providers = Providers(settings, stored=stored)
        self._lock = threading.RLock()  # some of it is made with another
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
        chosen = self.settings
        return open_engine(
            path, device=chosen.speech_device, threads=chosen.speech_threads, batch=chosen.speech_batch_size
        )

    def vocabulary(self) -> Vocabulary:
        """The names to expect, as they are now: the site's first, then its people's, then makes and models.

        Raises EngineError.
        """
        people: Sequence[str] = ()
        if self.stored:
            with db.unit_of_work() as session:
                people = vocabulary.people(session)
        own = of_names(site_names.as_names(self._site_names()))
        return own.joined(of_names(map(Name, people), alone=False)).joined(makes_and_models())

    @property
    def diarizer(self) -> Diarizer:
        """The diarizer for mono recordings: pyannote where PYANNOTE_WEIGHTS names a pipeline. Raises EngineError."""
        return self._open_once("diarizer", self._diarizer)

    def _diarizer(self) -> Diarizer:
        from appliance.engines.diarization.clustering import ClusteringDiarizer
        from appliance.engines.diarization.pyannote_process import PyannoteDiarizer

        chosen = self.settings
        if chosen.pyannote_weights:
            python = Path(chosen.pyannote_python) if chosen.pyannote_python else PYANNOTE_PYTHON
            weights, memory_mb = Path(chosen.pyannote_weights), chosen.pyannote_memory_mb
            return PyannoteDiarizer(weights, python, memory_mb=memory_mb, device=chosen.speech_device)
        return ClusteringDiarizer(self.voice_encoder)

    @property
    def voice_encoder(self) -> VoiceEncoder:
        """What tells how a voice sounds, for whoever compares voices. Raises EngineError."""
        return self._open_once("voice encoder", self._voice_encoder)

    def _voice_encoder(self) -> VoiceEncoder:
        from appliance.engines.diarization.embedding import VoiceEncoder

        return VoiceEncoder(SPEAKER_WEIGHTS)

    @property
    def handovers(self) -> HandoverFinder:
        """Who listens for a second voice in the channels of stereo recordings. Raises EngineError."""
        return self._open_once("handovers", self._handovers)

    def _handovers(self) -> HandoverFinder:
        from appliance.engines.diarization.handover import HandoverFinder

        return HandoverFinder(self.voice_encoder)

    def analyst(
        self,
        chosen: Chosen,
        *,
        call_id: UUID | None,
        purpose: Purpose = "analysis",
        pause: Callable[[float], None] = time.sleep,
    ) -> Analyst:
        """The analyst of a profile for one call. Raises EngineError.

        pause: sleeps between attempts; may raise, which ends them.
        """
        if chosen.profile.name == "builtin":
            return self.builtin
        from appliance.engines.language.masking import MaskedConversation
        from appliance.engines.language.openai_compatible import OpenAiCompatibleAnalyst

        gate = Ledger(self.settings, chosen) if self.stored else OpenGate()
        sending = Sending(gate, call_id, purpose, pause, retries=purpose != "test")
        mask = None
        if is_masked(chosen.profile, self.settings.mask_pii):
            mask = partial(MaskedConversation, people=self._people(call_id) if call_id else ())
        return OpenAiCompatibleAnalyst(self.providers.endpoint(chosen.profile), mask=mask, sending=sending)

    def _people(self, call_id: UUID) -> list[str]:
        """Whose names are known to be masked: the call's, the site's people's, and those of the site's vocabulary.

        Raises EngineError.
        """
        from appliance.engines.language.masking.people import reads_as_a_person

        found: list[str] = []
        if self.stored:
            with db.unit_of_work() as session:
                found = calls.people(session, call_id)
        return found + [name.text for name in self._site_names() if reads_as_a_person(name.text)]

    def _site_names(self) -> list[site_names.SiteName]:
        """The names that the site's file and its admins give. Raises EngineError."""
        file = self.settings.vocabulary_file
        given = site_names.read(Path(file)) if file else []
        if self.stored:
            with db.unit_of_work() as session:
                row = vocabulary.row(session)
                given += [site_names.SiteName(**name) for name in (row.names if row else ())]
        return given

    @property
    def builtin(self) -> Analyst:
        """The analyst without a language model."""
        return self._open_once("builtin", self._builtin)

    def _builtin(self) -> Analyst:
        from appliance.engines.language.builtin import BuiltinAnalyst

        return BuiltinAnalyst()

    def scratch(self, call_id: object) -> Path:
        """A folder for files of one call that can be made again; gone when the call is published or given up."""
        folder = self.settings.data_dir / "scratch" / str(call_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def forget(self, call_id: object) -> None:
        """Remove the files of one call, which has come to its end."""
        shutil.rmtree(self.settings.data_dir / "scratch" / str(call_id), ignore_errors=True)
