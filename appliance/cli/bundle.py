"""`appliance bundle`: the archive that a machine is installed from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from appliance.cli.language import ours

app = typer.Typer(no_args_is_help=True, help="The archive that a machine is installed from / Комплект для установки.")


@app.callback()
def _group() -> None:
    """Keeps `verify` a command of its own while it is the only one."""


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The unpacked bundle / Папка распакованного комплекта")],
    key: Annotated[
        Path | None,
        typer.Option(
            help="The vendor's public key, got by another way / Открытый ключ поставщика, полученный отдельно"
        ),
    ] = None,
) -> None:
    """Check every file and the signature of a bundle, and list it / Проверить и показать комплект."""
    from installer.bundle import contents, inventory, seal

    signer = seal.verify(folder, key)
    typer.echo("\n".join(contents.table(folder)))
    if (folder / inventory.FILE).is_file():  # bundles of earlier releases have none
        found = contents.counts(folder)
        told = (
            f"Пакетов Python: {found['python']}, Debian: {found['debian']}, весов: {found['weights']}",
            f"Python packages: {found['python']}, Debian packages: {found['debian']}, weights: {found['weights']}",
        )
        typer.echo(f"{ours(told)} ({inventory.FILE})")
    typer.echo(ours((f"Все файлы целы, подписал {signer}", f"Every file is sound, signed by {signer}")))
