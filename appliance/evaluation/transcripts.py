"""Whole transcripts measured: words, who says them and when, which side is which, language, time.

A recording goes through the pipeline's own stages, so that what is measured is what users get.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from appliance.engines.diarization import SpeakerTurn
from appliance.engines.diarization.attribution import SpeakerSegment
from appliance.engines.diarization.handover import side_of
from appliance.errors import EngineError, StageError
from appliance.evaluation.diarization import ErrorRate, error_rate, mean
from appliance.evaluation.sets import Recording
from appliance.evaluation.wording import normalised
from appliance.pipeline.assign_roles import AssignRoles
from appliance.pipeline.diarize import SPEAKER_SEGMENTS, Diarize
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.offline import processed
from appliance.pipeline.transcribe import Transcribe

COLLAR_MS = 250
"""NIST's forgiveness: people do not agree on where a word begins."""

ALL = "all"
"""The group that holds every recording."""


@dataclass(frozen=True, slots=True)
class FileScore:
    """One recording. What its reference does not say is None; `failure` says why there is nothing at all."""

    name: str
    group: str
    audio_s: float
    elapsed_s: float
    words: int | None = None
    word_errors: int | None = None
    characters: int | None = None
    character_errors: int | None = None
    der: ErrorRate | None = None
    der_collar: ErrorRate | None = None
    role_right: bool | None = None
    role_rule: str = ""
    role_confidence: float = 0.0
    language: str = ""
    language_right: bool | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class GroupScore:
    """Several recordings together, shares 0-1; None where no reference says it. `failed` recordings count nowhere."""

    group: str
    files: int
    failed: int
    audio_s: float
    words: int
    word_error_rate: float | None
    character_error_rate: float | None
    der: float | None
    der_collar: float | None
    role_accuracy: float | None
    language_accuracy: float | None
    real_time_factor: float | None


@dataclass(frozen=True, slots=True)
class SystemScore:
    """Everything that one engine with its weights did on a set."""

    name: str
    files: tuple[FileScore, ...]

    @property
    def groups(self) -> list[GroupScore]:
        """Each group in the order of names, then all together where there are several."""
        listed = sorted(self.files, key=lambda score: score.group)
        parted = [total(name, list(scores)) for name, scores in groupby(listed, key=lambda score: score.group)]
        return parted if len(parted) == 1 else [*parted, total(ALL, self.files)]


def measure(
    name: str, equipment: Equipment, recordings: Sequence[Recording], tell: Callable[[Recording], None]
) -> SystemScore:
    """Transcribe every recording and compare; one that fails is counted as failed, with its reason.

    Raises EngineError where the engine cannot be opened at all.
    """
    _ = equipment.speech  # opening it is nobody's real-time factor
    scores = []
    for recording in recordings:
        tell(recording)
        scores.append(_score(equipment, recording))
    return SystemScore(name, tuple(scores))


def _score(equipment: Equipment, recording: Recording) -> FileScore:
    wanted = recording.reference
    stages = (Transcribe(), Diarize(), AssignRoles())
    began = time.monotonic()
    try:
        with processed(
            recording.audio, stages, equipment, direction=wanted.direction, manager_name=wanted.manager
        ) as context:
            outputs = context.outputs
    except (EngineError, StageError) as error:
        return FileScore(recording.name, wanted.group, 0.0, 0.0, failure=str(error))
    elapsed_s = time.monotonic() - began
    segments = SPEAKER_SEGMENTS.validate_python(outputs["diarize"]["segments"])
    language, roles = outputs["transcribe"]["language"], outputs["assign roles"]
    words = _words(recording, segments, wanted.language or language)
    strict, lenient = _speakers(recording, segments)
    return FileScore(
        name=recording.name,
        group=wanted.group,
        audio_s=outputs["decode"]["duration_ms"] / 1000,
        elapsed_s=elapsed_s,
        words=words and words[0],
        word_errors=words and words[1],
        characters=words and words[2],
        character_errors=words and words[3],
        der=strict,
        der_collar=lenient,
        role_right=role_right(recording.turns, segments, roles["manager"]) if recording.has_roles else None,
        role_rule=roles["rule"],
        role_confidence=roles["confidence"],
        language=language,
        language_right=language == wanted.language if wanted.language else None,
    )


def _words(recording: Recording, segments: Sequence[SpeakerSegment], language: str) -> tuple[int, int, int, int] | None:
    """Words of the reference, errors in them, characters, errors in those; None where the words are not known."""
    import jiwer

    if recording.text is None:
        return None
    said = normalised(recording.text, language)
    heard = normalised(" ".join(segment.text for segment in segments), language)
    if not said:  # jiwer refuses an empty reference; all that is heard is invented
        return 0, len(heard.split()), 0, len(heard)
    by_words, by_characters = jiwer.process_words(said, heard), jiwer.process_characters(said, heard)
    return len(said.split()), _errors(by_words), len(said), _errors(by_characters)


def _errors(found: Any) -> int:
    return int(found.substitutions + found.deletions + found.insertions)


def _speakers(
    recording: Recording, segments: Sequence[SpeakerSegment]
) -> tuple[ErrorRate, ErrorRate] | tuple[None, None]:
    """The transcript's error rate of speakers, strict and with COLLAR_MS on both sides of each change."""
    if not recording.turns:
        return None, None
    found = [SpeakerTurn(segment.start_ms, segment.end_ms, segment.speaker) for segment in segments]
    return error_rate(recording.turns, found), error_rate(recording.turns, found, collar_ms=COLLAR_MS)


def role_right(turns: Sequence[tuple[int, int, str]], segments: Sequence[SpeakerSegment], manager: int) -> bool:
    """Whether each side of the reference is labelled with its own letter for more of its time than with the other.

    Two people taken for one voice are therefore wrong: one of them carries the other's letter.
    """
    lead = dict.fromkeys((side for _, _, side in turns), 0)
    for start_ms, end_ms, side in turns:
        for segment in segments:
            overlap = max(0, min(end_ms, segment.end_ms) - max(start_ms, segment.start_ms))
            lead[side] += overlap if ("B" if side_of(segment.speaker) == manager else "A") == side else -overlap
    return all(more > 0 for more in lead.values())


def total(group: str, scores: Sequence[FileScore]) -> GroupScore:
    """Scores together: words and time of all recordings in one sum, each recording's roles and language once."""
    done = [score for score in scores if not score.failure]
    worded = [score for score in done if score.words is not None]
    words, characters = sum(s.words or 0 for s in worded), sum(s.characters or 0 for s in worded)
    strict, lenient = ([r for r in rates if r] for rates in ([s.der for s in done], [s.der_collar for s in done]))
    audio_s = sum(score.audio_s for score in done)
    return GroupScore(
        group=group,
        files=len(scores),
        failed=len(scores) - len(done),
        audio_s=audio_s,
        words=words,
        word_error_rate=_rate(sum(s.word_errors or 0 for s in worded), words) if worded else None,
        character_error_rate=_rate(sum(s.character_errors or 0 for s in worded), characters) if worded else None,
        der=mean(strict).total if strict else None,
        der_collar=mean(lenient).total if lenient else None,
        role_accuracy=_share([s.role_right for s in done]),
        language_accuracy=_share([s.language_right for s in done]),
        real_time_factor=sum(score.elapsed_s for score in done) / audio_s if audio_s else None,
    )


def _rate(errors: int, of: int) -> float:
    """Errors per unit; a set where nothing is said counts what was invented against one."""
    return errors / max(1, of)


def _share(outcomes: Sequence[bool | None]) -> float | None:
    known = [outcome for outcome in outcomes if outcome is not None]
    return sum(known) / len(known) if known else None
