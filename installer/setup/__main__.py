"""First half of `./install`: preflight, system packages, account, folders, release; then the release itself goes on."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from installer import accounts
from installer.language import Parser, spoken
from installer.preflight import checks, facts, given, report
from installer.setup import alone, layout
from installer.setup.step import Journal, Step, StepFails
from installer.setup.tree import Tree
from installer.setup.tree import facts as facts_of_settings

STEPS = 6
BUSY = {
    "ru": "Уже идёт другая установка или обновление: дождитесь конца",
    "en": "Another installation or upgrade is under way: wait for its end",
}
BUILD = ".build"
"""In a release: which bundle it came from."""


def options() -> argparse.Namespace:
    """What an installation may be told; the second half reads the same line."""
    known = Parser(
        prog="./install", description="Install or upgrade Call Analytics here / Установить или обновить систему."
    )
    known.add_argument("--bundle", type=Path, required=True, help=argparse.SUPPRESS)
    known.add_argument("--called-from", type=Path, default=Path(), help=argparse.SUPPRESS)
    known.add_argument(
        "--settings", type=Path, help="the company's own settings, taken once / настройки предприятия, берутся один раз"
    )
    known.add_argument("--port", type=int, help="port of the API; 8000 where nothing says so / порт API, иначе 8000")
    known.add_argument("--language", choices=("ru", "en"), help="language / язык")
    known.add_argument(
        "--name", default=os.uname().nodename, help="name for browsers and the certificate / имя машины для браузеров"
    )
    known.add_argument(
        "--tls-cert",
        type=Path,
        help="the company's certificate (PEM, with its chain) / сертификат предприятия с цепочкой",
    )
    known.add_argument("--tls-key", type=Path, help="its key (PEM) / ключ сертификата")
    known.add_argument(
        "--http", action="store_true", help="plain HTTP: everything can be read / без TLS: всё можно прочитать в сети"
    )
    known.add_argument(
        "--join",
        type=Path,
        help="become a further machine, by the file of `node add` / подключиться как ещё одна машина",
    )
    known.add_argument(
        "--admin",
        default="admin@localhost.localdomain",
        help="e-mail of the first administrator / e-mail первого администратора",
    )
    chosen = known.parse_args()
    for name in ("settings", "tls_cert", "tls_key", "join"):
        if file := getattr(chosen, name):
            setattr(chosen, name, chosen.called_from / file)
    try:
        _take_given(chosen)
    except (OSError, ValueError) as error:
        known.error(given.said(error, known.language))
    return chosen


def _take_given(chosen: argparse.Namespace) -> None:
    """What the line does not say, the company's settings may. Raises OSError, ValueError."""
    chosen.given = {}
    if not is_settled() and not chosen.join:
        place = chosen.settings or layout.CONFIG / "appliance.env"
        chosen.given = given.read(place) if chosen.settings or place.exists() else {}
    wanted = chosen.given.pop("APPLIANCE_LANG", "")
    chosen.language = chosen.language or (wanted if wanted in {"ru", "en"} else spoken())
    chosen.port = chosen.port or int(chosen.given.pop("PORT", "") or facts_of_settings().get("PORT", "8000"))
    certificate, key = chosen.given.pop("TLS_CERT_FILE", ""), chosen.given.pop("TLS_KEY_FILE", "")
    if certificate and not (chosen.tls_cert or chosen.http):
        chosen.tls_cert, chosen.tls_key = Path(certificate), Path(key) if key else None
    if bool(chosen.tls_cert) != bool(chosen.tls_key):
        named = "(TLS_CERT_FILE, TLS_KEY_FILE)"
        raise given.Unreadable("--tls-cert, --tls-key:", f"the one with the other {named}", f"нужны оба {named}")


def is_settled() -> bool:
    """Whether an installation wrote the settings that are there; else they may be the company's, from before it."""
    return "DEMO" in facts_of_settings()


class Preparation:
    """Everything up to a release that can run, beside the one that may be running."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.bundle: Path = chosen.bundle.resolve()
        self.about = json.loads((self.bundle / "bundle.json").read_text(encoding="utf-8"))
        self.version = str(self.about["version"])
        self.release = layout.RELEASES / self.version
        layout.LOGS.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(layout.LOGS / "install.log", chosen.language, STEPS)
        self.language = chosen.language
        self.chosen = chosen
        self.join: Path | None = chosen.join
        self.node = bool(chosen.join) or "NODE_NAME" in facts_of_settings()

    def end_unfinished(self) -> None:
        """An upgrade that was cut off comes to its end first, by the release that it was to. Raises StepFails."""
        if self.join or not layout.unfinished().exists():
            return
        ru, en = "прежнее обновление было прервано: довожу до конца", "an upgrade was cut off: bringing it to its end"
        self.journal.say(f"  {ru if self.language == 'ru' else en}")
        try:
            Tree(self.journal).command("up", PORT=facts_of_settings().get("PORT", "8000"))
        except StepFails:
            # What it came back to need not start: this release may be what mends it.
            if layout.unfinished().exists():
                raise

    def refuse_downgrade(self) -> None:
        installed = layout.current_version()
        if installed and layout.numbers(self.version) < layout.numbers(installed):
            ru = (
                f"Установлена версия {installed}, новее этой ({self.version}): её база не читается более старой версией"
            )
            en = f"Version {installed} is installed, later than this ({self.version}), which cannot read its database"
            raise StepFails(ru if self.language == "ru" else en)

    def refuse_other_build(self) -> None:
        """What serves is not changed under its processes: other contents come in as a later version, by an upgrade."""
        if self._has_environment() and not self._is_of_this_build():
            ru = (
                f"Версия {self.version} уже установлена из другого комплекта. Соберите этот с номером сборки "
                f"(--version {self.version}+1): он поставится как обновление"
            )
            en = (
                f"Version {self.version} was installed from another bundle. Build this one with a number of its own "
                f"(--version {self.version}+1): it comes in as an upgrade"
            )
            raise StepFails(ru if self.language == "ru" else en)

    def _is_of_this_build(self) -> bool:
        """By the manifest of the bundle that a release came from; those of before this file was written count as it."""
        note = self.release / BUILD
        return not note.is_file() or note.read_text(encoding="utf-8").strip() == self._build()

    def _build(self) -> str:
        return hashlib.sha256((self.bundle / "manifest.sha256").read_bytes()).hexdigest()

    def refuse_join(self) -> None:
        """Before anything is changed: a file that is none, or a machine that has calls of its own."""
        if self.join is None:
            return
        ru = self.language == "ru"
        known = facts_of_settings()
        if known and "NODE_NAME" not in known:
            raise StepFails(
                f"Здесь уже работает своя установка ({layout.DATA}). Подключайте пустую машину"
                if ru
                else f"This machine has an installation of its own ({layout.DATA}). Join an empty machine"
            )
        try:
            json.loads(self.join.read_text(encoding="utf-8"))["node"]
        except (OSError, ValueError, TypeError, KeyError):
            raise StepFails(
                f"{self.join}: это не файл подключения. Его создаёт на первой машине: call-analytics node add"
                if ru
                else f"{self.join} is no join file. It is made on the first machine by: call-analytics node add"
            ) from None

    def refuse_certificate(self) -> None:
        """Raises StepFails where the company's certificate and key are not there, or not each other's."""
        cert, key = self.chosen.tls_cert, self.chosen.tls_key
        if cert:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
            except (OSError, ssl.SSLError) as error:
                ru = f"{cert}, {key}: нужны сертификат с цепочкой и его ключ без пароля, в PEM ({error})"
                en = f"{cert}, {key}: a certificate with its chain and its key without a password, in PEM ({error})"
                raise StepFails(ru if self.language == "ru" else en) from None

    def examine(self, port: int) -> None:
        ports = () if self.node else (port,)  # a further machine serves nobody
        try:
            machine = facts.gather(ports, layout.DATA, settings=self.chosen.given)
        except given.Unreadable as error:
            raise StepFails(error.message(self.language)) from None
        findings = checks.decide(machine, self.about["variant"], ports, self.about["built_at"])
        self.journal.say(report.as_text(machine, findings, self.about["variant"], self.language))
        fits = (machine.os_id, machine.os_version) == (self.about["os_id"], self.about["os_version"])
        if checks.verdict(findings) == "refuse" or not fits:
            raise StepFails(f"{self.about['os_id']} {self.about['os_version']}: preflight")

    def steps(self) -> list[Step]:
        return [
            Step("системные пакеты", "system packages", self._has_packages, self._install_packages),
            Step("учётные записи", "accounts", self._has_account, self._make_account),
            Step("папки", "folders", lambda: False, self._make_folders),
            Step("файлы выпуска", "release", self._has_release, self._copy_release),
            Step("пакеты Python", "Python packages", self._has_environment, self._make_environment),
            Step("веса моделей", "weights", self._has_weights, self._copy_weights),
        ]

    def _has_packages(self) -> bool:
        command = ["/usr/bin/python3", "-c", "import ensurepip, venv"]
        able: int = subprocess.run(command, capture_output=True, check=False).returncode
        if self.about["variant"] == "nvidia" and not _compiles():
            return False
        return bool(able == 0) and (self.node or any(Path("/usr/lib/postgresql").glob("*/bin/initdb")))

    def _install_packages(self) -> None:
        # Debian would create and start a cluster of its own on port 5432.
        setting = Path("/etc/postgresql-common/createcluster.conf")
        if not setting.exists():
            setting.parent.mkdir(parents=True, exist_ok=True)
            setting.write_text("create_main_cluster = false\n", encoding="utf-8")
        with tempfile.TemporaryDirectory() as state:
            lists = Path(state) / "lists"
            (lists / "partial").mkdir(parents=True)
            source = Path(state) / "sources.list"
            # The archive's signature was checked with the bundle's; apt itself then compares these sums.
            source.write_text(f"deb [trusted=yes] file:{self.bundle}/debs ./\n", encoding="utf-8")
            apt = ["apt-get", "-qq", "-y", f"-oDir::Etc::sourcelist={source}", "-oDir::Etc::sourceparts=-"]
            apt += [f"-oDir::State::lists={lists}", "-oAPT::Sandbox::User=root", "--no-install-recommends"]
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            self.journal.run(*apt, "update", env=quiet)
            wanted = [package for package in self.about["packages"] if package != "postgresql" or not self.node]
            self.journal.run(*apt, "install", *wanted, env=quiet)

    def _has_account(self) -> bool:
        return not accounts.missing()

    def _make_account(self) -> None:
        for command in accounts.missing():
            self.journal.run(*command)

    def _make_folders(self) -> None:
        for folder in (layout.CONFIG, layout.DATA, layout.LOGS, layout.RUN):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.chown(folder, "root", layout.USER)
            folder.chmod(0o751 if folder in {layout.DATA, layout.RUN} else 0o750)
        (layout.DATA / "models").mkdir(exist_ok=True)
        shutil.chown(layout.DATA / "models", layout.USER, layout.USER)  # `weights fetch`
        layout.RELEASES.mkdir(parents=True, exist_ok=True)
        # One tree of processes for demo and production: the same names below the data folder, here leading elsewhere.
        links = {"appliance.env": layout.CONFIG / "appliance.env", "log": layout.LOGS, "run": layout.RUN}
        for name, place in links.items():
            link = layout.DATA / name
            if not link.is_symlink():
                link.symlink_to(place)

    def _has_release(self) -> bool:
        return self.release.is_dir() and self._is_of_this_build()

    def _copy_release(self) -> None:
        part = layout.RELEASES / f"{self.version}.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(self.bundle / "release", part, ignore=shutil.ignore_patterns("__pycache__"))
        (part / BUILD).write_text(self._build() + "\n", encoding="utf-8")
        if self.release.exists():  # of another build that was cut off before it could run
            shutil.rmtree(self.release)
        part.rename(self.release)

    def _has_environment(self) -> bool:
        return (self.release / ".venv" / ".complete").exists()

    def _make_environment(self) -> None:
        environments = {".venv": "wheels", ".venv-vllm": "wheels-vllm", ".venv-pyannote": "wheels-pyannote"}
        for name, wheels in environments.items():
            if (self.bundle / wheels).is_dir():
                self._fill(self.release / name, self.bundle / wheels)
        pip = [str(self.release / ".venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-index"]
        self.journal.run(*pip, "--no-deps", "--no-build-isolation", "-e", str(self.release), cwd=self.release)
        # No process may write here later.
        self.journal.run(pip[0], "-m", "compileall", "-q", "appliance", "installer", cwd=self.release)
        (self.release / ".venv" / ".complete").touch()

    def _fill(self, environment: Path, wheels: Path) -> None:
        self.journal.run("/usr/bin/python3", "-m", "venv", "--clear", str(environment))
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
        pip += ["--disable-pip-version-check", "--root-user-action=ignore", "--require-hashes"]
        self.journal.run(*pip, "--find-links", str(wheels), "-r", str(wheels / "requirements.txt"))

    def _has_weights(self) -> bool:
        carried = [path.name for path in (self.bundle / "weights").glob("*")]
        return all((layout.DATA / "models" / name).exists() for name in carried)

    def _copy_weights(self) -> None:
        for path in (self.bundle / "weights").glob("*"):
            target = layout.DATA / "models" / path.name
            if not target.exists():
                part = target.with_name(path.name + ".part")
                shutil.rmtree(part, ignore_errors=True)
                shutil.copytree(path, part)
                part.rename(target)


def _compiles() -> bool:
    """Whether vLLM can have compiled what starts its kernels."""
    headers = Path(f"/usr/include/python{sys.version_info.major}.{sys.version_info.minor}/Python.h")
    return shutil.which("gcc") is not None and headers.is_file()


def main() -> None:
    chosen = options()
    preparation = Preparation(chosen)
    try:
        preparation.end_unfinished()
        with alone.held():
            preparation.refuse_downgrade()
            preparation.refuse_other_build()
            preparation.refuse_join()
            preparation.refuse_certificate()
            preparation.examine(chosen.port)
            for step in preparation.steps():
                preparation.journal.take(step)
            python = str(preparation.release / ".venv" / "bin" / "python")
            os.chdir(preparation.release)
            os.execv(python, [python, "-m", "installer.setup.commission", *sys.argv[1:]])  # noqa: S606
    except alone.Busy:
        preparation.journal.say(BUSY[chosen.language])
    except StepFails as failure:
        preparation.journal.say(f"\n{failure}\n{preparation.journal.log}")
    sys.exit(1)


if __name__ == "__main__":
    main()
