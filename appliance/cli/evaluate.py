"""`appliance evaluate`: offline measures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from appliance.cli import operate
from appliance.cli.show import wide
from appliance.cli.stack import DataDir

if TYPE_CHECKING:
    from rich.status import Status

    from appliance.evaluation.report import Grid
    from appliance.evaluation.sets import Recording
    from appliance.evaluation.systems import System

app = typer.Typer(no_args_is_help=True, help="Offline evaluation.")

WIDE = 200

WEIGHTS = Path(__file__).parent.parent.parent / "weights" / "demo"


@app.command("demo-weights")
def demo_weights(
    data_dir: Annotated[Path, typer.Option(envvar="DATA_DIR")] = Path("var"),
) -> None:
    """Word error rate of the demo weights in both engines, on sentences and voice settings they never heard."""
    from appliance.engines.speech.demo_weights import FOLDER, GGML_FILE, materialise
    from appliance.engines.speech.weights import open_engine
    from appliance.evaluation.demo_weights import mixes
    from appliance.evaluation.speech import evaluate

    home = data_dir / "demo-weights"
    materialise(WEIGHTS, home)
    items = list(mixes(WEIGHTS))
    console, table = (
        Console(),
        Table("engine", "set", "calls", "words", "WER", "CER", "language right", "real-time factor"),
    )
    for path in (home / FOLDER, home / GGML_FILE):
        engine = open_engine(path)
        with console.status(f"{engine.name}: {len(items)} calls"):
            for score in evaluate(engine, items, ("ru", "en", "kk")):
                rates = (score.word_error_rate, score.character_error_rate, score.language_accuracy)
                counts = (str(score.items), str(score.words))
                table.add_row(
                    engine.name, score.group, *counts, *(f"{r:.1%}" for r in rates), f"{score.real_time_factor:.3f}"
                )
    console.print(table)


@app.command("make-set")
def make_set(
    out: Annotated[Path, typer.Option(help="Folder to write recordings and references to")],
    synthetic: Annotated[int | None, typer.Option(min=1, help="How many invented calls, spoken by espeak-ng")] = None,
    from_calls: Annotated[
        int | None, typer.Option(min=1, help="At most so many of this site's calls that a person has corrected")
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="Of invented calls: mono or stereo, clean, telephone or noise: mono-clean")
    ] = None,
    data_dir: DataDir = Path("var"),
) -> None:
    """Make a set to evaluate on."""
    from appliance.evaluation import site_calls
    from appliance.evaluation import synthetic as invented

    if synthetic is not None and from_calls is None:
        made = invented.make(synthetic, out, variant or invented.VARIANTS)
    elif from_calls is not None and synthetic is None:
        operate.find_settings(data_dir)
        made = site_calls.make(from_calls, out)
    else:
        raise typer.BadParameter("either --synthetic or --from-calls")
    written = sum(1 for _ in made)
    typer.echo(f"{out}: {written} recordings")


@app.command()
def speech(
    set_dir: Annotated[Path, typer.Option("--set", help="Folder of recordings and references")],
    weights: Annotated[
        list[str] | None, typer.Option(help="Folder, ggml file, or demo (in both engines); give it again to compare")
    ] = None,
    engine: Annotated[list[str] | None, typer.Option(help="Only these engines: faster-whisper, whisper.cpp")] = None,
    report_dir: Annotated[
        Path | None, typer.Option("--report", help="Write report.md, report.html, figures.json")
    ] = None,
) -> None:
    """Word, speaker and role errors, language and speed of any weights on a set of recordings, side by side."""
    from appliance.config import Settings, card_environment
    from appliance.evaluation import report, speech_report
    from appliance.evaluation.sets import read_set
    from appliance.evaluation.systems import systems
    from appliance.evaluation.transcripts import measure

    recordings = read_set(set_dir)
    console, scores, settings = Console(stderr=True), [], Settings.offline()
    os.environ.update(card_environment(settings.gpu_device))
    for system in systems(settings, weights or ["demo"], engine or []):
        with console.status(system.name) as status:

            def tell(recording: Recording, of: System = system, on: Status = status) -> None:
                on.update(f"{of.name}: {recording.name}")

            scores.append(measure(system.name, system.equipment, recordings, tell))
    _print(speech_report.totals(scores))
    if report_dir:
        for path in report.write(speech_report.report(scores, set_dir.name), report_dir):
            typer.echo(path)


def _print(grid: Grid) -> None:
    table = Table(*grid.headings, title=grid.title, title_justify="left")
    for row in grid.rows:
        table.add_row(*row)
    wide(WIDE).print(table)


@app.command()
def analysis(
    set_dir: Annotated[
        Path | None, typer.Option("--set", help="Folder (or file) of labelled dialogues; this project's where left out")
    ] = None,
    profiles: Annotated[str, typer.Option(help="Profiles to compare, such as builtin,local,openai")] = "builtin",
    report_dir: Annotated[
        Path | None, typer.Option("--report", help="Write report.md, report.html, figures.json")
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Calls at a time; 1: latency of one alone")] = 1,
    data_dir: DataDir = Path("var"),
) -> None:
    """Agreement with labels, proofs, time and cost of profiles on labelled dialogues, side by side."""
    from appliance.evaluation import analysis_report, report
    from appliance.evaluation.analysis import measure, pairs
    from appliance.evaluation.dialogues import SHIPPED, load_dialogues
    from appliance.evaluation.profiles import named

    operate.find_settings(data_dir)
    path = set_dir or SHIPPED
    dialogues, runs = load_dialogues(path), []
    for name, analyst in named([name.strip() for name in profiles.split(",")]):
        with Console(stderr=True).status(name) as status:

            def tell(done: int, of: str = name, on: Status = status) -> None:
                on.update(f"{of}: {done} of {len(dialogues)}")

            runs.append(measure(name, analyst, dialogues, parallel=parallel, tell=tell))
    made = analysis_report.report(runs, pairs(runs), path.stem)
    for grid in made.summary:
        _print(grid)
    if report_dir:
        for written in report.write(made, report_dir):
            typer.echo(written)


@app.command()
def masking(
    failures: Annotated[bool, typer.Option(help="List what was missed and what was masked wrongly")] = False,
) -> None:
    """What the masker finds in labelled sentences before a cloud model would see them, and what it masks wrongly."""
    from appliance.evaluation import masking

    console = Console()
    for title, file in (("sentences", masking.DATA), ("names in lower case", masking.LOWER_CASE)):
        sentences = masking.load_sentences(file)
        console.print(masking.table(masking.evaluate(sentences), title))
        for sentence in sentences if failures else ():
            for word, pieces in (("missed", masking.missed(sentence)), ("wrong", masking.wrong(sentence))):
                if pieces:
                    told = f"{sentence.split} {word}: {pieces} in: {sentence.text}"
                    console.print(told, markup=False, highlight=False)
