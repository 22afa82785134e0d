"""The long-running processes, as supervisor starts them, and the migration before them."""

from __future__ import annotations

from typing import Any

import typer

from appliance import logs
from appliance.config import settings

workers = typer.Typer(no_args_is_help=True, help="Run a worker process.")


def application() -> Any:
    """The HTTP application of one process."""
    from appliance.app import build

    logs.configure(settings().log_level, "api")
    return build()


def api() -> None:
    """Serve HTTP, in one process or several on the same port."""
    import uvicorn

    from appliance import metrics

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
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # events are short, and on a LAN packing costs more time than it saves
        timeout_graceful_shutdown=10,
        ssl_certfile=settings().tls_cert_file or None,
        ssl_keyfile=settings().tls_key_file or None,
    )


@workers.command()
def speech() -> None:
    """Recognise speech and tell speakers apart."""
    from appliance import worker

    logs.configure(settings().log_level, "speech")
    worker.consume("speech")


@workers.command()
def analysis() -> None:
    """Analyse transcripts."""
    from appliance import worker

    logs.configure(settings().log_level, "analysis")
    worker.consume("analysis")


@workers.command()
def housekeeping() -> None:
    """Recover, expire and delete."""
    from appliance import worker

    logs.configure(settings().log_level, "housekeeping")
    worker.keep_house()


def migrate() -> None:
    """Bring the database to this version and create the bucket. Safe to run again."""
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
