"""`appliance evaluate`: offline measures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from appliance.cli import operate
from appliance.cli.language import ours, where_called
from appliance.cli.measures import heading
from appliance.cli.show import wide
from appliance.cli.stack import DataDir

if TYPE_CHECKING:
    from rich.status import Status

    from appliance.evaluation.report import Grid
    from appliance.evaluation.sets import Recording
    from appliance.evaluation.systems import System

app = typer.Typer(no_args_is_help=True, help="Measures of quality / Измерение качества.")

WIDE = 200

DIALOGUES_HELP = (
    "Folder (or file) of labelled dialogues; the built-in ones where left out / "
    "Папка или файл размеченных разговоров; иначе встроенные"
)
REPORT_HELP = (
    "Folder for report.md, report.html, figures.json (English) / "
    "Папка для report.md, report.html, figures.json (на английском)"
)

WEIGHTS = Path(__file__).parent.parent.parent / "weights" / "demo"


@app.command("demo-weights")
def demo_weights(
    data_dir: Annotated[
        Path, typer.Option(envvar="DATA_DIR", help="Where everything that changes is kept / Папка установки")
    ] = Path("var"),
) -> None:
    """Word error rate of the demo weights in both engines / Ошибки демонстрационных весов в обоих движках."""
    from appliance.engines.speech.demo_weights import FOLDER, GGML_FILE, materialise
    from appliance.engines.speech.weights import open_engine
    from appliance.evaluation.demo_weights import mixes
    from appliance.evaluation.speech import evaluate

    home = data_dir / "demo-weights"
    materialise(WEIGHTS, home)
    items = list(mixes(WEIGHTS))
    console, table = (
        Console(),
        Table(*map(heading, ("engine", "set", "calls", "words", "WER", "CER", "language right", "real-time factor"))),
    )
    for path in (home / FOLDER, home / GGML_FILE):
        engine = open_engine(path)
        with console.status(f"{engine.name}: {len(items)}"):
            for score in evaluate(engine, items, ("ru", "en", "kk")):
                rates = (score.word_error_rate, score.character_error_rate, score.language_accuracy)
                counts = (str(score.items), str(score.words))
                table.add_row(
                    engine.name, score.group, *counts, *(f"{r:.1%}" for r in rates), f"{score.real_time_factor:.3f}"
                )
    console.print(table)


@app.command("make-set")
def make_set(
    out: Annotated[Path, typer.Option(help="Folder to write the set to / Куда записать набор")],
    synthetic: Annotated[
        int | None,
        typer.Option(min=1, help="How many invented calls, spoken by espeak-ng / Сколько выдуманных звонков"),
    ] = None,
    from_calls: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many calls that a person has corrected / Сколько исправленных звонков"),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="Of invented calls, such as mono-clean / Вид выдуманных звонков, например mono-clean"),
    ] = None,
    data_dir: DataDir = Path("var"),
) -> None:
    """Make a set to evaluate on / Создать набор для измерений."""
    from appliance.evaluation import site_calls
    from appliance.evaluation import synthetic as invented

    if synthetic is not None and from_calls is None:
        made = invented.make(synthetic, out, variant or invented.VARIANTS)
    elif from_calls is not None and synthetic is None:
        operate.find_settings(data_dir)
        made = site_calls.make(from_calls, out)
    else:
        raise typer.BadParameter(ours(("либо --synthetic, либо --from-calls", "either --synthetic or --from-calls")))
    written = sum(1 for _ in made)
    typer.echo(ours((f"{out}: записей {written}", f"{out}: {written} recordings")))


@app.command()
def speech(
    set_dir: Annotated[
        Path, typer.Option("--set", help="Folder of recordings and references / Папка записей с эталонами")
    ],
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder, ggml file or demo; again to compare / Папка, файл ggml или demo; ещё раз для сравнения"
        ),
    ] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Only these engines: faster-whisper, whisper.cpp / Только эти движки")
    ] = None,
    report_dir: Annotated[Path | None, typer.Option("--report", help=REPORT_HELP)] = None,
) -> None:
    """Word, speaker and role errors and speed of any weights, side by side / Ошибки и скорость весов на наборе."""
    from appliance.config import Settings, card_environment
    from appliance.evaluation import report, speech_report
    from appliance.evaluation.sets import read_set
    from appliance.evaluation.systems import systems
    from appliance.evaluation.transcripts import measure

    recordings = read_set(set_dir)
    console, scores, settings = Console(stderr=True), [], Settings.offline()
    os.environ.update(card_environment(settings.gpu_device))
    for system in systems(settings, [_weights(each) for each in weights or ["demo"]], engine or []):
        with console.status(system.name) as status:

            def tell(recording: Recording, of: System = system, on: Status = status) -> None:
                on.update(f"{of.name}: {recording.name}")

            scores.append(measure(system.name, system.equipment, recordings, tell))
    _print(speech_report.totals(scores))
    if report_dir:
        for path in report.write(speech_report.report(scores, set_dir.name), report_dir):
            typer.echo(path)


def _weights(name: str) -> str:
    return name if name == "demo" else str(where_called(name))


def _print(grid: Grid) -> None:
    table = Table(*map(heading, grid.headings), title=heading(grid.title), title_justify="left")
    for row in grid.rows:
        table.add_row(*row)
    wide(WIDE).print(table)


@app.command()
def analysis(
    set_dir: Annotated[Path | None, typer.Option("--set", help=DIALOGUES_HELP)] = None,
    profiles: Annotated[
        str, typer.Option(help="Profiles to compare, such as builtin,local,openai / Профили через запятую")
    ] = "builtin",
    report_dir: Annotated[Path | None, typer.Option("--report", help=REPORT_HELP)] = None,
    parallel: Annotated[
        int,
        typer.Option(
            min=1, max=64, help="Calls at a time; 1: latency of one alone / Сколько звонков сразу; 1: задержка одного"
        ),
    ] = 1,
    data_dir: DataDir = Path("var"),
) -> None:
    """Agreement with labels, time and cost of profiles, side by side / Сравнить профили на размеченных звонках."""
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
                on.update(f"{of}: {done} / {len(dialogues)}")

            runs.append(measure(name, analyst, dialogues, parallel=parallel, tell=tell))
    made = analysis_report.report(runs, pairs(runs), path.stem)
    for grid in made.summary:
        _print(grid)
    if report_dir:
        for written in report.write(made, report_dir):
            typer.echo(written)


@app.command()
def masking(
    failures: Annotated[
        bool, typer.Option(help="List what was missed and what was masked wrongly / Перечислить пропуски и лишнее")
    ] = False,
) -> None:
    """What the masker finds in labelled sentences, and masks wrongly / Что скрывает маскирование и где ошибается."""
    from appliance.evaluation import masking

    console = Console()
    sets = (
        (("предложения", "sentences"), masking.DATA),
        (("имена с маленькой буквы", "names in lower case"), masking.LOWER_CASE),
    )
    for title, file in sets:
        sentences = masking.load_sentences(file)
        table = masking.table(masking.evaluate(sentences), ours(title))
        for column in table.columns:
            column.header = heading(str(column.header))
        console.print(table)
        words = ours(("пропущено", "missed")), ours(("лишнее", "wrong"))
        for sentence in sentences if failures else ():
            for word, pieces in zip(words, (masking.missed(sentence), masking.wrong(sentence)), strict=True):
                if pieces:
                    console.print(f"{sentence.split} {word}: {pieces}: {sentence.text}", markup=False, highlight=False)
