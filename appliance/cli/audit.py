"""`appliance audit`: who did what, whether the trail is whole, and what left this machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from appliance.cli.language import ours
from appliance.cli.show import wide

app = typer.Typer(no_args_is_help=True, help="The audit trail / Журнал действий.")


@app.command("list")
def show(
    since: Annotated[datetime | None, typer.Option(help="From this day or moment on / С этого дня или момента")] = None,
    action: Annotated[
        str | None,
        typer.Option(help="Only this action, for example call_read / Только это действие, например call_read"),
    ] = None,
    user: Annotated[
        UUID | None, typer.Option(help="Only what this user did / Только действия этого пользователя")
    ] = None,
    call: Annotated[
        UUID | None, typer.Option(help="Only what was done to this call / Только действия с этим звонком")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many / Не больше стольких записей")] = 100,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object per line / Объект JSON в каждой строке")
    ] = False,
) -> None:
    """Show entries, newest first / Показать записи, новые сначала."""
    from rich.console import Console
    from rich.table import Table

    from appliance.services import audit
    from appliance.store.audit import Wanted

    found, total = audit.read(Wanted(action, user, call, since and since.astimezone()), limit, 0)
    heads = (
        ("№", "когда", "действие", "кто", "звонок", "подробности"),
        ("id", "at", "action", "user", "call", "details"),
    )
    table = Table(*ours(heads), title=f"{len(found)} / {total}")
    for named in found:
        entry = named.entry
        details = json.dumps(entry.details, ensure_ascii=False)
        who, which = named.user_name or str(entry.user_id or ""), str(entry.call_id or "")
        at = entry.at.astimezone().isoformat(timespec="seconds")
        if as_json:
            known = {"id": entry.id, "at": at, "action": entry.action, "user_id": str(entry.user_id or "")}
            known |= {"call_id": which, "details": entry.details, "hash": entry.hash.hex()}
            typer.echo(json.dumps(known, ensure_ascii=False))
        else:
            table.add_row(str(entry.id), at, entry.action, who, which, details)
    if not as_json:
        Console().print(table)


@app.command()
def verify(
    anchor: Annotated[
        str,
        typer.Option(
            help="ID:HASH as an earlier check said: it must still be in the chain / НОМЕР:ХЕШ из прежней проверки"
        ),
    ] = "",
) -> None:
    """Check that no entry was changed, taken out or put in / Проверить, что журнал цел."""
    from appliance.services import audit

    known = None
    if anchor:
        number, _, digest = anchor.partition(":")
        try:
            known = (int(number), bytes.fromhex(digest))
        except ValueError:
            raise typer.BadParameter(ours(("нужно НОМЕР:ХЕШ", "an anchor is ID:HASH"))) from None
    verdict = audit.verify(known)
    if verdict.broken_id is not None:
        said = (
            f"НАРУШЕН на записи {verdict.broken_id}: она изменена, или не хватает записи перед ней",
            f"BROKEN at entry {verdict.broken_id}: it is not what was written, or one before it is missing",
        )
        typer.echo(ours(said))
        raise typer.Exit(1)
    if not verdict.anchored:
        number = anchor.partition(":")[0]
        said = (
            f"НАРУШЕН: запись {number} не та, что была: журнал обрезан или переписан",
            f"BROKEN: entry {number} is not as it was: the trail was cut off or written anew",
        )
        typer.echo(ours(said))
        raise typer.Exit(1)
    head = f"{verdict.last_id}:{verdict.last_hash.hex()}"
    said = (
        f"{verdict.entries} записей целы; сохраните конец цепочки: {head}",
        f"{verdict.entries} entries are whole; the head to keep: {head}",
    )
    typer.echo(ours(said))


@app.command()
def egress(
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day; all where left out / С этого дня; иначе всё"),
    ] = None,
) -> None:
    """Show every request to a language model that left this machine / Показать запросы, ушедшие за пределы машины."""
    from zoneinfo import ZoneInfo

    from rich.table import Table

    from appliance.config import settings
    from appliance.services import language_models

    zone = ZoneInfo(settings().site_timezone)
    requests = language_models.left(since.replace(tzinfo=zone) if since else datetime.fromtimestamp(0, UTC))
    sent = sum(request.bytes_sent for request in requests)
    if not requests:
        typer.echo(ours(("0 байт ушло с этой машины", "0 bytes left this machine")))
        return
    heads = (
        ("когда", "чей выбор", "для чего", "звонок", "адрес", "модель", "байт", "скрыто", "итог"),
        ("sent", "chosen by", "for", "call", "host", "model", "bytes", "masked", "outcome"),
    )
    table = Table(*ours(heads))
    for request in requests:
        table.add_row(
            request.sent_at.astimezone(zone).isoformat(timespec="seconds"),
            str(request.chosen_by_id or ours(("оператор", "operator"))),
            request.purpose,
            str(request.call_id or ""),
            request.host,
            request.model,
            str(request.bytes_sent),
            ", ".join(f"{kind} {count}" for kind, count in sorted(request.masked.items()))
            or ours(("ничего", "nothing")),
            request.outcome,
        )
    wide(220).print(table)
    said = (
        f"{sent} байт ушло с этой машины, запросов: {len(requests)}",
        f"{sent} bytes left this machine in {len(requests)} requests",
    )
    typer.echo(ours(said))
