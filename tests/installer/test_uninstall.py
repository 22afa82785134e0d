"""Off a machine again, in folders of the test's own; the same on a bare system: make test-appliance."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
import typer
from typer.testing import CliRunner

from appliance.cli import uninstall as command
from installer.setup import completion, layout, tree, uninstall

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="NOT ROOT: an account could not be made and removed")
app = typer.Typer()
app.command()(command.uninstall)
RUN = CliRunner(env={"APPLIANCE_LANG": "en"})


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation as the installer lays it out; its command writes down what it is asked."""
    places = {
        "HOME": tmp_path / "opt",
        "RELEASES": tmp_path / "opt" / "releases",
        "CURRENT": tmp_path / "opt" / "current",
        "CONFIG": tmp_path / "etc",
        "DATA": tmp_path / "lib",
        "LOGS": tmp_path / "log",
        "RUN": tmp_path / "run",
        "COMMAND": tmp_path / "bin" / "call-analytics",
        "UNITS": tmp_path / "units",
    }
    for name, place in places.items():
        monkeypatch.setattr(layout, name, place)
    monkeypatch.setattr(layout, "USER", f"ca-test-{uuid4().hex[:8]}")
    monkeypatch.setattr(command, "BACKUPS", tmp_path / "backups")
    monkeypatch.setattr(tree.Tree, "__init__", _without_systemd)
    subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", layout.USER], check=True)
    for name in ("RELEASES", "CONFIG", "DATA", "LOGS", "RUN"):
        places[name].mkdir(parents=True)
    (places["UNITS"] / "call-analytics.service.d").mkdir(parents=True)
    (tmp_path / "backups").mkdir()
    (layout.RELEASES / "0.1.0").mkdir()
    layout.point_current_at("0.1.0")
    layout.COMMAND.parent.mkdir()
    layout.COMMAND.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n')
    layout.COMMAND.chmod(0o755)
    completion.write()
    (layout.UNITS / "call-analytics.service").touch()
    (layout.UNITS / "another.service").touch()
    (layout.CONFIG / "appliance.env").write_text("PORT=8000\nDATABASE_URL=postgresql://x:y@db.dealer.example/calls\n")
    (layout.DATA / "recording").write_text("a call")
    (layout.DATA / "log").symlink_to(layout.LOGS)
    return tmp_path


def _without_systemd(self: tree.Tree, journal: object) -> None:
    self.journal, self.by_systemd = journal, False  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def _no_account_left(installed: Path) -> object:
    yield
    assert installed
    subprocess.run(["userdel", layout.USER], capture_output=True, check=False)


def has_account() -> bool:
    return subprocess.run(["id", layout.USER], capture_output=True, check=False).returncode == 0


def test_the_program_goes_and_the_data_stay(installed: Path) -> None:
    done = RUN.invoke(app, ["--yes"])
    assert done.exit_code == 0, done.output
    assert (installed / "asked").read_text() == "down\n"
    assert not [file for file in completion.files().values() if file.exists()]
    left = sorted(path.name for path in installed.iterdir() if path.name not in {"asked", "bin", "share"})
    assert left == ["backups", "etc", "lib", "log", "run", "units"]
    assert [path.name for path in layout.UNITS.iterdir()] == ["another.service"]
    assert (layout.DATA / "recording").read_text() == "a call"
    assert has_account(), "the data would belong to the next account that is made"
    assert str(layout.DATA) in done.output
    assert "DATABASE_URL" in done.output


def test_everything_goes_where_it_is_told_to_but_backups(installed: Path) -> None:
    done = RUN.invoke(app, ["--with-data", "--yes"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in installed.iterdir()) == ["asked", "backups", "bin", "share", "units"]
    assert not has_account()
    assert str(installed / "backups") in done.output


def test_it_asks_first(installed: Path) -> None:
    for arguments, answer in (([], "n\n"), (["--with-data"], "y\n"), (["--with-data"], "some-other-machine\n")):
        done = RUN.invoke(app, arguments, input=answer)
        assert done.exit_code == 1
        assert layout.CURRENT.exists()
        assert not (installed / "asked").exists()
    assert RUN.invoke(app, ["--with-data"], input=os.uname().nodename + "\n").exit_code == 0
    assert not layout.DATA.exists()


def test_it_speaks_russian() -> None:
    done = RUN.invoke(app, ["--yes"], env={"APPLIANCE_LANG": "ru"})
    assert "Удалено." in done.output
    assert "[ 1/4] остановка" in done.output


def test_a_failure_is_told_and_the_next_run_goes_on(installed: Path) -> None:
    sound = layout.COMMAND.read_text()
    layout.COMMAND.write_text("#!/bin/sh\necho it hangs >&2\nexit 1\n")
    done = RUN.invoke(app, ["--yes"])
    assert isinstance(done.exception, command.UninstallFailed)
    assert "it hangs" in str(done.exception)
    log = Path(str(done.exception.params["log"]))
    assert "it hangs" in log.read_text()
    log.unlink()
    assert layout.RELEASES.exists()
    layout.COMMAND.write_text(sound)
    assert RUN.invoke(app, ["--yes"]).exit_code == 0
    assert not layout.HOME.exists()
    assert installed.exists()


def test_nothing_installed_is_said(installed: Path) -> None:
    RUN.invoke(app, ["--with-data", "--yes"])
    assert not uninstall.is_installed()
    assert isinstance(RUN.invoke(app, ["--yes"]).exception, command.NothingInstalled)
    assert installed.exists()
