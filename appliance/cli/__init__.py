"""`appliance ...`: every operator command."""

from __future__ import annotations

import os
import pwd
import sys

# Before any library that brings OpenMP: threads that wait must not burn the cores that others work on.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import typer

from appliance import logs
from appliance.cli import (
    audit,
    backup,
    bundle,
    certificate,
    erase,
    evaluate,
    language,
    llm,
    node,
    operate,
    preflight,
    process,
    reanalyse,
    seed,
    serve,
    stack,
    uninstall,
    users,
    weights,
)
from appliance.errors import ApplianceError, EngineError
from installer.language import spoken

app = typer.Typer(
    help="Call Analytics on this machine / Система анализа звонков на этой машине",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_show_locals=False,
)
for group in (users.app, audit.app, llm.app, reanalyse.app):
    group.callback()(operate.find_settings)
app.add_typer(users.app, name="users")
app.add_typer(audit.app, name="audit")
app.add_typer(backup.app, name="backup")
app.add_typer(weights.app, name="weights")
app.add_typer(llm.app, name="llm")
app.add_typer(node.app, name="node")
app.add_typer(reanalyse.app, name="reanalyse")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(bundle.app, name="bundle")
app.add_typer(certificate.app, name="certificate")
app.add_typer(serve.workers, name="worker")
for command in (
    serve.api,
    serve.migrate,
    process.process,
    preflight.preflight,
    stack.up,
    stack.service,
    stack.down,
    operate.status,
    operate.doctor,
    operate.support_bundle,
    erase.erase,
    uninstall.uninstall,
    stack.demo,
    seed.seed_demo,
):
    app.command()(command)
app.command("logs")(operate.read_logs)


def main() -> None:
    """Run a command; a failure that has a sentence is told in one, in the operator's language."""
    logs.configure("warning", "cli")  # to stderr: stdout is the command's answer
    try:
        called_as = os.environ.get("APPLIANCE_CALLED_AS") or None
        sys.exit(language.command_line(app)(standalone_mode=False, prog_name=called_as))
    except typer.TyperException as error:
        if not str(error).strip():  # asked for nothing: its help was shown
            sys.exit(2)
        typer.echo(f"appliance: {language.complaint(error)} ({language.where_to_look(error)})", err=True)
        sys.exit(2)
    except typer.Abort:
        sys.exit(language.ours(("Прервано.", "Aborted.")))
    except OSError as error:
        if not error.filename:
            raise
        sys.exit(f"appliance: {error.filename}: {language.ours(_why(error))}")
    except (ApplianceError, EngineError) as error:
        sys.exit(f"appliance: {error.message(spoken())}")


def _why(error: OSError) -> tuple[str, str]:
    """Of a file that the command was told, or that belongs to the installation."""
    who = pwd.getpwuid(os.geteuid()).pw_name
    if isinstance(error, PermissionError):
        return f"у пользователя {who} нет прав на этот файл или папку", f"the user {who} has no right to it"
    if isinstance(error, FileNotFoundError):
        return "такого файла или папки нет", "there is no such file or folder"
    return f"ошибка системы: {error.strerror}", str(error.strerror)
