"""`appliance reanalyse`: calls of the past analysed anew by another model or prompt."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from appliance.cli.language import ours
from appliance.cli.show import wide

if TYPE_CHECKING:
    from appliance.models.analyses import Judged
    from appliance.services.reanalysis import Previewed, Progress

app = typer.Typer(no_args_is_help=True, help="Analyse calls of the past anew / Проанализировать прошлые звонки заново.")

Id = Annotated[UUID, typer.Argument(help="Of the re-analysis / Номер повторного анализа")]
Wait = Annotated[bool, typer.Option("--wait", help="Until it is done / Дождаться конца")]

STATES = {
    "previewing": ("идёт предпросмотр", "preview under way"),
    "previewed": ("предпросмотр готов", "preview done"),
    "running": ("идёт", "under way"),
    "completed": ("закончен", "completed"),
    "cancelled": ("отменён", "cancelled"),
}

FIELDS = {
    "sentiment": ("тональность", "sentiment"),
    "sentiment_score": ("оценка тональности", "sentiment score"),
    "topics": ("темы", "topics"),
    "intents": ("намерения", "intents"),
    "outcome": ("итог", "outcome"),
    "action_items": ("задачи", "action items"),
    "summary_words": ("слов в пересказе", "words of the summary"),
}

WIDE = 160

NOTHING_CHOSEN = (
    "Назовите звонки (--call), условия (--from, --manager, ...) или весь архив (--all)",
    "Name calls (--call), conditions (--from, --manager, ...) or the whole archive (--all)",
)

ENDED = ("previewed", "completed", "cancelled")


@app.command()
def begin(
    preview: Annotated[
        int, typer.Option(min=0, max=100, help="Only so many, apart, to compare / Сначала столько, для сравнения")
    ] = 0,
    profile: Annotated[
        str | None, typer.Option(help="Who analyses; the active one where left out / Профиль; иначе активный")
    ] = None,
    call: Annotated[list[UUID] | None, typer.Option(help="This call; again for more / Звонок; можно несколько")] = None,
    since: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day / С дня")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day / По день")] = None,
    manager: Annotated[str, typer.Option(help="Of this manager / Звонки менеджера")] = "",
    sentiment: Annotated[
        str, typer.Option(help="positive, negative or neutral / Тональность: positive, negative, neutral")
    ] = "",
    outcome: Annotated[str, typer.Option(help="Such as sold or lost / Итог, например sold или lost")] = "",
    direction: Annotated[
        str, typer.Option("--type", help="incoming or outgoing / Входящие (incoming) или исходящие (outgoing)")
    ] = "",
    archive: Annotated[bool, typer.Option("--all", help="The whole archive / Весь архив")] = False,
    wait: Wait = False,
) -> None:
    """Order a re-analysis, with --preview of some calls first / Начать повторный анализ, сначала на части звонков."""
    from appliance.api.schemas import ExportFilters
    from appliance.services import reanalysis

    given: dict[str, Any] = {"manager": manager, "sentiment": sentiment, "outcome": outcome, "type": direction}
    given |= {"dateFrom": since and since.date(), "dateTo": until and until.date()}
    given = {name: value for name, value in given.items() if value}
    if bool(given or call) == archive:
        raise typer.BadParameter(ours(NOTHING_CHOSEN))
    wanted = _checked(ExportFilters, given).chosen(call)
    progress = reanalysis.order(None, wanted, profile, preview)
    _tell(progress)
    if wait:
        _follow(progress.order.id)


def _checked(shape: Any, given: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return shape(**given)
    except ValidationError as error:
        wrong = ", ".join(f"{part['loc'][0]}: {part['msg']}" for part in error.errors())
        raise typer.BadParameter(wrong) from None


@app.command("list")
def newest() -> None:
    """Show the last ones, and how far they are / Показать последние и их ход."""
    from appliance.services import reanalysis

    headings = ("id", *map(ours, (("когда", "when"), ("профиль", "profile"), ("состояние", "state"))))
    table = Table(*headings, *map(ours, (("готово", "done"), ("сбой", "failed"), ("пропущено", "skipped"))), "USD")
    for found in reanalysis.newest(20):
        at = found.order.created_at.astimezone().isoformat(" ", timespec="minutes")
        done = f"{found.done} / {found.total}"
        state = ours(STATES[found.order.state])
        counts = (done, str(found.failed), str(found.skipped), f"{found.cost:.4f}")
        table.add_row(str(found.order.id), at, found.order.profile, state, *counts)
    wide(WIDE).print(table)


@app.command()
def show(reanalysis_id: Id, wait: Wait = False) -> None:
    """Show how far one is, and what its preview found / Показать ход и результат предпросмотра."""
    from appliance.services import reanalysis

    if wait:
        _follow(reanalysis_id)
        return
    _tell(reanalysis.show(reanalysis_id))
    _compare(reanalysis_id)


@app.command()
def start(reanalysis_id: Id, wait: Wait = False) -> None:
    """After its preview, go on with all calls / После предпросмотра продолжить со всеми звонками."""
    from appliance.services import reanalysis

    _tell(reanalysis.start(None, reanalysis_id))
    if wait:
        _follow(reanalysis_id)


@app.command()
def cancel(reanalysis_id: Id) -> None:
    """Begin no further call; what is done stays / Не начинать новых звонков; сделанное остаётся."""
    from appliance.services import reanalysis

    _tell(reanalysis.cancel(None, reanalysis_id))


def _tell(found: Progress) -> None:
    order = found.order
    counts = ours(
        (
            f"готово {found.done} из {found.total}, сбой {found.failed}, пропущено {found.skipped}",
            f"{found.done} of {found.total} done, {found.failed} failed, {found.skipped} skipped",
        )
    )
    typer.echo(f"{order.id}  {ours(STATES[order.state])}: {order.profile}, {counts}, {found.cost:.4f} USD")
    if order.error_code:
        typer.echo(ours(("ждёт: ", "waits: ")) + f"{order.error_code}: {order.error}")
    if order.state == "previewed":
        ahead = "" if found.expected_cost is None else f" (~{found.expected_cost:.2f} USD)"
        words = (
            "Все звонки, {n}{cost}: appliance reanalyse start {id}",
            "All {n} calls{cost}: appliance reanalyse start {id}",
        )
        typer.echo(ours(words).format(n=found.calls, cost=ahead, id=order.id))


def _follow(reanalysis_id: UUID) -> None:
    """Wait for the end of what is under way, and tell of it."""
    from appliance.services import reanalysis

    with Console(stderr=True).status("...") as status:
        while (found := reanalysis.show(reanalysis_id)).order.state not in ENDED:
            done = f"{found.done + found.failed + found.skipped} / {found.total}"
            status.update(done + (f"  {found.order.error_code}" if found.order.error_code else ""))
            time.sleep(1)
    _tell(found)
    if found.order.state == "previewed":
        _compare(reanalysis_id)


def _compare(reanalysis_id: UUID) -> None:
    """The preview's tables, where there is one."""
    from appliance.services import reanalysis

    try:
        found = reanalysis.preview(None, reanalysis_id)
    except reanalysis.ReanalysisHasNoPreview:
        return
    console = wide(WIDE)
    console.print(_side_by_side(found))
    console.print(_differences(found))


def _side_by_side(found: Previewed) -> Table:
    table = Table(show_lines=True)
    table.add_column(ours(("звонок", "call")), overflow="fold", min_width=36)
    for heading in (("", ""), ("тональность", "sentiment"), ("итог", "outcome"), ("темы", "topics")):
        table.add_column(ours(heading))
    table.add_column(ours(("пересказ", "summary")), ratio=2)
    table.add_column(ours(("задачи", "action items")), ratio=1)
    for call in found.calls:
        which, missing = f"{call.call_id}\n{call.manager_name}", call.error_code or "-"
        table.add_row(which, ours(("было", "old")), *_cells(call.old, "-"))
        table.add_row("", ours(("стало", "new")), *_cells(call.new, missing))
    return table


def _cells(made: Judged | None, missing: str) -> tuple[str, ...]:
    if made is None:
        return missing, "", "", "", ""
    mood = f"{made.sentiment} ({made.sentiment_score:+.2f})"
    return mood, made.outcome or "-", ", ".join(made.topics), made.summary, "\n".join(made.action_items)


def _differences(found: Previewed) -> Table:
    headings = (
        ("поле", "field"),
        ("изменилось", "changed"),
        ("совпадение", "agreement"),
        ("было", "old"),
        ("стало", "new"),
    )
    table = Table(*map(ours, headings))
    for row in found.differences:
        means = ["" if mean is None else f"{mean:g}" for mean in (row.old_mean, row.new_mean)]
        agreement = "" if row.agreement is None else f"{row.agreement:.0%}"
        table.add_row(ours(FIELDS[row.field]), f"{row.changed} / {row.compared}", agreement, *means)
    return table
