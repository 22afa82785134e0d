"""`appliance erase`: take every trace of a telephone number out of the appliance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli import operate
from appliance.cli.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from appliance.services.erasure import Report


def erase(
    phone: Annotated[
        str, typer.Option(prompt=True, help="In any spelling; asked for where left out, so that no history keeps it")
    ],
    mentions: Annotated[bool, typer.Option("--mentions", help="Also erase calls of others that name it")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what there is")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    data_dir: DataDir = Path("var"),
) -> None:
    """Erase every call with a number: recording, transcript, search, analyses, events, exports. It cannot be undone.

    Fails where calls are left because they are under legal hold.
    """
    from appliance.services import erasure

    operate.find_settings(data_dir)
    if dry_run or not yes:
        _print(erasure.look(phone), "found")
    if dry_run:
        return
    if not yes:
        typer.confirm("Erase this for good?", abort=True)
    report = erasure.erase(phone, mentions=mentions)
    _print(report, "erased")
    if report.objects_left:
        typer.echo(f"The object store is away: {report.objects_left} files are deleted as soon as it is back.")
    typer.echo("Backups that were made before still hold the number: remove them, or let them grow out of --keep.")
    if report.held:
        raise typer.Exit(1)


def _print(report: Report, done: str) -> None:
    for kind, number in report.counts.items():
        typer.echo(f"{kind.replace('_', ' '):>18}: {number} {done}")
    verdict = "erased with them" if report.mentions_erased else "kept; --mentions erases them too"
    _list(report.mentions, f"calls of other numbers name it ({verdict})")
    _list(report.held, "calls are under legal hold and stay, until an admin releases them")


def _list(ids: Sequence[UUID], what: str) -> None:
    if ids:
        typer.echo(f"{len(ids)} {what}:")
    for call_id in ids:
        typer.echo(f"  {call_id}")
