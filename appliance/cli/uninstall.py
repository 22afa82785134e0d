"""`appliance uninstall`: off this machine; the data stay unless they are told to go as well."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli.language import ours
from appliance.errors import ApplianceError
from installer.language import spoken

if TYPE_CHECKING:
    from installer.setup.step import Journal

BACKUPS = Path("/var/backups/call-analytics")


class NothingInstalled(ApplianceError):
    code = "nothing_installed"
    ru = "Здесь нет установки из комплекта. Демонстрация: make stop, затем удалите её папку DATA_DIR"
    en = "Nothing was installed here from a bundle. A demonstration: make stop, then remove its folder DATA_DIR"


class RootNeeded(ApplianceError):
    code = "root_needed"
    ru = "Нужны права администратора системы: sudo call-analytics uninstall"
    en = "This needs the rights of root: sudo call-analytics uninstall"


class UninstallFailed(ApplianceError):
    code = "uninstall_failed"
    ru = "Удаление не закончено: {reason}. Исправьте и повторите команду; журнал: {log}"
    en = "Not everything was removed: {reason}. Mend it and run the command again; its log: {log}"


def uninstall(
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Also calls, settings, logs, weights / Также звонки, настройки, веса")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask / Не спрашивать")] = False,
) -> None:
    """Take the appliance off this machine; data stay unless told / Удалить систему, данные остаются."""
    from installer.setup import uninstall as removal
    from installer.setup.step import StepFails

    if not removal.is_installed():
        raise NothingInstalled
    if os.geteuid() != 0:
        raise RootNeeded
    elsewhere = removal.parts_elsewhere()  # the settings that tell are removed with the data
    if not yes:
        _ask(with_data=with_data)
    journal = _journal()
    try:
        removal.Removal(journal, with_data=with_data).run()
    except StepFails as failure:
        raise UninstallFailed(reason=str(failure), log=str(journal.log)) from None
    journal.log.unlink()
    _tell_what_stays(elsewhere, with_data=with_data)


def _ask(*, with_data: bool) -> None:
    from installer.setup import uninstall

    places = "".join(f"\n  {place}" for place in uninstall.data_places() if place.exists())
    if not with_data:
        typer.echo(ours((f"Данные и настройки останутся:{places}", f"Data and settings stay:{places}")))
        typer.confirm(ours(("Удалить программу?", "Remove the program?")), abort=True)
        return
    typer.echo(ours((f"Будет удалено навсегда:{places}", f"This is erased for good:{places}")))
    name = os.uname().nodename
    asked = ours((f"Введите имя машины ({name})", f"Type the name of this machine ({name})"))
    if typer.prompt(asked) != name:
        raise typer.Abort


def _journal() -> Journal:
    """Not in the log folder, which may be removed."""
    from installer.setup.step import Journal

    handle, name = tempfile.mkstemp(prefix="call-analytics-uninstall-", suffix=".log", dir="/var/tmp")
    os.close(handle)
    return Journal(Path(name), spoken(), 0)


def _tell_what_stays(elsewhere: list[str], *, with_data: bool) -> None:
    from installer.setup import layout, uninstall

    left = [str(place) for place in (*uninstall.data_places(), BACKUPS) if place.exists()]
    typer.echo(ours(("Удалено.", "Removed.")))
    if left:
        typer.echo(f"{ours(('Осталось:', 'What stays:'))} {', '.join(left)}")
    if elsewhere:
        names = ", ".join(elsewhere)
        typer.echo(ours((f"Не тронуто то, на что указывали {names}", f"Left as it is: what {names} led to")))
    if not with_data:
        said = (
            f"Учётные записи {layout.USER}* остались: данные принадлежат им. ./install вернёт всё как было",
            f"The accounts {layout.USER}* stay, since the data are theirs. ./install brings everything back",
        )
        typer.echo(ours(said))
