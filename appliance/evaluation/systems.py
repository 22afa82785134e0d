"""What is compared: engines with weights, each with the equipment of a worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.config import Settings
from appliance.engines.speech.demo_weights import FOLDER, GGML_FILE, materialise
from appliance.engines.speech.weights import inspect
from appliance.errors import EngineError
from appliance.pipeline.equipment import DEMO_WEIGHTS, Equipment

DEMO = "demo"
ENGINES = {"folder": "faster-whisper", "ggml": "whisper.cpp"}
"""A folder of weights is for one engine, a file for the other."""


@dataclass(frozen=True, slots=True)
class System:
    """An engine with its weights; the name is how it is called in reports."""

    name: str
    equipment: Equipment


def systems(settings: Settings, weights: Sequence[str], engines: Sequence[str]) -> list[System]:
    """A system for each path of weights, `demo` for the embedded ones in both engines; of `engines` only, if any.

    Raises EngineError where weights cannot be used or nothing is left to compare.
    """
    if unknown := sorted(set(engines) - set(ENGINES.values())):
        raise EngineError(
            "engine_unknown", f"no engine is called {unknown[0]}; there are: {', '.join(ENGINES.values())}"
        )
    found: list[System] = []
    for path in _paths(settings, weights):
        known = inspect(path)
        if not engines or ENGINES[known.kind] in engines:
            chosen = settings.model_copy(update={"whisper_model_path": str(path)})
            name = f"{ENGINES[known.kind]}, {known.name}"
            if name in {system.name for system in found}:
                name = f"{ENGINES[known.kind]}, {path}"
            found.append(System(name, Equipment(chosen, stored=False)))
    if not found:
        raise EngineError("engine_without_weights", f"none of these weights run on {', '.join(engines)}")
    return found


def _paths(settings: Settings, weights: Sequence[str]) -> list[Path]:
    paths = []
    for entry in weights:
        if entry == DEMO:
            home = settings.data_dir / "demo-weights"
            materialise(DEMO_WEIGHTS, home)
            paths += [home / FOLDER, home / GGML_FILE]
        else:
            paths.append(Path(entry))
    return paths
