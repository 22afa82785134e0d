"""The installed command `call-analytics`: files lie where it was called, and shells complete it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.cli import app, language
from appliance.cli.language import where_called
from installer.setup import completion, layout, tree

APPLIANCE = Path(sys.prefix) / "bin" / "appliance"


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """The wrapper as it is installed, of a release that is this one, for somebody who is not root."""
    text = tree.WRAPPER.replace('"$(id -u)"', "1000").replace(str(layout.CURRENT), str(tmp_path / "current"))
    text = text.replace(f"export DATA_DIR={layout.DATA}", f"export DATA_DIR={tmp_path}/data")
    text = text.replace(f"APPLIANCE_ENV_FILE={layout.DATA}", f"APPLIANCE_ENV_FILE={tmp_path}")
    program = tmp_path / "current" / ".venv" / "bin"
    program.mkdir(parents=True)
    (program / "appliance").symlink_to(APPLIANCE)
    made = tmp_path / "bin" / layout.COMMAND.name
    made.parent.mkdir()
    made.write_text(text, encoding="utf-8")
    made.chmod(0o755)
    return made


def run(command: Path, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "LANG": "C", **environment}
    line = [str(command), *arguments]
    return subprocess.run(line, env=known, cwd=cwd, capture_output=True, text=True, check=False, timeout=240)


def test_files_lie_where_the_command_was_called(command: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "facts.json").write_text("no facts\n")
    missing = run(command, "process", "call.wav", cwd=here)
    assert f"'{here}/call.wav' does not exist" in missing.stderr
    assert "call-analytics process --help" in missing.stderr, "by the name that it was called by"
    empty = here / "backups"
    empty.mkdir()
    listed = run(command, "backup", "list", "backups", cwd=here)
    assert listed.returncode == 0, listed.stderr
    damaged = run(command, "backup", "verify", "backups/20260101T000000Z", cwd=here)
    assert damaged.returncode == 1
    assert "Traceback" not in damaged.stderr
    bundle = run(command, "bundle", "verify", ".", cwd=here)
    assert "manifest.sha256 is missing" in bundle.stderr


def test_an_absolute_name_stays_and_so_does_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    from appliance.cli.backup import _where

    monkeypatch.setenv("APPLIANCE_CALLED_FROM", "/home/it")
    assert where_called("/mnt/x") == Path("/mnt/x")
    assert where_called("x") == Path("/home/it/x")
    assert (_where("s3://b/p"), _where("b")) == ("s3://b/p", "/home/it/b")
    monkeypatch.delenv("APPLIANCE_CALLED_FROM")
    assert where_called("x") == Path("x")


def test_every_parameter_that_is_a_file_goes_by_it() -> None:
    found = 0
    commands = [language.command_line(app)]
    for command in commands:
        commands += getattr(command, "commands", {}).values()
        for param in command.params:
            if param.type_descriptor.annotation is Path:
                found += 1
                assert "_from_where_called" in repr(param.process_value), f"{command.name} {param.name}"
    assert found > 20


def test_a_file_that_may_not_be_written_is_said_in_a_sentence(command: Path, tmp_path: Path) -> None:
    done = run(command, "evaluate", "make-set", "--synthetic", "1", "--out", "/proc/nothing", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("appliance: ")


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.setattr(layout, "COMMAND", tmp_path / "local" / "bin" / layout.COMMAND.name)
    completion.write()
    return completion.files()


COMPLETE = """
source {script}
COMP_WORDS=(call-analytics {words}); COMP_CWORD={at}
function_of=$(complete -p call-analytics | sed -n 's/.*-F \\([^ ]*\\) .*/\\1/p')
$function_of call-analytics
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("sta", {"status"}),
        ("backup ''", {"make", "list", "verify", "restore"}),
        ("users create --ro", {"--role"}),
        ("certificate r", {"renew"}),
    ],
)
def test_bash_completes_commands_and_options(
    command: Path, scripts: dict[str, Path], words: str, wanted: set[str]
) -> None:
    script = COMPLETE.format(script=scripts["bash"], words=words, at=len(words.split()))
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == wanted, done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_find_the_same_program(command: Path, scripts: dict[str, Path], shell: str) -> None:
    text = scripts[shell].read_text(encoding="utf-8")
    assert "_CALL_ANALYTICS_COMPLETE" in text
    assert f"complete_{shell}" in text
    asked = {"_CALL_ANALYTICS_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "call-analytics sta"}
    asked |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = run(command, cwd=command.parent, **asked)
    assert "status" in done.stdout
    if program := shutil.which(shell):
        subprocess.run([program, "-n", str(scripts[shell])], check=True)
