"""A call on the terminal: transcript by speaker, analysis, what to know about the weights."""

from __future__ import annotations

import os
from typing import Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

SPEAKERS = {"A": ("Клиент", "cyan"), "B": ("Менеджер", "green")}
SENTIMENTS = {"positive": "green", "negative": "red", "neutral": "yellow"}


def language() -> str:
    """The operator's language: APPLIANCE_LANG, or as the shell has it: ru or en."""
    return "ru" if (os.environ.get("APPLIANCE_LANG") or os.environ.get("LANG", "")).startswith("ru") else "en"


def wide(columns: int) -> Console:
    """Not squeezed where nobody looks: in a pipe a terminal's 80 columns would cut every figure."""
    console = Console()
    return console if console.is_terminal else Console(width=columns)


def step(name: str) -> None:
    """Say what is begun, as a line of its own."""
    typer.echo(f"  {name} ...")


def clock(ms: int) -> str:
    """Milliseconds as m:ss.t."""
    return f"{ms // 60_000}:{ms % 60_000 / 1000:04.1f}"


def call(console: Console, shown: dict[str, Any]) -> None:
    """Print a call of the API's shape."""
    table = Table(title="Транскрипт", title_justify="left", show_lines=False, expand=True)
    for heading, options in (
        ("Время", {"no_wrap": True, "style": "dim"}),
        ("Кто", {"no_wrap": True}),
        ("Текст", {"ratio": 1}),
        ("Увер.", {"justify": "right", "style": "dim"}),
    ):
        table.add_column(heading, **options)
    for segment in shown["transcript"]:
        name, style = SPEAKERS[segment["speaker"]]
        name += " 2" if segment.get("speaker_detail") else ""
        table.add_row(
            clock(segment["start_ms"]), Text(name, style=style), segment["text"], f"{segment['confidence']:.2f}"
        )
    console.print(table)
    if shown["transcript"] and (conversation := shown.get("conversation")):
        console.print(Panel(conversed(conversation), title="Разговор", title_align="left"))
    if analysis := shown.get("aiAnalysis"):
        console.print(Panel(analysed(analysis), title="Анализ", title_align="left"))
    if notice := shown.get("transcript_notice"):
        console.print(f"[yellow]{shown['transcript_model']}: {notice}[/yellow]")


def conversed(figures: dict[str, Any]) -> Table:
    """The figures of a conversation, a column for each side."""
    grid = Table.grid(padding=(0, 2))
    grid.add_row("", *(Text(name, style=style) for name, style in SPEAKERS.values()))

    def row(heading: str, values: dict[str, Any] | None, shape: str, scale: float = 1.0) -> None:
        sides = [None if values is None else values.get(side) for side in SPEAKERS]
        grid.add_row(Text(heading, style="bold"), *("-" if v is None else shape.format(v * scale) for v in sides))

    row("Доля речи", figures["talk_share"], "{:.0%}")
    row("Слов в минуту", figures["words_per_minute"], "{:.0f}")
    row("Самый долгий монолог", figures["longest_monologue_ms"], "{:.1f} с", 0.001)
    row("Перебивания", figures.get("interruptions"), "{:.0f}")
    row("Первое слово менеджера", {"B": figures.get("first_manager_word_ms")}, "{:.1f} с", 0.001)
    grid.add_row(Text("Тишина", style="bold"), f"{figures['silence_share']:.0%}")
    return grid


def analysed(analysis: dict[str, Any]) -> Table:
    """An analysis as a grid of two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(ratio=1)
    sentiment = analysis["sentiment"]
    grid.add_row("Тональность", Text(f"{sentiment} ({analysis['sentiment_score']:+.2f})", style=SENTIMENTS[sentiment]))
    grid.add_row("Темы", ", ".join(analysis["topics"]) or "-")
    grid.add_row("Намерения", ", ".join(analysis["intents"]) or "-")
    grid.add_row("Кратко", analysis["summary"])
    grid.add_row("Задачи", "\n".join(f"• {item}" for item in analysis["action_items"]) or "-")
    model = f"{analysis.get('provider')} / {analysis.get('model')}, {analysis['language']}"
    grid.add_row("Кем", model + (" (без языковой модели)" if analysis.get("provider") == "builtin" else ""))
    return grid
