"""A call on the terminal: transcript by speaker, analysis, what to know about the weights."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from appliance.cli.language import in_both, ours

SPEAKERS = {"A": (("Клиент", "Client"), "cyan"), "B": (("Менеджер", "Manager"), "green")}
SENTIMENTS = {"positive": "green", "negative": "red", "neutral": "yellow"}
MOODS = {
    "positive": ("положительная", "positive"),
    "negative": ("отрицательная", "negative"),
    "neutral": ("нейтральная", "neutral"),
}


def wide(columns: int) -> Console:
    """Not squeezed where nobody looks: in a pipe a terminal's 80 columns would cut every figure."""
    console = Console()
    return console if console.is_terminal else Console(width=columns)


def step(name: str) -> None:
    """Say what is begun, as a line of its own; its name may be in both languages."""
    typer.echo(f"  {in_both(name)} ...")


def clock(ms: int) -> str:
    """Milliseconds as m:ss.t."""
    return f"{ms // 60_000}:{ms % 60_000 / 1000:04.1f}"


def call(console: Console, shown: dict[str, Any]) -> None:
    """Print a call of the API's shape."""
    table = Table(title=ours(("Транскрипт", "Transcript")), title_justify="left", show_lines=False, expand=True)
    for heading, options in (
        (("Время", "Time"), {"no_wrap": True, "style": "dim"}),
        (("Кто", "Who"), {"no_wrap": True}),
        (("Текст", "Text"), {"ratio": 1}),
        (("Увер.", "Conf."), {"justify": "right", "style": "dim"}),
    ):
        table.add_column(ours(heading), **options)
    for segment in shown["transcript"]:
        names, style = SPEAKERS[segment["speaker"]]
        name = ours(names) + (" 2" if segment.get("speaker_detail") else "")
        table.add_row(
            clock(segment["start_ms"]), Text(name, style=style), segment["text"], f"{segment['confidence']:.2f}"
        )
    console.print(table)
    if shown["transcript"] and (conversation := shown.get("conversation")):
        console.print(Panel(conversed(conversation), title=ours(("Разговор", "Conversation")), title_align="left"))
    if analysis := shown.get("aiAnalysis"):
        console.print(Panel(analysed(analysis), title=ours(("Анализ", "Analysis")), title_align="left"))
    if notice := shown.get("transcript_notice"):
        console.print(f"[yellow]{shown['transcript_model']}: {notice}[/yellow]")


def conversed(figures: dict[str, Any]) -> Table:
    """The figures of a conversation, a column for each side."""
    grid = Table.grid(padding=(0, 2))
    grid.add_row("", *(Text(ours(names), style=style) for names, style in SPEAKERS.values()))

    def row(heading: tuple[str, str], values: dict[str, Any] | None, shape: str, scale: float = 1.0) -> None:
        sides = [None if values is None else values.get(side) for side in SPEAKERS]
        grid.add_row(Text(ours(heading), style="bold"), *("-" if v is None else shape.format(v * scale) for v in sides))

    seconds = ours(("{:.1f} с", "{:.1f} s"))
    row(("Доля речи", "Share of speech"), figures["talk_share"], "{:.0%}")
    row(("Слов в минуту", "Words a minute"), figures["words_per_minute"], "{:.0f}")
    row(("Самый долгий монолог", "Longest monologue"), figures["longest_monologue_ms"], seconds, 0.001)
    row(("Перебивания", "Interruptions"), figures.get("interruptions"), "{:.0f}")
    first = {"B": figures.get("first_manager_word_ms")}
    row(("Первое слово менеджера", "First word of the manager"), first, seconds, 0.001)
    grid.add_row(Text(ours(("Тишина", "Silence")), style="bold"), f"{figures['silence_share']:.0%}")
    return grid


def analysed(analysis: dict[str, Any]) -> Table:
    """An analysis as a grid of two columns."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(ratio=1)
    sentiment = analysis["sentiment"]
    mood = f"{ours(MOODS[sentiment])} ({analysis['sentiment_score']:+.2f})"
    grid.add_row(ours(("Тональность", "Sentiment")), Text(mood, style=SENTIMENTS[sentiment]))
    grid.add_row(ours(("Темы", "Topics")), ", ".join(analysis["topics"]) or "-")
    grid.add_row(ours(("Намерения", "Intents")), ", ".join(analysis["intents"]) or "-")
    grid.add_row(ours(("Кратко", "Summary")), analysis["summary"])
    tasks = "\n".join(f"• {item}" for item in analysis["action_items"])
    grid.add_row(ours(("Задачи", "Action items")), tasks or "-")
    model = f"{analysis.get('provider')} / {analysis.get('model')}, {analysis['language']}"
    if analysis.get("provider") == "builtin":
        model += ours((" (без языковой модели)", " (without a language model)"))
    grid.add_row(ours(("Кем", "By whom")), model)
    return grid
