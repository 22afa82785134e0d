"""Off a machine again: the program always; data, settings and accounts only where that is asked for.

Accounts stay with the data: files of an account that is gone would belong to whoever gets its number next.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from installer import accounts
from installer.setup import completion, layout
from installer.setup.step import Journal, Step, StepFails
from installer.setup.tree import Tree, facts


def is_installed() -> bool:
    """Whether anything of an installation is on this machine."""
    return any(place.exists() for place in (layout.HOME, layout.COMMAND, *data_places(), *_units()))


def data_places() -> tuple[Path, ...]:
    """Everything that was made or entrusted here: recordings, database and weights; settings with secrets; logs."""
    return (layout.DATA, layout.CONFIG, layout.LOGS)


def parts_elsewhere() -> list[str]:
    """Settings that name a database or a store which is not this machine's: what lies there is never removed here."""
    known = facts()
    password = known.get("POSTGRES_PASSWORD", "")
    bundled = {
        "DATABASE_URL": bool(password and password in known.get("DATABASE_URL", "")),
        "S3_ENDPOINT": known.get("S3_ENDPOINT", "").startswith("http://127.0.0.1:"),
    }
    return [name for name, is_ours in bundled.items() if known.get(name) and not is_ours]


def _units() -> list[Path]:
    return sorted(layout.UNITS.glob("call-analytics*"))


class Removal:
    """What `appliance uninstall` does. Cut off, it is run again; the running program's own files go last."""

    def __init__(self, journal: Journal, *, with_data: bool) -> None:
        self.journal, self.with_data = journal, with_data
        self.tree = Tree(journal)
        journal.total = len(self.steps())

    def run(self) -> None:
        """Raises StepFails."""
        if layout.unfinished().exists() and not self.with_data:
            ru = "Обновление не закончено, данные между двумя версиями. Сначала: call-analytics up"
            en = "An upgrade is not finished, and the data are between two versions. First: call-analytics up"
            raise StepFails(ru if self.journal.language == "ru" else en)
        for step in self.steps():
            self.journal.take(step)

    def steps(self) -> list[Step]:
        data = [
            Step("данные, настройки, журналы", "data, settings, logs", self._has_no_data, self._remove_data),
            Step("учётные записи", "accounts", self._has_no_account, self._remove_account),
        ]
        return [
            Step("остановка", "stopping", self._has_no_release, self._stop),
            Step("службы", "units", lambda: not _units(), self._remove_units),
            *(data if self.with_data else []),
            Step("команда", "command", lambda: not layout.COMMAND.exists(), self._remove_command),
            Step("программа", "program", lambda: not layout.HOME.exists(), lambda: shutil.rmtree(layout.HOME)),
        ]

    def _has_no_release(self) -> bool:
        return not (layout.CURRENT.exists() and layout.COMMAND.exists())

    def _stop(self) -> None:
        if self.tree.by_systemd and _units():
            # No unit is what a write that was cut off left.
            units = (unit.name for unit in _units() if unit.is_file() and unit.suffix != ".part")
            self.journal.run("systemctl", "disable", "--now", *units)
        else:
            self.tree.command("down")

    def _remove_units(self) -> None:
        for unit in _units():
            if unit.is_dir():  # what `systemctl edit` wrote
                shutil.rmtree(unit)
            else:
                unit.unlink()
        if self.tree.by_systemd:
            self.journal.run("systemctl", "daemon-reload")

    def _remove_command(self) -> None:
        completion.remove()
        layout.COMMAND.unlink()

    def _has_no_data(self) -> bool:
        return not any(place.exists() for place in (*data_places(), layout.RUN))

    def _remove_data(self) -> None:
        for place in (*data_places(), layout.RUN):
            if place.exists():
                shutil.rmtree(place)

    def _has_no_account(self) -> bool:
        return not self._accounts()

    def _remove_account(self) -> None:
        for user in self._accounts():
            self.journal.run("userdel", user)

    def _accounts(self) -> list[str]:
        """Whose group it is goes last."""
        return [user for user in (*map(accounts.of, accounts.SUFFIXES), layout.USER) if accounts.exists(user)]
