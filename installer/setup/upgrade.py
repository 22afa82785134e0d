"""From one release to the next, or back to where it began: by itself, whatever fails and wherever."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

import psycopg

from appliance.config import SettingsInvalid, check_file
from appliance.errors import ApplianceError
from installer import aside, nodes, stack
from installer.setup import layout
from installer.setup.step import Journal, Step, StepFails
from installer.setup.tree import Tree, facts, write_units
from installer.site import Site

READY_WITHIN_S = 120.0


class Upgrade:
    """Runs from the new release. The old one and a copy of its database stay until the new one has proven itself."""

    def __init__(self, journal: Journal, old: str, new: str) -> None:
        self.journal, self.old, self.new = journal, old, new
        self.tree = Tree(journal)
        self.shut: psycopg.Connection[Any] | None = None
        """Further machines are kept from a database of the company's while this lives."""
        self.copied = False
        """Whether the copy of the database is of this upgrade: one that an earlier one left is not returned to."""

    @property
    def is_node(self) -> bool:
        """A further machine has no database of its own; it starts only where the first one's fits its release."""
        return "NODE_NAME" in facts()

    def checks(self) -> list[Step]:
        """What must hold before anything is stopped."""
        settings = Step("проверка настроек", "checking the settings", lambda: False, self._check_settings)
        first = Step("первая машина", "the first machine", lambda: False, self._ask_first_machine)
        whole = Step("целы ли данные", "whether the data is whole", lambda: False, self._check_whole)
        return [settings, first] if self.is_node else [settings, whole]

    def steps(self) -> list[Step]:
        database = [
            Step("копия базы", "copy of the database", lambda: False, self._copy),
            Step("миграция базы", "bringing the database up to date", lambda: False, lambda: self._database("migrate")),
        ]
        if not Site(layout.DATA).own_database:
            apart = Step("закрыть базу от других машин", "closing it to other machines", lambda: False, self._shut_out)
            database.insert(0, apart)
        return [
            Step("остановка", "stopping", lambda: False, self.tree.stop),
            *([] if self.is_node else database),
            Step("переключение выпуска", "switching the release", lambda: False, self._switch),
            Step("запуск", "start", lambda: False, self.tree.start),
            Step("проверка", "health", lambda: False, self._prove),
        ]

    def run(self) -> None:
        """Raises StepFails after everything is as it was before."""
        for step in self.checks():
            self.journal.take(step)
        try:
            for step in self.steps():
                self.journal.take(step)
        except StepFails as failure:
            ru = self.journal.language == "ru"
            self.journal.say(f"  {failure}")
            self.journal.say(f"  возвращаю версию {self.old} ..." if ru else f"  returning to version {self.old} ...")
            self._return()
            raise StepFails(
                f"Обновление не удалось, работает прежняя версия {self.old}"
                if ru
                else f"The upgrade failed; version {self.old} serves as before"
            ) from None
        finally:
            if self.shut:
                self.shut.close()
        self._prune()

    def _check_settings(self) -> None:
        """What the old release was set to may be refused by the new one. Raises StepFails with the remedy."""
        file = layout.CONFIG / "appliance.env"
        try:
            check_file(file)
        except SettingsInvalid as error:
            ru = f"Исправьте {file} и запустите ./install снова. Работает прежняя версия {self.old}"
            en = f"Mend {file} and run ./install again. Version {self.old} serves as before"
            remedy = ru if self.journal.language == "ru" else en
            raise StepFails(f"{error.message(self.journal.language)}\n{remedy}") from None

    def _check_whole(self) -> None:
        """Neither is half a restore brought up to date nor one disturbed. Raises StepFails with the remedy."""
        try:
            aside.check(Site(layout.DATA))
        except ApplianceError as error:
            raise StepFails(error.message(self.journal.language)) from None

    def _ask_first_machine(self) -> None:
        """It is upgraded first. Raises StepFails."""
        try:
            nodes.check_release(Site(layout.DATA))
        except ApplianceError as error:
            raise StepFails(error.message(self.journal.language)) from None

    def _shut_out(self) -> None:
        """Raises StepFails."""
        try:
            self.shut = nodes.shut_out(Site(layout.DATA))
        except psycopg.Error as error:
            raise StepFails(str(error)) from None

    def _database(self, what: str) -> None:
        python = layout.RELEASES / self.new / ".venv" / "bin" / "python"
        command = [str(python), "-m", "installer.setup.return_point", what]
        self.journal.run(*command, cwd=layout.RELEASES / self.new)

    def _copy(self) -> None:
        self._database("save")
        self.copied = True

    def _switch(self) -> None:
        write_units(layout.RELEASES / self.new)
        layout.point_current_at(self.new)

    def _prove(self) -> None:
        """The new release answers that it is ready, by its own version. Raises StepFails."""
        if self.is_node:
            self._prove_node()
            return
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                said = json.loads(stack.answer(Site(layout.DATA), "/api/ready"))
                if said["ready"] and said["version"] == self.new:
                    return
                reason = str(said)
            except OSError as error:
                reason = str(error)
            if time.monotonic() > deadline:
                raise StepFails(f"/api/ready: {reason}")
            time.sleep(1)

    def _prove_node(self) -> None:
        """The first machine hears its workers, and goes on hearing them. Raises StepFails."""
        site = Site(layout.DATA)
        try:
            since = nodes.now(site)
            stack.wait_for("workers", site, lambda: nodes.check_heard(site, since))
        except (ApplianceError, psycopg.Error) as error:
            raise StepFails(str(error)) from None

    def _return(self) -> None:
        """Every part is safe where it is not needed: what failed may have been any step."""
        try:
            self.tree.stop()
        except StepFails as failure:
            self.journal.say(f"  {failure}")
        if self.copied:  # else nothing was changed yet
            self._database("restore")
        write_units(layout.RELEASES / self.old)
        layout.point_current_at(self.old)
        self.tree.start()

    def _prune(self) -> None:
        """The copy of the database goes, and releases but the one that serves and the one before."""
        try:
            if not self.is_node:
                self._database("forget")  # people whose numbers are erased from now on must not live on in it
        except StepFails as failure:
            self.journal.say(f"  {failure}")
        for folder in layout.RELEASES.iterdir():
            if folder.is_dir() and folder.name not in {self.old, self.new}:
                shutil.rmtree(folder)
