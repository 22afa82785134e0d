"""`appliance up|down|demo`: the whole process tree on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from appliance.cli import show
from appliance.cli.language import ours

DataDir = Annotated[
    Path, typer.Option(envvar="DATA_DIR", help="Where everything that changes is kept / Папка установки")
]
Port = Annotated[int, typer.Option(envvar="PORT", help="Port of the API / Порт API")]

SAMPLES = Path(__file__).parent.parent.parent / "samples"


def up(
    data_dir: DataDir = Path("var"),
    port: Annotated[
        int | None,
        typer.Option(envvar="PORT", help="Port of the API; else as before / Порт API; иначе прежний"),
    ] = None,
) -> None:
    """Start everything that does not run yet / Запустить всё, что ещё не запущено."""
    from installer import stack

    site = stack.up(data_dir, port or _port_of(data_dir), show.step)
    url = site.url()
    said = (
        f"API отвечает на {url}, документация: {url}/docs",
        f"The API answers on {url}, its documentation on {url}/docs",
    )
    typer.echo(ours(said))


def service(data_dir: DataDir = Path("var")) -> None:
    """Run the whole tree in the foreground, as systemd starts it / Запустить всё как служба systemd."""
    from installer import service as tree

    tree.run(data_dir, _port_of(data_dir), show.step)


def _port_of(data_dir: Path) -> int:
    """As the settings have it, which a restore may have left aside. Raises RestoreRuns, HalfRestored."""
    from installer import aside
    from installer.site import Site

    site = Site(data_dir.resolve())
    aside.put_back(site, show.step)
    return int(site.facts().get("PORT", "8000"))


def down(data_dir: DataDir = Path("var")) -> None:
    """Stop everything in order / Остановить всё по порядку."""
    from installer import stack

    show.step("stopping / остановка")
    said = (
        ("Остановлено.", "Stopped.") if stack.down(data_dir) else ("Ничего не было запущено.", "Nothing was running.")
    )
    typer.echo(ours(said))


def demo(
    call: Annotated[
        Path | None,
        typer.Argument(help="A recording; the Russian sample where left out / Запись; иначе русский образец"),
    ] = None,
    data_dir: DataDir = Path("var"),
    port: Port = 8000,
) -> None:
    """Start everything, send one call through and show it / Запустить всё и разобрать один звонок."""
    from appliance.cli import demonstration
    from appliance.services import demo_data
    from installer import stack

    recording = call or SAMPLES / "ru-test-drive.mp3"
    if not recording.is_file():
        raise typer.BadParameter(ours((f"файла {recording} нет", f"there is no file {recording}")))
    console = Console()
    site = stack.up(data_dir, port, show.step, demo=True)
    os.environ["APPLIANCE_ENV_FILE"] = str(site.env_file)
    demo_data.create_users()
    demonstration.run(console, f"http://localhost:{port}", recording)
