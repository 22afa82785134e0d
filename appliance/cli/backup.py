"""`appliance backup`: everything that was entrusted to the appliance, somewhere else; and back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Backups: make, verify, restore.")

DataDir = Annotated[Path, typer.Option(envvar="DATA_DIR", help="Where everything that changes is kept")]
Backup = Annotated[Path, typer.Argument(help="The folder of one backup")]


def _tell(step: str) -> None:
    typer.echo(f"  {step} ...")


@app.command()
def make(
    target: Annotated[Path, typer.Argument(help="Where backups are kept, best on another disk")],
    data_dir: DataDir = Path("var"),
    keep: Annotated[int, typer.Option(min=0, help="How many backups stay; 0: all")] = 0,
) -> None:
    """Back up the running appliance: database, recordings, secrets."""
    from appliance.services.readiness import LAST_BACKUP
    from installer import backup
    from installer.site import Site

    site, began = Site(data_dir.resolve()), datetime.now(UTC)
    typer.echo(f"Backed up: {backup.make(site, target.resolve(), _tell, keep)}")
    part = site.data_dir / f"{LAST_BACKUP}.part"
    part.write_text(began.isoformat() + "\n", encoding="utf-8")
    part.replace(site.data_dir / LAST_BACKUP)


@app.command()
def verify(folder: Backup) -> None:
    """Restore a backup into a scratch place, compare counts and checksums, and remove it again."""
    from installer import backup

    manifest = backup.verify(folder.resolve(), _tell)
    typer.echo(f"Sound: {manifest.counts['calls']} calls, {len(manifest.objects)} recordings, of {manifest.made_at}")


@app.command()
def restore(folder: Backup, data_dir: DataDir = Path("var")) -> None:
    """Make an installation from a backup in a data folder that is empty; start it afterwards with `appliance up`."""
    from installer import backup

    manifest = backup.restore(folder.resolve(), data_dir, _tell)
    typer.echo(f"Restored: {manifest.counts['calls']} calls, {len(manifest.objects)} recordings. Start: appliance up")
