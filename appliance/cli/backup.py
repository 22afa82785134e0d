"""`appliance backup`: everything that was entrusted to the appliance, somewhere else; and back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli import show
from appliance.cli.language import ours, where_called
from installer import signals

if TYPE_CHECKING:
    from installer.backup import Manifest

app = typer.Typer(no_args_is_help=True, help="Backups / Резервные копии.")

DataDir = Annotated[
    Path, typer.Option(envvar="DATA_DIR", help="Where everything that changes is kept / Папка установки")
]
TARGET_HELP = (
    "A folder, best on another disk, or s3://BUCKET/PREFIX (see BACKUP_S3_ENDPOINT) / "
    "Папка, лучше на другом диске, или s3://КОРЗИНА/ПРЕФИКС (см. BACKUP_S3_ENDPOINT)"
)
Target = Annotated[str, typer.Argument(help=TARGET_HELP)]
Backup = Annotated[str, typer.Argument(help="One backup: TARGET/TIME / Одна копия: ПАПКА/ВРЕМЯ")]


@app.command()
def make(
    target: Target,
    data_dir: DataDir = Path("var"),
    keep: Annotated[int, typer.Option(min=0, help="How many backups stay; 0: all / Сколько копий хранить; 0: все")] = 0,
) -> None:
    """Back up the running appliance / Скопировать базу, записи и секреты работающей системы."""
    from appliance.services.readiness import LAST_BACKUP
    from installer import backup, vault
    from installer.site import Site

    target = _where(target)

    site, began = Site(data_dir.resolve()), datetime.now(UTC)
    name = backup.make(site, vault.at(target), show.step, keep)
    typer.echo(f"{ours(('Копия готова:', 'Backed up:'))} {target.rstrip('/')}/{name}")
    part = site.data_dir / f"{LAST_BACKUP}.part"
    part.write_text(began.isoformat() + "\n", encoding="utf-8")
    part.chmod(0o644)  # for the API, where that is another user; the folder lets nobody else in
    part.replace(site.data_dir / LAST_BACKUP)


@app.command("list")
def list_backups(target: Target) -> None:
    """Show the backups that are there, the oldest first / Показать копии, старые сначала."""
    from installer import backup, vault

    target = _where(target)
    place = vault.at(target)
    for name in backup.whole(place):
        manifest = backup.Manifest.of(place, name)
        typer.echo(f"{target.rstrip('/')}/{name}  {_counted(manifest)}")


def _where(target: str) -> str:
    return target if "://" in target else str(where_called(target))


def _counted(manifest: Manifest) -> str:
    calls, recordings = manifest.counts["calls"], len(manifest.objects)
    return ours((f"звонков: {calls}, записей: {recordings}", f"{calls} calls, {recordings} recordings"))


@app.command()
def verify(
    backup: Backup,
    scratch: Annotated[
        Path | None, typer.Option(help="Where there is room to restore it for a while / Где есть место для проверки")
    ] = None,
) -> None:
    """Restore a backup into a scratch place and compare it / Проверить копию пробным восстановлением."""
    from installer import restore as restoring
    from installer import vault

    place, name = vault.of_backup(_where(backup))
    room = scratch or (place.path if isinstance(place, vault.Folder) else None)
    with signals.left_in_order():
        manifest = restoring.verify(place, name, show.step, room)
    typer.echo(
        ours(
            (
                f"Копия цела: {_counted(manifest)}, {manifest.made_at}",
                f"Sound: {_counted(manifest)}, of {manifest.made_at}",
            )
        )
    )


@app.command()
def restore(
    backup: Backup,
    data_dir: DataDir = Path("var"),
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="In the place of the installation that is there / Вместо той установки, что есть"
        ),
    ] = False,
) -> None:
    """Make an installation from a backup; start it afterwards / Восстановить установку из копии."""
    from installer import aside, vault
    from installer import restore as restoring

    place, name = vault.of_backup(_where(backup))
    with signals.left_in_order():
        manifest = (restoring.replace if replace else restoring.restore)(place, name, data_dir, show.step)
    said = (
        f"Восстановлено, {_counted(manifest)}. Запуск: appliance up",
        f"Restored: {_counted(manifest)}. Start: appliance up",
    )
    typer.echo(ours(said))
    if replace:
        kept = data_dir / aside.ASIDE
        said = (
            f"Прежнее лежит в {kept}: удалите, когда станет не нужно",
            f"What was there before is in {kept}: remove it when it is not needed",
        )
        typer.echo(ours(said))
