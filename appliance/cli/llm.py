"""`appliance llm`: who analyses calls."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from appliance.cli.language import ours
from installer.language import spoken

app = typer.Typer(no_args_is_help=True, help="Who analyses calls / Кто анализирует звонки.")

Name = Annotated[str, typer.Argument(help="A profile, such as local / Профиль, например local")]


@app.command()
def show() -> None:
    """Show the profiles, and which of them analyses / Показать профили и какой из них анализирует."""
    from appliance.services import language_models

    state = language_models.state()
    heads = (
        ("профиль", "где данные", "адрес", "модель", "за день, USD", "разрешён"),
        ("profile", "residency", "endpoint", "model", "spent today, USD", "allowed"),
    )
    table = Table("", *ours(heads))
    for shown in state.profiles:
        profile = shown.profile
        table.add_row(
            "*" if profile.name == state.active else "",
            profile.name,
            profile.residency,
            profile.base_url,
            profile.model,
            f"{shown.spent_today:.4f}" + (f" / {profile.daily_cost_cap:g}" if profile.daily_cost_cap else ""),
            shown.refusal.message(spoken()) if shown.refusal else ours(("да", "yes")),
        )
    console = Console()
    console.print(table)
    console.print(
        f"DATA_RESIDENCY={state.settings.data_residency}, MASK_PII={state.settings.mask_pii}", highlight=False
    )
    for name in state.damaged:
        damaged = ours(("не читается, сохраните его заново", "cannot be read, save it anew"))
        console.print(f"[red]{name}: {damaged}[/red]")


@app.command()
def use(name: Name) -> None:
    """Let a profile analyse, from the next call on / Выбрать профиль, начиная со следующего звонка."""
    from appliance.services import language_models

    state = language_models.change(None, name, {})
    said = f"Теперь звонки анализирует {state.active}.", f"{state.active} analyses calls from now on."
    typer.echo(ours(said))


@app.command("test")
def try_out(
    name: Annotated[
        str | None, typer.Argument(help="A profile; the chosen one where left out / Профиль; иначе выбранный")
    ] = None,
) -> None:
    """Send an invented call to a profile: time, cost, validity / Проверить профиль на выдуманном звонке."""
    from appliance.services import language_models

    tried = language_models.try_out(None, name)
    used = tried.used
    tokens = f"{used.prompt_tokens} + {used.completion_tokens}"
    effort = ours((f"{tried.latency_ms} мс, токенов {tokens}", f"{tried.latency_ms} ms, {tokens} tokens"))
    effort += f", {used.cost:.6f} USD"
    if tried.error:
        typer.echo(f"{tried.profile.name}: {tried.error.code}, {effort}: {tried.error.message(spoken())}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{tried.profile.name} ({tried.model}): {ours(('ответ годен', 'valid'))}, {effort}")
