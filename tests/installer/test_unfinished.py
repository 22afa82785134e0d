"""An upgrade that is killed comes to an end with the next start: back to the old release, or on with the new one."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from installer import restore, service, stack
from installer.bundle import seal
from installer.failures import UpgradeUnfinished
from installer.setup import alone, layout, unfinished
from installer.setup.step import Journal, StepFails
from installer.setup.uninstall import Removal
from installer.site import Site
from installer.vault import Folder
from tests.conftest import ROOT, _free_port, let_in, wait_until
from tests.own_stack import Own

BIN = Path(sys.prefix) / "bin"

PATCHED = """
import os, runpy, signal, sys, time
from pathlib import Path
from installer.setup import layout
top = Path(__file__).parent
for name in ("CONFIG", "DATA", "LOGS", "RUN", "COMMAND", "UNITS", "HOME"):
    setattr(layout, name, top / name.lower())
layout.RELEASES, layout.CURRENT = layout.HOME / "releases", layout.HOME / "current"
from installer import accounts
closed = accounts.out_of_reach(layout.DATA)
if closed:  # to others, as /root is: then everything is root's
    layout.USER = "root"
from installer.setup import step, tree
tree.Tree.__init__ = lambda self, journal: self.__dict__.update(journal=journal, by_systemd=False)
where, _, at = os.environ.get("KILLED", "").partition(":")
if where == "after":
    from installer.setup import upgrade
    upgrade.READY_WITHIN_S = 5
    take = step.Journal.take
    def taken(self, taken_up):
        take(self, taken_up)
        if taken_up.en == at:
            os.kill(os.getpid(), signal.SIGKILL)
    step.Journal.take = taken
if where == "tried":
    from installer.setup import upgrade
    upgrade.READY_WITHIN_S = 5
if where in {"amid", "stopped"} and sys.argv[-1] == at:
    import psycopg
    from installer import postgres, stack
    def spoil(site):
        with psycopg.connect(postgres.owner_address(site)) as connection:
            connection.execute("DELETE FROM users")
            connection.execute("CREATE TABLE half_made (id int)")
        (layout.DATA / "orphan").write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGKILL if where == "amid" else signal.SIGTERM)
        time.sleep(600)
    stack.migrate = spoil
if sys.argv[1] == "install":
    del sys.argv[1]
    from installer.setup import __main__, commission
    preparation = __main__.Preparation(__main__.options())
    preparation.end_unfinished()
    if not closed:
        preparation._make_account()
    preparation._make_folders()
    sys.exit(commission.main())
assert sys.argv[1] == "-m"
module = sys.argv[2]
del sys.argv[1:3]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""The interpreter of a release, for one that lies in a folder of the test's own; it may be told where to be killed."""


@dataclass
class Machine:
    """One that has the packages already, and no systemd."""

    top: Path
    port: int
    told: str = ""
    """What the installation said."""

    @property
    def site(self) -> Site:
        return Site(self.top / "data")

    @property
    def current(self) -> str:
        return (self.top / "home" / "current").readlink().name

    @property
    def unfinished(self) -> bool:
        return (self.top / "data" / layout.UNFINISHED).exists()

    def install(self, version: str, killed: str = "") -> subprocess.CompletedProcess[str]:
        self._release(version)
        bundle = self.top / f"bundle-{version}"
        if not bundle.exists():
            bundle.mkdir()
            about = {"version": version, "variant": "cpu", "built_at": 0}
            (bundle / "bundle.json").write_text(json.dumps(about))
            seal.seal(bundle, self.top / "signing-key")
        python = self.top / "home" / "releases" / version / ".venv" / "bin" / "python"
        told = ["--bundle", str(bundle), "--http", "--port", str(self.port), "--language", "en"]
        return self._run([str(python), "install", *told], KILLED=killed)

    def _release(self, version: str) -> None:
        place = self.top / "home" / "releases" / version
        if place.exists():
            return
        (place / ".venv" / "bin").mkdir(parents=True)
        (place / "installer").symlink_to(ROOT / "installer")
        for name, line in (("python", f"{BIN}/python {self.top}/patched.py"), ("appliance", f"{BIN}/appliance")):
            program = place / ".venv" / "bin" / name
            program.write_text(f'#!/bin/sh\nexec {line} "$@"\n')
            program.chmod(0o755)

    def command(self, *arguments: str, killed: str = "") -> subprocess.CompletedProcess[str]:
        return self._run([str(self.top / "command"), *arguments], KILLED=killed)

    def _run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        known = {name: value for name, value in os.environ.items() if name not in {"APPLIANCE_ENV_FILE", "PORT"}}
        known |= {"LANG": "C", **environment}
        return subprocess.run(command, env=known, capture_output=True, text=True, check=False, timeout=400)

    def names(self) -> list[str]:
        with psycopg.connect(self.site.facts()["DATABASE_URL"], connect_timeout=10) as connection:
            return [row[0] for row in connection.execute("SELECT name FROM users ORDER BY name")]

    def databases(self) -> set[str]:
        secret = (self.site.data_dir / "postgres-admin.password").read_text()
        address = f"postgresql://appliance_admin:{secret}@127.0.0.1:{self.site.ports()['postgres']}/postgres"
        with psycopg.connect(address, connect_timeout=10) as connection:
            return {row[0] for row in connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate")}

    def take_in(self, name: str) -> None:
        with psycopg.connect(self.site.facts()["DATABASE_URL"], connect_timeout=10) as connection:
            connection.execute("INSERT INTO users (id, name, role) VALUES (gen_random_uuid(), %s, 'manager')", [name])

    def serves(self) -> bool:
        return bool(json.loads(stack.answer(self.site, "/api/ready"))["ready"])


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("NOT ROOT: nothing was installed")
    with tempfile.TemporaryDirectory(prefix="upgraded-") as folder:
        let_in(Path(folder))
        made = Machine(Path(folder).resolve(), _free_port())
        (made.top / "patched.py").write_text(PATCHED)
        try:
            done = made.install("0.0.8")
            assert done.returncode == 0, done.stdout + done.stderr
            made.take_in("Анна")
            made.told = done.stdout
            yield made
        finally:
            stack.down(made.site.data_dir)


def is_there(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_the_first_administrator_has_a_password_that_is_told_once(machine: Machine) -> None:
    found = re.search(r"^(\S+@\S+) / (\S+) .*shown once", machine.told, re.MULTILINE)
    assert found
    assert f"ufw allow {machine.port}/tcp" in machine.told
    assert "MIND: without TLS" in machine.told
    assert found[2] not in (machine.top / "logs" / "install.log").read_text()
    credentials = {"email": found[1], "password": found[2]}
    answer = httpx.post(f"http://127.0.0.1:{machine.port}/api/auth/login", json=credentials)
    assert answer.status_code == 200
    assert answer.json()["user"]["must_change_password"]


def test_an_api_that_answers_nobody_is_no_sign_of_life(machine: Machine) -> None:
    assert service._is_alive(machine.site)
    own = Own(machine.site, machine.port)
    own.signal("api", signal.SIGSTOP)
    try:
        assert not service._is_alive(machine.site)
    finally:
        own.signal("api", signal.SIGCONT)
    wait_until(lambda: service._is_alive(machine.site), 30, "the API to answer again")


@pytest.mark.timeout(1200)
def test_killed_at_every_kind_of_place_it_returns_or_goes_on(machine: Machine) -> None:
    """One machine, each time as the time before left it."""
    _stopped_amid_its_migration(machine)
    _killed_amid_its_migration(machine)
    _killed_when_the_new_release_serves(machine)
    _killed_when_the_new_release_does_not_serve(machine)


def _stopped_amid_its_migration(machine: Machine) -> None:
    """A stop from outside, as a lost connection, ends the upgrade as a failure does: it returns at once."""
    ended = machine.install("0.1.0", killed="stopped:migrate")
    assert ended.returncode == 128 + signal.SIGTERM, ended.stdout + ended.stderr
    assert not is_there(int((machine.top / "data" / "orphan").read_text()))
    assert (machine.current, machine.unfinished) == ("0.0.8", False)
    assert "Анна" in machine.names()
    assert machine.serves()


def _killed_amid_its_migration(machine: Machine) -> None:
    """kill -9 leaves the migration running, and what it has spoilt so far: both are gone with the next start."""
    killed = machine.install("0.1.0", killed="amid:migrate")
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    orphan = int((machine.top / "data" / "orphan").read_text())
    assert is_there(orphan)
    assert machine.unfinished
    told = machine.command("status", "--json").stdout
    assert "upgrade_unfinished" in json.loads(told)["problems"]
    started = machine.command("up")
    assert started.returncode == 0, started.stdout + started.stderr
    assert "returning to version 0.0.8" in started.stdout
    assert not is_there(orphan)
    assert (machine.current, machine.unfinished) == ("0.0.8", False)
    assert "Анна" in machine.names()
    assert machine.databases() == {"postgres", "call_analytics"}
    with psycopg.connect(machine.site.facts()["DATABASE_URL"], connect_timeout=10) as connection:
        assert connection.execute("SELECT to_regclass('half_made')").fetchone() == (None,)
    assert machine.serves()


def _killed_when_the_new_release_serves(machine: Machine) -> None:
    """What it took in before the power failed is not lost: it is the release of this program, and answers."""
    killed = machine.install("0.1.0", killed="after:start")
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    assert machine.current == "0.1.0"
    machine.take_in("Борис")
    Own(machine.site, machine.port).cut_power()
    started = machine.command("up")
    assert started.returncode == 0, started.stdout + started.stderr
    assert "version 0.1.0 serves" in started.stdout
    assert (machine.current, machine.unfinished) == ("0.1.0", False)
    assert {"Анна", "Борис"} <= set(machine.names())
    assert machine.databases() == {"postgres", "call_analytics"}
    assert sorted(each.name for each in (machine.top / "home" / "releases").iterdir()) == ["0.0.8", "0.1.0"]


def _killed_when_the_new_release_does_not_serve(machine: Machine) -> None:
    """It never says that it is 0.2.0. Found by the next installation, not by a start; then all goes its way."""
    killed = machine.install("0.2.0", killed="after:start")
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    machine.take_in("Вера")
    again = machine.install("0.2.0", killed="tried:")
    assert again.returncode == 1
    assert "an upgrade was cut off" in again.stdout
    assert "version 0.1.0 serves as before" in again.stdout, again.stdout
    assert (machine.current, machine.unfinished) == ("0.1.0", False)
    assert {"Анна", "Борис"} <= set(machine.names())
    assert machine.serves()


def test_killed_before_any_change_it_comes_to_its_end_with_the_next_start() -> None:
    with tempfile.TemporaryDirectory(prefix="upgrade-") as folder:
        command = [sys.executable, "-m", "tests.installer.cut_upgrades", f"{folder}/top"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 25


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "DATA", "LOGS", "HOME", "UNITS", "COMMAND"):
        monkeypatch.setattr(layout, name, tmp_path / name.lower())
        if name != "COMMAND":
            getattr(layout, name).mkdir()
    monkeypatch.setattr(layout, "CURRENT", layout.HOME / "current")
    return tmp_path


HOLD = """
import sys
from pathlib import Path
from installer.setup import alone, layout
layout.LOGS = Path(sys.argv[1])
with alone.held():
    if len(sys.argv) == 2:
        import os
        os.execv(sys.executable, [sys.executable, "-c", sys.argv[0], sys.argv[1], "again"])
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_do_not_install_at_once_whatever_program_the_first_has_become(places: Path) -> None:
    script = places / "hold.py"
    script.write_text(HOLD.replace('"-c", sys.argv[0]', "sys.argv[0]"))
    command = [sys.executable, str(script), str(layout.LOGS)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(alone.Busy), alone.held():
            pass
        first.kill()
        first.wait()
        with alone.held(), alone.held():
            pass
    assert stat.S_IMODE((layout.LOGS / "install.lock").stat().st_mode) == 0o600


def test_nothing_else_is_done_to_data_between_two_versions(places: Path, tmp_path: Path) -> None:
    unfinished.Mark.begin("0.1.0", "0.2.0")
    with pytest.raises(UpgradeUnfinished):
        restore.replace(Folder(tmp_path), "20260101T000000Z", layout.DATA, lambda _: None)
    with pytest.raises(StepFails, match="call-analytics up"):
        Removal(Journal(tmp_path / "log", "en", 0), with_data=False).run()
    unfinished.forget()
    assert unfinished.Mark.read() is None
    assert not layout.upgrading().is_symlink()
