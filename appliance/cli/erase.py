"""`appliance erase`: take every trace of a telephone number out of the appliance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli import operate
from appliance.cli.language import ours
from appliance.cli.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from appliance.services.erasure import Report


KINDS = {
    "calls": "звонков",
    "segments": "реплик",
    "analyses": "анализов",
    "analysis_versions": "прежних анализов",
    "reanalysis_tasks": "повторных анализов",
    "events": "событий",
    "llm_requests": "запросов к моделям",
    "calls_announced": "ожидаемых записей",
    "recordings": "записей",
    "exports": "выгрузок",
}
PHONE_HELP = (
    "In any spelling; asked for where left out, so that no history keeps it / "
    "В любом написании; без параметра будет спрошен и не останется в истории команд"
)


def erase(
    phone: Annotated[str, typer.Option(prompt="Phone / Номер", help=PHONE_HELP)],
    mentions: Annotated[
        bool, typer.Option("--mentions", help="Also erase calls of others that name it / И чужие звонки, где он назван")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what there is / Только показать, что есть")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask / Не спрашивать")] = False,
    data_dir: DataDir = Path("var"),
) -> None:
    """Erase every call with a number, for good; legal holds stay / Стереть навсегда все звонки с номером."""
    from appliance.services import erasure

    operate.find_settings(data_dir)
    if dry_run or not yes:
        _print(erasure.look(phone), ours(("найдено", "found")))
    if dry_run:
        return
    if not yes:
        typer.confirm(ours(("Стереть навсегда?", "Erase this for good?")), abort=True)
    report = erasure.erase(phone, mentions=mentions)
    _print(report, ours(("стёрто", "erased")))
    if report.objects_left:
        left = report.objects_left
        said = (
            f"Хранилище записей не отвечает: файлов {left}, они будут удалены, как только оно вернётся.",
            f"The object store is away: {left} files are deleted as soon as it is back.",
        )
        typer.echo(ours(said))
    said = (
        "Прежние резервные копии ещё хранят этот номер: удалите их или дождитесь, пока их вытеснит --keep.",
        "Backups that were made before still hold the number: remove them, or let them grow out of --keep.",
    )
    typer.echo(ours(said))
    if report.held:
        raise typer.Exit(1)


def _print(report: Report, done: str) -> None:
    for kind, number in report.counts.items():
        typer.echo(f"{ours((KINDS.get(kind, kind), kind.replace('_', ' '))):>24}: {number} {done}")
    gone = report.mentions_erased
    verdict = (
        ("стёрты вместе", "erased with them")
        if gone
        else ("оставлены; --mentions сотрёт и их", "kept; --mentions erases them too")
    )
    named = ("звонков с другими номерами называют его", "calls of other numbers name it")
    _list(report.mentions, f"{ours(named)} ({ours(verdict)})")
    held = (
        "звонков под запретом удаления остаются, пока администратор не снимет его",
        "calls are under legal hold and stay, until an admin releases them",
    )
    _list(report.held, ours(held))


def _list(ids: Sequence[UUID], what: str) -> None:
    if ids:
        typer.echo(f"{len(ids)} {what}:")
    for call_id in ids:
        typer.echo(f"  {call_id}")
