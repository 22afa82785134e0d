"""Sets: a folder of recordings, each with what was said in it and by whom, to measure engines on.

Beside NAME.wav (or .mp3, .m4a) lies NAME.json, NAME.stm or NAME.rttm. What a reference does not say is not measured.

NAME.json has, all of it optional but one of `segments` and `text`:

    language   ISO 639-1
    direction  incoming or outgoing
    manager    the manager's name, as an upload gives it
    group      what the recording is counted under in tables
    segments   [{start_ms, end_ms, speaker, text}], speaker A (client) or B (manager), text optional
    text       everything that is said, where nobody noted when
    checked    {speakers, text}: false where a person has not looked yet; then it is not measured

STM and RTTM are NIST's; speakers named A and B are client and manager, any other names are voices without a role.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from appliance.errors import EngineError

SOUNDS = (".wav", ".mp3", ".m4a")
ROLES = {"A", "B"}


class Turn(BaseModel):
    """What one speaker says without a break; times in milliseconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start_ms: int = Field(ge=0)
    end_ms: int = Field(ge=0)
    speaker: str = Field(min_length=1)
    text: str = ""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Turn:
        if self.end_ms < self.start_ms:
            raise ValueError(f"a segment ends at {self.end_ms} ms and begins at {self.start_ms} ms")
        return self


class Checked(BaseModel):
    """What a person has listened to."""

    model_config = ConfigDict(extra="forbid")

    speakers: bool = True
    text: bool = True


class Reference(BaseModel):
    """What lies in NAME.json."""

    model_config = ConfigDict(extra="forbid")

    language: str | None = None
    direction: Literal["incoming", "outgoing"] = "incoming"
    manager: str = ""
    group: str = ""
    segments: list[Turn] = []
    text: str | None = None
    checked: Checked = Checked()


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of a set and its reference."""

    name: str
    audio: Path
    reference: Reference

    @property
    def text(self) -> str | None:
        """Everything that is said, in order of time; None where it is not known."""
        if not self.reference.checked.text:
            return None
        if self.reference.text is not None:
            return self.reference.text
        said = sorted(self.reference.segments, key=lambda turn: turn.start_ms)
        return " ".join(turn.text for turn in said) if any(turn.text for turn in said) else None

    @property
    def turns(self) -> list[tuple[int, int, str]]:
        """(start_ms, end_ms, speaker) in order of time; empty where it is not known who speaks when."""
        if not self.reference.checked.speakers:
            return []
        return sorted((turn.start_ms, turn.end_ms, turn.speaker) for turn in self.reference.segments)

    @property
    def has_roles(self) -> bool:
        """Whether the reference says who is client and who manager."""
        speakers = {speaker for _, _, speaker in self.turns}
        return bool(speakers) and speakers <= ROLES


def read_set(folder: Path) -> list[Recording]:
    """The recordings of a folder that have a reference, by name. Raises EngineError where one cannot be read."""
    if not folder.is_dir():
        raise EngineError("set_missing", f"there is no folder {folder}")
    found = []
    for audio in sorted(file for file in folder.iterdir() if file.suffix.lower() in SOUNDS):
        reference = _reference_beside(audio)
        if reference is not None:
            found.append(Recording(audio.stem, audio, reference))
    if not found:
        raise EngineError("set_empty", f"{folder} has no recording with a .json, .stm or .rttm of the same name")
    return found


def _reference_beside(audio: Path) -> Reference | None:
    for ending, read in ((".json", _read_json), (".stm", read_stm), (".rttm", _read_rttm)):
        file = audio.with_suffix(ending)
        if file.exists():
            try:
                return read(file)
            except (ValueError, ValidationError, IndexError, OSError) as error:
                raise EngineError("set_unreadable", f"{file} is no reference: {error}") from None
    return None


def _read_json(file: Path) -> Reference:
    return Reference.model_validate_json(file.read_bytes())


def read_stm(file: Path) -> Reference:
    """NIST's STM: recording, channel, speaker, start, end, <labels>, words; ;; begins a comment.

    Raises ValueError, IndexError.
    """
    turns = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith(";;"):
            continue
        fields = line.split(maxsplit=5)
        words = fields[5] if len(fields) > 5 else ""
        if words.startswith("<"):
            words = words.partition(">")[2].strip()
        start_ms, end_ms = (round(float(seconds) * 1000) for seconds in fields[3:5])
        turns.append(Turn(start_ms=start_ms, end_ms=end_ms, speaker=fields[2], text=words))
    return Reference(segments=turns)


def read_rttm(file: Path, recording: str | None = None) -> list[tuple[int, int, str]]:
    """(start_ms, end_ms, speaker) of an RTTM file; of one recording where it holds several."""
    turns = []
    for line in file.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields and fields[0] == "SPEAKER" and (recording is None or fields[1] == recording):
            start_ms = round(float(fields[3]) * 1000)
            turns.append((start_ms, start_ms + round(float(fields[4]) * 1000), fields[7]))
    return turns


def _read_rttm(file: Path) -> Reference:
    turns = read_rttm(file)
    return Reference(segments=[Turn(start_ms=start, end_ms=end, speaker=name) for start, end, name in turns])
