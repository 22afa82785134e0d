"""`appliance status|doctor|logs|support-bundle`: how the appliance is, which part is to blame, what it says."""

from __future__ import annotations

import enum
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from appliance.cli.language import ours, where_called
from appliance.cli.stack import DataDir
from appliance.errors import ApplianceError
from installer.language import spoken

if TYPE_CHECKING:
    from appliance.services.certificates import Certificate
    from appliance.services.readiness import Condition
    from installer.site import Site

AsJson = Annotated[bool, typer.Option("--json", help="For programs / Для программ")]

LABELS = {
    "version": ("версия", "version"),
    "node": ("дополнительная машина", "further machine"),
    "database": ("база данных", "database"),
    "object_store": ("хранилище записей", "object store"),
    "queue": ("очередь", "queue"),
    "waiting": ("ждут обработки", "calls waiting"),
    "disk": ("свободно на диске", "disk free"),
    "backup": ("последняя копия", "last backup"),
    "weights": ("веса распознавания", "speech weights"),
    "diarizer": ("разделение голосов", "diarizer"),
    "provider": ("анализ", "analysis"),
    "card": ("видеокарта", "card"),
    "processes_down": ("не работают", "down"),
    "processes_restarting": ("падают снова и снова", "start again and again"),
    "workers_silent": ("не отзываются", "silent"),
    "certificate": ("сертификат", "certificate"),
    "problems": ("что исправить", "to mend"),
}

PROBLEMS = {
    "upgrade_unfinished": (
        "обновление не закончено; если оно прервано: call-analytics up",
        "an upgrade is not finished; where it was cut off: call-analytics up",
    ),
    "database_away": ("база данных не отвечает", "the database does not answer"),
    "object_store_away": ("хранилище записей не отвечает", "the object store does not answer"),
    "queue_away": ("Redis не отвечает", "Redis does not answer"),
    "process_down": (
        "процесс не работает: appliance logs ПРОЦЕСС, затем appliance up",
        "a process is down: appliance logs PROCESS, then appliance up",
    ),
    "process_restarting": (
        "процесс падает снова и снова: appliance logs ПРОЦЕСС, appliance doctor",
        "a process ends again and again: appliance logs PROCESS, appliance doctor",
    ),
    "worker_silent": (
        "обработчик не отзывается: appliance logs ПРОЦЕСС; перезапуск: appliance down, appliance up",
        "a worker is silent: appliance logs PROCESS; to start it anew: appliance down, appliance up",
    ),
    "certificate_ended": (
        "срок сертификата истёк: appliance certificate renew, или certificate install для сертификата предприятия",
        "the certificate has ended: appliance certificate renew, or certificate install for the company's",
    ),
    "certificate_ends": (
        "сертификат скоро истечёт: appliance certificate renew, или certificate install для сертификата предприятия",
        "the certificate ends soon: appliance certificate renew, or certificate install for the company's",
    ),
    "disk_low": ("мало места на диске", "the disk is nearly full"),
    "queue_old": ("звонки ждут больше часа: проверьте обработчики", "calls wait for over an hour: look at the workers"),
    "backup_old": (
        "нет резервной копии за двое суток: appliance backup make ПАПКА",
        "no backup for two days: appliance backup make FOLDER",
    ),
    "demo_weights": (
        "демо-веса понимают только примеры: appliance weights fetch large-v3",
        "demo weights understand the samples only: appliance weights fetch large-v3",
    ),
}


STATES = {
    "RUNNING": ("работает", "running"),
    "STARTING": ("запускается", "starting"),
    "BACKOFF": ("падает, запускается снова", "ends, starts again"),
    "STOPPING": ("останавливается", "stopping"),
    "STOPPED": ("остановлен", "stopped"),
    "EXITED": ("завершился", "ended"),
    "FATAL": ("не запускается", "does not start"),
}
"""Supervisor's, as people say it."""


class NotInstalled(ApplianceError):
    code = "not_installed"
    ru = "В папке {folder} нет установки. Укажите её: --data-dir ПАПКА"
    en = "There is no installation in {folder}. Name its folder: --data-dir FOLDER"


class NoSuchLog(ApplianceError):
    code = "no_such_log"
    ru = "Журнала {name} нет; есть: {known}"
    en = "There is no log of {name}; there are: {known}"


def adopt(data_dir: Path) -> Site:
    """The installation in a folder; this process reads its settings. Raises NotInstalled."""
    from installer.site import Site

    site = Site(data_dir.resolve())
    if not os.environ.get("APPLIANCE_ENV_FILE"):
        if not site.env_file.exists():
            raise NotInstalled(folder=str(site.data_dir))
        os.environ["APPLIANCE_ENV_FILE"] = str(site.env_file)
    # The environment beats the file of settings, and a shell's or a Makefile's DATA_DIR may mean another installation.
    os.environ["DATA_DIR"] = str(site.data_dir)
    return site


def find_settings(data_dir: DataDir = Path("var")) -> None:
    """Take the settings from APPLIANCE_ENV_FILE, else from the installation in this folder, else as they are."""
    from installer.site import Site

    if not os.environ.get("APPLIANCE_ENV_FILE") and Site(data_dir.resolve()).env_file.exists():
        adopt(data_dir)


def status(
    data_dir: DataDir = Path("var"),
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every two seconds / Каждые две секунды")] = False,
) -> None:
    """Show processes, queue, disk, card, weights and what to mend / Показать состояние системы."""
    from installer import supervisor

    site = adopt(data_dir)
    if as_json:
        found = _gather(site)
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        raise typer.Exit(0 if found["ready"] and supervisor.is_running(site) else 1)
    if not watch:
        known = _condition()
        Console().print(_drawn(site, known))
        raise typer.Exit(0 if known and known.ready and supervisor.is_running(site) else 1)
    with Live(_drawn(site, _condition(), watched=True), refresh_per_second=1) as live:
        while True:
            time.sleep(2)
            live.update(_drawn(site, _condition(), watched=True))


def _condition() -> Condition | None:
    from sqlalchemy.exc import SQLAlchemyError

    from appliance.services import readiness

    try:
        return readiness.condition()
    except SQLAlchemyError:
        return None


def _processes(site: Site) -> list[dict[str, Any]]:
    from installer import stack

    return [
        {"name": state["name"], "state": state["statename"], "pid": state["pid"], "since": state["description"]}
        for state in stack.status(site.data_dir)
    ]


def _gather(site: Site) -> dict[str, Any]:
    known = _condition()
    found = known.model_dump(mode="json") if known else _without_database()
    found["problems"] = [*_unfinished(site), *found["problems"]]
    return {"processes": _processes(site), **found}


def _without_database() -> dict[str, Any]:
    from appliance.services import readiness

    found = readiness.machine()
    problems = [name for name, is_so in readiness.problems_of(found).items() if is_so]
    return {"ready": False, **found.model_dump(mode="json"), "problems": ["database_away", *problems]}


def _unfinished(site: Site) -> list[str]:
    from installer.setup.layout import UNFINISHED

    return ["upgrade_unfinished"] if (site.data_dir / UNFINISHED).exists() else []


def _drawn(site: Site, known: Condition | None, *, watched: bool = False) -> Group:
    """watched: what to mend comes first, for a terminal that is too low cuts off the end."""
    from installer.setup.layout import DATA

    table = Table(*ours((("процесс", "состояние", "pid", ""), ("process", "state", "pid", ""))))
    for process in _processes(site):
        style = "green" if process["state"] == "RUNNING" else "red"
        table.add_row(
            process["name"],
            Text(ours(STATES.get(process["state"], (process["state"], process["state"]))), style=style),
            str(process["pid"]),
            process["since"].split("uptime ")[-1] if process["state"] == "RUNNING" else "",
        )
    if not table.row_count:
        start = "systemctl start call-analytics.target" if site.data_dir == DATA else "make start"
        table.add_row(ours((f"ничего не запущено: {start}", f"nothing runs: {start}")), "", "", "")
    facts = Table.grid(padding=(0, 2))
    told = _told(known) if known else ()
    problems = [*_unfinished(site), *(known.problems if known else _without_database()["problems"])]
    for name, value in (*told, *(("problems", ours(PROBLEMS[problem])) for problem in problems)):
        facts.add_row(Text(ours(LABELS[name]), style="bold"), value)
    return Group(facts, table) if watched else Group(table, facts)


def _told(known: Condition) -> Iterator[tuple[str, str]]:
    from appliance.config import settings

    yield "version", known.version
    if name := settings().node_name:
        yield "node", f"{name} ({', '.join(settings().node_workers)})"
    for part in ("database", "object_store", "queue"):
        yield part, "✓" if getattr(known, part) else "✗"
    waiting = ", ".join(f"{name} {state.waiting} ({state.age_s:.0f} s)" for name, state in known.queues.items())
    yield "waiting", waiting
    yield "disk", f"{known.disk_free_bytes / 2**30:.1f} / {known.disk_total_bytes / 2**30:.1f} GiB"
    if not settings().node_name:  # the first machine's business
        yield "backup", known.last_backup.astimezone().isoformat(" ", "minutes") if known.last_backup else "✗"
    yield "weights", known.weights
    yield "diarizer", known.diarizer
    yield "provider", f"{known.provider} ({known.data_residency})"
    if known.provider != known.provider_of_settings:
        yield "provider", f"LLM_PROVIDER={known.provider_of_settings} → {known.provider} (appliance llm use)"
    for card in known.cards:
        yield "card", f"{card.name}: {card.used_mb} / {card.memory_mb} MiB, {card.load_percent} %"
    yield from _of_this_machine(known)


def _of_this_machine(known: Condition) -> Iterator[tuple[str, str]]:
    for name in ("processes_down", "processes_restarting", "workers_silent"):
        if troubled := getattr(known, name):
            yield name, ", ".join(troubled)
    if known.certificate:
        yield "certificate", until(known.certificate)


def until(certificate: Certificate) -> str:
    day = certificate.not_after.astimezone().date().isoformat()
    left = certificate.days_left
    return ours((f"до {day}, осталось дней: {left}", f"until {day}, {left} days left"))


class Part(enum.StrEnum):
    postgresql = "postgresql"
    s3 = "s3"
    queue = "queue"
    speech = "speech"
    diarizer = "diarizer"
    llm = "llm"


def doctor(
    data_dir: DataDir = Path("var"),
    as_json: AsJson = False,
    part: Annotated[list[Part] | None, typer.Option(help="These alone / Только эти части")] = None,
) -> None:
    """Try PostgreSQL, S3, queue, weights, diarizer and language model for real / Проверить каждую часть на деле."""
    from dataclasses import asdict

    from appliance.config import card_environment, settings
    from appliance.services import doctor as practice

    adopt(data_dir)
    os.environ.update(card_environment(settings().gpu_device))  # as the processes that supervisor starts see it
    console, findings = Console(), []
    for finding in practice.examine(spoken(), part or ()):
        findings.append(finding)
        if not as_json:
            mark = "[green]✓[/green]" if finding.ok else "[red]✗[/red]"
            console.print(f"{mark} {finding.part:<11}", Text(finding.found))
            if finding.remedy:
                console.print(Text(f"  → {finding.remedy}", style="yellow"))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def read_logs(
    process: Annotated[str | None, typer.Argument(help="Of this process alone / Только этого процесса")] = None,
    data_dir: DataDir = Path("var"),
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Last lines / Последние строки")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on / Продолжать")] = False,
) -> None:
    """Show what the processes log / Показать журналы процессов."""
    site = adopt(data_dir)
    files = sorted(site.logs.glob("*.log"))
    if process is not None:
        known = [file.stem for file in files]
        if process not in known:
            raise NoSuchLog(name=process, known=", ".join(known))
        files = [file for file in files if file.stem == process]
    ends = {}
    for file in files:
        content = file.read_bytes()
        ends[file] = len(content)
        _print(file, content.decode(errors="replace").splitlines()[-lines:] if lines else [])
    while follow:
        time.sleep(0.5)
        for file in files:
            _print(file, _added(file, ends))


def _print(file: Path, lines: list[str]) -> None:
    for line in lines:
        typer.echo(f"{file.stem:<16} {line}")


def _added(file: Path, ends: dict[Path, int]) -> list[str]:
    """Whole lines that came since; from the start where the file was rotated."""
    size = file.stat().st_size
    start = 0 if size < ends[file] else ends[file]
    with file.open("rb") as opened:
        opened.seek(start)
        content = opened.read()
    whole = content[: content.rfind(b"\n") + 1]
    ends[file] = start + len(whole)
    return whole.decode(errors="replace").splitlines()


def support_bundle(
    target: Annotated[
        Path | None,
        typer.Argument(help="The file to write; else support.tar.gz here / Файл; иначе support.tar.gz здесь"),
    ] = None,
    data_dir: DataDir = Path("var"),
) -> None:
    """Pack status and logs for support, without secrets, people and speech / Собрать сведения для поддержки."""
    from appliance.config import settings
    from appliance.services import support

    site = adopt(data_dir)
    target = target or _where_writable("support.tar.gz")
    files = support.write(target, settings(), site.logs, _processes(site))
    typer.echo("\n".join(f"  {name}" for name in files))
    typer.echo(
        ours(
            (
                f"{target}: без паролей, имён, номеров и текста разговоров. Просмотрите перед отправкой.",
                f"{target}: without secrets, names, numbers and speech. Look through it before you send it.",
            )
        )
    )


def _where_writable(name: str) -> Path:
    """Where the caller stands; where this user may not write there, where everybody may."""
    wanted = where_called(name).absolute()
    if os.access(wanted.parent, os.W_OK):
        return wanted
    return Path(tempfile.mkdtemp(prefix="call-analytics-", dir="/var/tmp")) / name
