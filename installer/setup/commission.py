"""Second half of `./install`, run by the new release: settings, certificate, units, start, first administrator."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from appliance.errors import ApplianceError
from installer import certificate, nodes
from installer import join as joining
from installer.bundle import seal
from installer.preflight import facts as preflight_facts
from installer.preflight.facts import Machine
from installer.preflight.plan import NothingFits, Plan, plan
from installer.setup import alone, carried, layout, taken, unfinished
from installer.setup.__main__ import BUSY, Preparation, is_settled, options
from installer.setup.step import Journal, Step, StepFails
from installer.setup.tree import Tree, facts, write_units
from installer.setup.upgrade import Upgrade
from installer.site import Site


class Commissioning:
    """From a release that can run to one that serves."""

    def __init__(self) -> None:
        self.chosen = options()
        self.preparation = Preparation(self.chosen)
        self.journal: Journal = self.preparation.journal
        self.version = self.preparation.version
        self.tree = Tree(self.journal)
        old = layout.current_version()
        self.old = old if old != self.version else ""
        self.password = ""

    def steps(self) -> list[Step]:
        release = layout.RELEASES / self.version
        own_part = [
            Step("сертификат", "certificate", self._has_certificate, self._make_certificate),
            Step("настройки", "settings", self._has_settings, self._write_settings),
        ]
        # What runs here already would go on by the keys that it started with.
        joining = [
            Step("остановка", "stopping", lambda: not layout.CURRENT.exists(), self.tree.stop),
            Step("подключение", "joining", lambda: False, self._join),
        ]
        shared = [
            Step("команда и службы", "command and units", lambda: False, lambda: write_units(release)),
            Step("включение выпуска", "switching to the release", lambda: False, self._switch),
            Step("запуск", "start", self._serves, self.tree.start),
        ]
        if self.chosen.given:
            own_part.insert(0, Step("ваши настройки", "your settings", lambda: False, self._check_given))
        if self.chosen.join:
            return joining + shared
        if self.preparation.node:
            return shared
        people = Step("администратор", "administrator", self._has_administrator, self._make_administrator)
        return [*own_part, *shared, people]

    def run(self) -> None:
        """Install, or upgrade what serves; a machine that joins anew has nothing to return to. Raises StepFails."""
        upgrade = Upgrade(self.journal, self.old, self.version) if self.old and not self.chosen.join else None
        steps = [*upgrade.checks(), *upgrade.steps()] if upgrade else self.steps()
        self.journal.total = 1 + len(steps)
        # On a bare system nothing could check it before.
        self.journal.take(Step("подпись комплекта", "the bundle's signature", lambda: False, self._check_signature))
        if upgrade:
            upgrade.run()
            return
        for step in steps:
            self.journal.take(step)
        self._tell()

    def _check_signature(self) -> None:
        signer = os.environ.get("CALL_ANALYTICS_SIGNER")
        try:
            seal.verify(self.preparation.bundle, Path(signer) if signer else None)
        except ApplianceError as error:
            raise StepFails(error.message(self.chosen.language)) from None

    def _has_certificate(self) -> bool:
        there = all((layout.CONFIG / "tls" / file).exists() for file in TLS_FILES.values())
        return self.chosen.http or (not self.chosen.tls_cert and there)

    def _make_certificate(self) -> None:
        folder = layout.CONFIG / "tls"
        folder.mkdir(exist_ok=True)
        if not self.chosen.tls_cert:
            certificate.make(folder, self.chosen.name, _addresses())
            return
        try:
            certificate.put_in(self.chosen.tls_cert, self.chosen.tls_key, folder)
        except ApplianceError as error:
            raise StepFails(error.message(self.chosen.language)) from None

    def _check_given(self) -> None:
        taken.check(self.chosen.given, self.chosen.language)

    def _has_settings(self) -> bool:
        return is_settled()

    def _join(self) -> None:
        """Become a further machine: what is its own, and what the first one told."""
        site, known = Site(layout.DATA), facts()
        own = {name: value for name, value in self._own_settings().items() if name not in known}
        try:
            told = joining.check(self.chosen.join)
            joining.settle(told, site, **own)
            nodes.check_release(site)
        except ApplianceError as error:
            raise StepFails(error.message(self.chosen.language)) from None
        shutil.chown(layout.CONFIG / "appliance.env", layout.USER, layout.USER)

    def _own_settings(self) -> dict[str, str]:
        models = layout.DATA / "models"
        chosen = {"DEMO": "false", "MODELS_DIR": str(models)}
        folders = sorted((self.preparation.bundle / "weights").glob("*"))
        machine = preflight_facts.gather((), layout.DATA, measure_disk=False)
        if card := machine.numbered_card:
            chosen["GPU_DEVICE"] = card
        put_to_use = carried.settings(folders, models, self._plan(machine), is_node=self.preparation.node)
        if idle := carried.unused(folders, put_to_use):
            ru, en = "веса лежат, но не включены", "weights are there and not in use"
            self.journal.say(f"\n  {ru if self.chosen.language == 'ru' else en}: {', '.join(idle)}")
        return chosen | put_to_use

    def _plan(self, machine: Machine) -> Plan | None:
        try:
            return plan(machine, self.preparation.about["variant"])
        except NothingFits:  # the machine has changed since it was looked at
            return None

    def _write_settings(self) -> None:
        """What an operator chose; secrets and inner addresses are added at the first start, as everywhere."""
        chosen = taken.together(self._own_settings(), self.chosen.given) | {"PORT": str(self.chosen.port)}
        if not self.chosen.http:
            chosen |= {name: str(layout.CONFIG / "tls" / file) for name, file in TLS_FILES.items()}
        part = layout.CONFIG / "appliance.part"
        part.touch(mode=0o600)
        part.write_text("".join(f"{name}={value}\n" for name, value in sorted(chosen.items())), encoding="utf-8")
        part.replace(layout.CONFIG / "appliance.env")  # the company's own may have been there

    def _switch(self) -> None:
        layout.point_current_at(self.version)
        unfinished.forget()  # who joins anew has nothing to return to

    def _serves(self) -> bool:
        done = subprocess.run([str(layout.COMMAND), "status"], capture_output=True, check=False)
        return bool(done.returncode == 0)

    def _has_administrator(self) -> bool:
        return (layout.CONFIG / "administrator").exists()

    def _make_administrator(self) -> None:
        self.password = secrets.token_urlsafe(12)
        create = ["users", "create", self.chosen.admin, "--name", "Администратор", "--role", "admin"]
        try:
            self.tree.command(*create, APPLIANCE_PASSWORD=self.password)
        except StepFails:
            self.password = ""
            raise
        (layout.CONFIG / "administrator").write_text(self.chosen.admin + "\n", encoding="utf-8")

    def _tell(self) -> None:
        """To the terminal alone: a password does not belong into a log."""
        ru = self.chosen.language == "ru"
        if node := facts().get("NODE_NAME"):
            said = f"Машина {node} работает" if ru else f"The node {node} works"
            sys.stdout.write(f"\n{said}: call-analytics doctor\n")
            if self.chosen.join:
                sys.stdout.write(f"{'Удалите' if ru else 'Delete'} {self.chosen.join}\n")
                if differs := joining.other_weights(joining.check(self.chosen.join), Site(layout.DATA)):
                    sys.stdout.write(differs[0 if ru else 1] + "\n")
            return
        port = facts()["PORT"]
        scheme = "https" if "TLS_CERT_FILE" in facts() else "http"
        lines = [f"{'Адрес' if ru else 'Address'}: {scheme}://{self.chosen.name}:{port}/docs"]
        authority = layout.CONFIG / "tls" / "ca.pem"
        if scheme == "https" and authority.exists():
            lines.append(
                f"{'Отпечаток CA' if ru else 'CA fingerprint'} (SHA-256): {certificate.fingerprint(authority)}"
            )
            lines.append(f"{'Раздайте браузерам файл' if ru else 'Give browsers the file'} {authority}")
        if scheme == "http":
            lines.append("ВНИМАНИЕ: без TLS" if ru else "MIND: without TLS")
        if self.password:
            said = "показан один раз, смените его" if ru else "shown once, change it"
            lines.append(f"{self.chosen.admin} / {self.password}   ({said}: POST /api/auth/password)")
        lines.append(f"{'Откройте порт в межсетевом экране' if ru else 'Open the port'}: ufw allow {port}/tcp")
        sys.stdout.write("\n" + "\n".join(lines) + "\n")


TLS_FILES = {"TLS_CERT_FILE": "server.pem", "TLS_KEY_FILE": "server.key"}


def _addresses() -> list[str]:
    """The address that other machines of the network see, where there is a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # sends nothing
        except OSError:
            return []
        return [str(probe.getsockname()[0])]


def main() -> int:
    """The exit status."""
    commissioning = Commissioning()
    try:
        with alone.held():
            commissioning.run()
    except alone.Busy:
        commissioning.journal.say(BUSY[commissioning.chosen.language])
        return 1
    except StepFails as failure:
        commissioning.journal.say(f"\n{failure}\n{commissioning.journal.log}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
