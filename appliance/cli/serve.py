"""The long-running processes, as supervisor starts them, and the migration before them."""

from __future__ import annotations

import os
import signal
from typing import Any

import typer

from appliance import logs
from appliance.config import settings

workers = typer.Typer(no_args_is_help=True, help="Run a worker process / Запустить обработчик.")


def application() -> Any:
    """The HTTP application of one process."""
    from appliance.app import build

    logs.configure(settings().log_level, "api")
    return build()


def api() -> None:
    """Serve HTTP, in one process or several on the same port / Запустить API."""
    import uvicorn

    from appliance import metrics
    from installer import aside
    from installer.site import Site

    # What a restore tries is nobody's to reach once that restore is dead.
    aside.check_tried(Site(settings().data_dir.resolve()), lambda: os.kill(os.getpid(), signal.SIGTERM))
    metrics.forget_the_dead()
    uvicorn.run(
        "appliance.cli.serve:application",
        factory=True,
        workers=settings().api_processes,
        host=settings().host,
        port=settings().port,
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=list(settings().trusted_proxies),
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # events are short, and on a LAN packing costs more time than it saves
        timeout_graceful_shutdown=10,
        ssl_certfile=settings().tls_cert_file or None,
        ssl_keyfile=settings().tls_key_file or None,
    )


def _begin(worker: str) -> None:
    """Raises HalfRestored, RestoreRuns, RestoreCutOff: what is not restored as a whole is nobody's to work on."""
    from installer import aside
    from installer.site import Site

    logs.configure(settings().log_level, worker)
    aside.check(Site(settings().data_dir.resolve()))


@workers.command()
def speech() -> None:
    """Recognise speech and tell speakers apart / Распознавание речи и голосов."""
    from appliance import worker

    _begin("speech")
    worker.consume("speech")


@workers.command()
def analysis() -> None:
    """Analyse transcripts / Анализ разговоров."""
    from appliance import worker

    _begin("analysis")
    worker.consume("analysis")


@workers.command()
def housekeeping() -> None:
    """Recover, expire and delete / Восстановление после сбоев, сроки хранения, удаление."""
    from appliance import worker

    _begin("housekeeping")
    worker.keep_house()


def migrate() -> None:
    """Bring the database to this version, create the bucket / Привести базу к этой версии. Можно повторять."""
    from alembic import command
    from alembic.config import Config

    from appliance.store import nodes, objects, rights
    from appliance.tasks import queue

    logs.configure(settings().log_level, "migrate")
    config = Config()
    config.set_main_option("script_location", str(nodes.MIGRATIONS))
    command.upgrade(config, "head")
    queue.create_tables()
    rights.grant()
    objects.ensure_bucket()
