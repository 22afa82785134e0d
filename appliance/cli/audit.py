"""`appliance audit`: who did what, whether the trail is whole, and what left this machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from appliance.cli.show import wide

app = typer.Typer(no_args_is_help=True, help="The audit trail.")


@app.command("list")
def show(
    since: Annotated[datetime | None, typer.Option(help="From this day or moment on")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, for example call_read")] = None,
    user: Annotated[UUID | None, typer.Option(help="Only what this user did")] = None,
    call: Annotated[UUID | None, typer.Option(help="Only what was done to this call")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object per line")] = False,
) -> None:
    """Show entries, newest first."""
    from rich.console import Console
    from rich.table import Table

    from appliance.services import audit
    from appliance.store.audit import Wanted

    found, total = audit.read(Wanted(action, user, call, since and since.astimezone()), limit, 0)
    table = Table("id", "at", "action", "user", "call", "details", title=f"{len(found)} / {total}")
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
    anchor: Annotated[str, typer.Option(help="ID:HASH as an earlier check said: it must still be in the chain")] = "",
) -> None:
    """Check that no entry was changed, taken out or put in. Fails with the first that does not fit."""
    from appliance.services import audit

    known = None
    if anchor:
        number, _, digest = anchor.partition(":")
        try:
            known = (int(number), bytes.fromhex(digest))
        except ValueError:
            raise typer.BadParameter("an anchor is ID:HASH") from None
    verdict = audit.verify(known)
    if verdict.broken_id is not None:
        typer.echo(f"BROKEN at entry {verdict.broken_id}: it is not what was written, or one before it is missing")
        raise typer.Exit(1)
    if not verdict.anchored:
        typer.echo(f"BROKEN: entry {anchor.partition(':')[0]} is not as it was: the trail was cut off or written anew")
        raise typer.Exit(1)
    typer.echo(f"{verdict.entries} entries are whole; the head to keep: {verdict.last_id}:{verdict.last_hash.hex()}")


@app.command()
def egress(
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day; all where left out")] = None,
) -> None:
    """Show every request to a language model that left this machine; each was written down before it was sent."""
    from zoneinfo import ZoneInfo

    from rich.table import Table

    from appliance.config import settings
    from appliance.services import language_models

    zone = ZoneInfo(settings().site_timezone)
    requests = language_models.left(since.replace(tzinfo=zone) if since else datetime.fromtimestamp(0, UTC))
    sent = sum(request.bytes_sent for request in requests)
    if not requests:
        typer.echo("0 bytes left this machine")
        return
    table = Table("sent", "chosen by", "for", "call", "host", "model", "bytes", "masked", "outcome")
    for request in requests:
        table.add_row(
            request.sent_at.astimezone(zone).isoformat(timespec="seconds"),
            str(request.chosen_by_id or "operator"),
            request.purpose,
            str(request.call_id or ""),
            request.host,
            request.model,
            str(request.bytes_sent),
            ", ".join(f"{kind} {count}" for kind, count in sorted(request.masked.items())) or "nothing",
            request.outcome,
        )
    wide(220).print(table)
    typer.echo(f"{sent} bytes left this machine in {len(requests)} requests")
