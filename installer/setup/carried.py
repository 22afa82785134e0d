"""Weights that a bundle carries along, and the settings that put them to use as this machine's memory plan has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from installer import weights
from installer.preflight.plan import Plan


def settings(folders: Sequence[Path], models: Path, made: Plan | None, *, is_node: bool = False) -> dict[str, str]:
    """Settings for weights in these folders, told apart by what lies in them.

    models: where they are laid down under their names. made: the memory plan; None where nothing fits. A language model
    is served only where the plan names it: a larger one would not start, and would take the card from speech. A
    diarizer of pyannote has an environment where there is a card. is_node: a further machine recognises speech, and
    asks the first one's language model.
    """
    chosen: dict[str, str] = {}
    speech = _of_kind(folders, "speech")
    planned = [folder for folder in speech if made and folder.name == made.speech]
    fits = made if planned or not speech else None  # it reckons with other weights than there are
    if speech:
        chosen["WHISPER_MODEL_PATH"] = str(models / (planned or speech)[0].name)
    if fits and fits.speech_workers > 1:
        chosen["SPEECH_WORKERS"] = str(fits.speech_workers)
    if fits and fits.speech_batch:
        chosen["SPEECH_BATCH_SIZE"] = str(fits.speech_batch)
    diarizers = _of_kind(folders, "diarizer")
    if diarizers and made and made.diarizer == "pyannote":
        chosen["PYANNOTE_WEIGHTS"] = str(models / diarizers[0].name)
    if fits and not is_node and (language_model := _language_model(folders, fits)):
        chosen |= {
            "VLLM_WEIGHTS": str(models / language_model.name),
            "VLLM_SHARE": f"{fits.vllm_share:.2f}",
            "VLLM_CONTEXT": str(fits.context_tokens),
            "LOCAL_LLM_MODEL": fits.language_model,
            "LOCAL_LLM_CONTEXT": str(fits.context_tokens),
            "LLM_PROVIDER": "local",
        }
    return chosen


def _of_kind(folders: Sequence[Path], wanted: weights.Kind) -> list[Path]:
    return sorted(folder for folder in folders if weights.kind(folder) == wanted)


def _language_model(folders: Sequence[Path], made: Plan) -> Path | None:
    named = (folder for folder in _of_kind(folders, "language model") if folder.name == made.language_model)
    return next(named, None)


def unused(folders: Sequence[Path], chosen: dict[str, str]) -> list[str]:
    """Names of the folders that no setting leads to."""
    used = {Path(value).name for value in chosen.values()}
    return sorted(folder.name for folder in folders if folder.name not in used)
