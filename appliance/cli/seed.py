"""`appliance seed-demo`: people and calls to try the frontend with."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from appliance.cli import show
from appliance.cli.language import ours
from appliance.cli.stack import DataDir, Port


def seed_demo(data_dir: DataDir = Path("var"), port: Port = 8000) -> None:
    """Fill a demonstration with 2 users and 20 calls / Заполнить демонстрацию: 2 пользователя, 20 звонков."""
    from appliance.config import settings
    from appliance.services import demo_data
    from installer import stack
    from installer.site import Site

    if not os.environ.get("APPLIANCE_ENV_FILE"):
        if Site(data_dir.resolve()).facts().get("DEMO", "true") != "true":
            raise demo_data.NotADemonstration
        site = stack.up(data_dir, port, show.step, demo=True)
        os.environ["APPLIANCE_ENV_FILE"] = str(site.env_file)
    made = demo_data.seed(lambda name: typer.echo(f"  {name}"))
    people = f"{demo_data.ADMIN}, {demo_data.MANAGER}: {demo_data.PASSWORD}"
    typer.echo(ours((f"Добавлено звонков: {made}. Вход: {people}", f"{made} calls added. Log in: {people}")))
    address = f"http://localhost:{settings().port}/docs"
    typer.echo(ours((f"{address}; запросы: docs/quickstart.md", f"{address}; the requests: docs/quickstart.md")))
