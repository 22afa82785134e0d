"""The report of transcripts measured: engines and weights side by side, by group and by file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.evaluation.report import Bars, Grid, Report, share
from appliance.evaluation.transcripts import FileScore, GroupScore, SystemScore

WORDS = (
    "WER, CER: words and characters wrong, left out or invented, per word or character said; without case, "
    "punctuation and the difference between ё and е, numbers as words."
)
SPEAKERS = (
    "DER: speech missed, invented or given to the wrong speaker in the transcript's segments, per speech; with collar: "
    "0.25 s around each change not counted. The transcript's segments join pauses within a speaker's words."
)
ROLES = (
    "Roles: recordings whose client and manager are told apart and the right way round. Real-time factor: up to there."
)

HEADINGS = ("group", "engine and weights", "files", "failed", "words", "WER", "CER", "DER", "DER, collar", "roles",
            "language", "real-time factor")  # fmt: skip

PLOTS: tuple[tuple[str, Callable[[GroupScore], float | None]], ...] = (
    ("Word error rate", lambda g: g.word_error_rate),
    ("Diarization error rate with collar", lambda g: g.der_collar),
    ("Role accuracy", lambda g: g.role_accuracy),
)


def totals(systems: Sequence[SystemScore]) -> Grid:
    """A line for each group and system, systems of a group next to each other."""
    groups = [group.group for group in systems[0].groups] if systems else []
    found = {(system.name, group.group): group for system in systems for group in system.groups}
    rows = [_line(name, found[system.name, name], system.name) for name in groups for system in systems]
    return Grid("Totals", HEADINGS, rows)


def _line(name: str, group: GroupScore, system: str) -> list[str]:
    rates = (group.word_error_rate, group.character_error_rate, group.der, group.der_collar)
    shares = [share(value) for value in (*rates, group.role_accuracy, group.language_accuracy)]
    speed = "-" if group.real_time_factor is None else f"{group.real_time_factor:.3f}"
    return [name or "-", system, str(group.files), str(group.failed), str(group.words), *shares, speed]


def report(systems: Sequence[SystemScore], name: str) -> Report:
    """Everything about a set measured by one or several systems."""
    labels = [group.group or "-" for group in systems[0].groups] if systems else []
    plots = [
        Bars(title, labels, [(system.name, [value(group) for group in system.groups]) for system in systems])
        for title, value in PLOTS
    ]
    return Report(
        title=f"Speech: {name}",
        notes=(WORDS, SPEAKERS, ROLES),
        summary=[totals(systems)],
        plots=[bars for bars in plots if any(v is not None for _, values in bars.series for v in values)],
        details=[_files(system) for system in systems],
        figures=[{"system": s.name, "groups": s.groups, "files": s.files} for s in systems],
    )


def _files(system: SystemScore) -> Grid:
    headings = (
        "file",
        "group",
        "seconds",
        "words",
        "WER",
        "CER",
        "DER",
        "DER, collar",
        "roles",
        "decided by",
        "language",
    )
    return Grid(f"Files: {system.name}", headings, [_file(score) for score in system.files])


def _file(score: FileScore) -> list[str]:
    if score.failure:
        return [score.name, score.group, f"failed: {score.failure}", *["-"] * 8]
    rates = [
        share(None if errors is None else errors / max(1, of or 0))
        for errors, of in ((score.word_errors, score.words), (score.character_errors, score.characters))
    ]
    ders = [share(rate.total if rate else None) for rate in (score.der, score.der_collar)]
    verdict = {None: "-", True: "right", False: "WRONG"}
    rule = f"{score.role_rule} ({score.role_confidence:.2f})"
    language = f"{score.language}{'' if score.language_right is not False else ' WRONG'}"
    words = "-" if score.words is None else str(score.words)
    where = [score.name, score.group, f"{score.audio_s:.1f}", words]
    return [*where, *rates, *ders, verdict[score.role_right], rule, language]
