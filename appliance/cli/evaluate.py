"""`appliance evaluate`: offline measures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="Offline evaluation.")

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


@app.command()
def analysis() -> None:
    """The built-in analyst on labelled dealership dialogues, those it was tuned on and those held out."""
    from appliance.engines.language.builtin import BuiltinAnalyst
    from appliance.evaluation import analysis

    Console().print(analysis.table(analysis.evaluate(BuiltinAnalyst())))
