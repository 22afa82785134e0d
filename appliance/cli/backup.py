"""`appliance backup`: everything that was entrusted to the appliance, somewhere else; and back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from appliance.cli import show
from installer import signals

app = typer.Typer(no_args_is_help=True, help="Backups: make, list, verify, restore.")

DataDir = Annotated[Path, typer.Option(envvar="DATA_DIR", help="Where everything that changes is kept")]
Target = Annotated[
    str, typer.Argument(help="A folder, best on another disk, or s3://BUCKET/PREFIX (see BACKUP_S3_ENDPOINT)")
]
Backup = Annotated[str, typer.Argument(help="One backup: TARGET/TIME")]


@app.command()
def make(
    target: Target,
    data_dir: DataDir = Path("var"),
    keep: Annotated[int, typer.Option(min=0, help="How many backups stay; 0: all")] = 0,
) -> None:
    """Back up the running appliance: database, recordings (each once), secrets."""
    from appliance.services.readiness import LAST_BACKUP
    from installer import backup, vault
    from installer.site import Site

    site, began = Site(data_dir.resolve()), datetime.now(UTC)
    typer.echo(f"Backed up: {target.rstrip('/')}/{backup.make(site, vault.at(target), show.step, keep)}")
    part = site.data_dir / f"{LAST_BACKUP}.part"
    part.write_text(began.isoformat() + "\n", encoding="utf-8")
    part.chmod(0o644)  # for the API, where that is another user; the folder lets nobody else in
    part.replace(site.data_dir / LAST_BACKUP)


@app.command("list")
def list_backups(target: Target) -> None:
    """Show the backups that are there, the oldest first."""
    from installer import backup, vault

    place = vault.at(target)
    for name in backup.whole(place):
        manifest = backup.Manifest.of(place, name)
        typer.echo(f"{target.rstrip('/')}/{name}  {manifest.counts['calls']} calls, {len(manifest.objects)} recordings")


@app.command()
def verify(
    backup: Backup,
    scratch: Annotated[Path | None, typer.Option(help="Where there is room to restore it for a while")] = None,
) -> None:
    """Restore a backup into a scratch place, compare counts and checksums, and remove it again."""
    from installer import restore as restoring
    from installer import vault

    place, name = vault.of_backup(backup)
    room = scratch or (place.path if isinstance(place, vault.Folder) else None)
    with signals.left_in_order():
        manifest = restoring.verify(place, name, show.step, room)
    typer.echo(f"Sound: {manifest.counts['calls']} calls, {len(manifest.objects)} recordings, of {manifest.made_at}")


@app.command()
def restore(
    backup: Backup,
    data_dir: DataDir = Path("var"),
    replace: Annotated[bool, typer.Option("--replace", help="In the place of the installation that is there")] = False,
) -> None:
    """Make an installation from a backup; start it afterwards. Where that fails, everything stays as it was."""
    from installer import aside, vault
    from installer import restore as restoring

    place, name = vault.of_backup(backup)
    with signals.left_in_order():
        manifest = (restoring.replace if replace else restoring.restore)(place, name, data_dir, show.step)
    typer.echo(f"Restored: {manifest.counts['calls']} calls, {len(manifest.objects)} recordings. Start: appliance up")
    if replace:
        typer.echo(f"What was there before is in {data_dir / aside.ASIDE}: remove it when it is not needed")
