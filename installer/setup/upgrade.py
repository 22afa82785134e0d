"""From one release to the next, or back to where it began: by itself, whatever fails and wherever."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import Any

import psycopg

from appliance.config import SettingsInvalid, check_file
from appliance.errors import ApplianceError
from installer import aside, nodes, signals, stack, supervisor
from installer.language import pick
from installer.setup import layout
from installer.setup.step import Journal, Step, StepFails
from installer.setup.tree import Tree, facts, write_units
from installer.setup.unfinished import Mark, Phase
from installer.site import Site

READY_WITHIN_S = 120.0
BACK_WITHIN_S = 900.0
"""How long a database elsewhere may take to come back from the power cut that ended an upgrade here."""


class Upgrade:
    """Runs from the new release. The old one and a copy of its database stay until the new one has proven itself."""

    def __init__(self, journal: Journal, old: str, new: str) -> None:
        self.journal, self.old, self.new = journal, old, new
        self.tree = Tree(journal)
        self.mark = Mark(old, new)
        self.shut: psycopg.Connection[Any] | None = None
        """Further machines are kept from a database of the company's while this lives."""

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
            Step("копия базы", "copy of the database", lambda: False, self._save),
            Step("миграция базы", "bringing the database up to date", lambda: False, lambda: self._database("migrate")),
        ]
        if not Site(layout.DATA).own_database:
            apart = Step("закрыть базу от других машин", "closing it to other machines", lambda: False, self._shut_out)
            database.insert(0, apart)
        return [
            Step("остановка", "stopping", lambda: False, self._stop),
            *([] if self.is_node else database),
            Step("переключение выпуска", "switching the release", lambda: False, self._switch),
            Step("запуск", "start", lambda: False, self.tree.start),
            Step("проверка", "health", lambda: False, self._prove),
        ]

    def run(self) -> None:
        """Raises StepFails after everything is as it was before."""
        for step in self.checks():
            self.journal.take(step)
        began = time.monotonic()
        try:
            with signals.left_in_order():
                for step in self.steps():
                    self.journal.take(step)
        except BaseException as failure:
            ru = self.journal.language == "ru"
            self.journal.say(f"  {self._told(failure)}")
            self._say(f"возвращаю версию {self.old} ...", f"returning to version {self.old} ...")
            try:
                with signals.undisturbed():
                    self._return()
            except StepFails as second:
                raise StepFails(
                    f"{second}\nПрежняя версия {self.old} не запущена: устраните причину, затем call-analytics up"
                    if ru
                    else f"{second}\nVersion {self.old} was not started: mend the cause, then call-analytics up"
                ) from None
            if not isinstance(failure, StepFails):
                raise
            raise StepFails(
                f"Обновление не удалось, работает прежняя версия {self.old}"
                if ru
                else f"The upgrade failed; version {self.old} serves as before"
            ) from None
        finally:
            self._let_in()
        if not self.is_node:  # that takes none
            away_s = round(time.monotonic() - began)
            self._say(f"записи не принимались {away_s} с", f"no recordings were taken for {away_s} s")
        self._tidy_up()

    def resume(self, mark: Mark) -> None:
        """Bring one that was cut off to its end. Raises StepFails; then the next try may.

        Where the new release serves, it is left as it was found, running or not; else all is the old one's and stopped.
        """
        self.mark = mark
        if mark.phase not in {Phase.stopping, Phase.proven}:
            self._wait_for_database()
        if mark.phase is Phase.proven or (mark.phase is Phase.switched and self._serves()):
            self._say(
                f"версия {self.new} работает: довожу обновление до конца", f"version {self.new} serves: tidying up"
            )
            self._tidy_up()
        else:
            self._say(f"возвращаю версию {self.old}", f"returning to version {self.old}")
            try:
                self._go_back()
            finally:
                self._let_in()

    def _wait_for_database(self) -> None:
        """Without it nothing can be tried or put back. Raises StepFails."""
        site = Site(layout.DATA)
        if site.own_database:
            return
        address = site.facts()["DATABASE_URL"]
        try:
            stack.wait_for("database", site, lambda: psycopg.connect(address, connect_timeout=3).close(), BACK_WITHIN_S)
        except ApplianceError as error:
            raise StepFails(error.message(self.journal.language)) from None

    def _say(self, ru: str, en: str) -> None:
        self.journal.say("  " + (ru if self.journal.language == "ru" else en))

    def _report(self, name: str) -> None:
        self.journal.say(f"  {pick(name, self.journal.language)} ...")

    def _told(self, failure: BaseException) -> str:
        return failure.message(self.journal.language) if isinstance(failure, ApplianceError) else str(failure)

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

    def _stop(self) -> None:
        self.tree.resume_at_starts(layout.RELEASES / self.new)
        self.mark = Mark.begin(self.old, self.new)
        self.tree.stop()

    def _shut_out(self) -> None:
        """Raises StepFails."""
        try:
            self.shut = self.shut or nodes.shut_out(Site(layout.DATA))
        except psycopg.Error as error:
            raise StepFails(str(error)) from None

    def _let_in(self) -> None:
        if self.shut:
            self.shut.close()
            self.shut = None

    def _save(self) -> None:
        self._database("save")
        self.mark.come_to(Phase.saved)

    def _database(self, what: str) -> None:
        python = layout.RELEASES / self.new / ".venv" / "bin" / "python"
        command = [str(python), "-m", "installer.setup.return_point", what]
        # As one of the installation's processes: should this one be killed, it is found and ended by what comes next.
        marked = {**os.environ, supervisor.MARK: str(layout.DATA.resolve()), "APPLIANCE_LANG": self.journal.language}
        self.journal.run(*command, cwd=layout.RELEASES / self.new, env=marked)

    def _switch(self) -> None:
        write_units(layout.RELEASES / self.new)
        layout.point_current_at(self.new)
        self.mark.come_to(Phase.switched)

    def _prove(self) -> None:
        """The new release answers that it is ready, by its own version. Raises StepFails."""
        if self.is_node:
            self._prove_node()
        else:
            self._prove_first()
        self.mark.come_to(Phase.proven)

    def _prove_first(self) -> None:
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
            raise StepFails(self._told(error)) from None

    def _serves(self) -> bool:
        """Whether the new release does; it is started for that where it does not run. Once: see Phase."""
        self.mark.come_to(Phase.tried)
        site = Site(layout.DATA.resolve())
        ran = supervisor.is_running(site)
        try:
            stack.up(site.data_dir, int(facts().get("PORT", "8000")), self._report)
            self._prove()
        except Exception as failure:  # noqa: BLE001 - whatever keeps it from serving
            self.journal.say(f"  {self._told(failure)}")
            return False
        if not ran:
            stack.down(site.data_dir)
        return True

    def _return(self) -> None:
        self._go_back()
        self.tree.start()

    def _go_back(self) -> None:
        """All is the old release's, and stopped. May be cut off anywhere, and run again. Raises StepFails."""
        try:
            self.tree.stop()
        except StepFails as failure:
            self.journal.say(f"  {failure}")
        stack.down(layout.DATA)  # what the upgrade itself had started, too
        if self.mark.phase is Phase.switched:
            self.mark.come_to(Phase.tried)  # from the database that comes back it would have no way back
        if self.mark.phase is Phase.stopping:
            self._forget_copy()  # nothing was changed; what is there is half a copy, or another upgrade's
        elif not self.is_node:
            if not Site(layout.DATA).own_database:
                self._shut_out()
            self._database("restore")
        write_units(layout.RELEASES / self.old)
        layout.point_current_at(self.old)
        self.tree.follow_units()
        self.mark.remove()

    def _tidy_up(self) -> None:
        """The copy of the database goes, and releases but the one that serves and the one before."""
        self._forget_copy()
        for folder in layout.RELEASES.iterdir():
            if folder.is_dir() and folder.name not in {self.old, self.new}:
                shutil.rmtree(folder)
        self.mark.remove()

    def _forget_copy(self) -> None:
        """People whose numbers are erased from now on must not live on in it."""
        try:
            if not self.is_node:
                self._database("forget")
        except StepFails as failure:
            self.journal.say(f"  {failure}")
