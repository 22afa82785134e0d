"""The demonstration: a call goes through the appliance over HTTP and WebSocket, as the frontend would send it."""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from websockets.sync.client import connect

from appliance.cli import show
from appliance.cli.language import ours
from appliance.errors import ApplianceError
from appliance.services.demo_data import ADMIN, PASSWORD, dialogues
from installer.language import spoken

PATIENCE_S = 600


class ProcessingFailed(ApplianceError):
    code = "processing_failed"
    ru = "Обработка не удалась: {reason}"
    en = "Processing failed: {reason}"


def told_about(recording: Path) -> dict[str, str]:
    """What the form says of a recording: the sample calls' own data, or a plain incoming call."""
    known = dialogues().get(recording.stem)
    if known is None:
        return {"type": "incoming", "managerName": "Анна Смирнова"}
    fields = {
        "type": known["direction"],
        "managerName": known["manager"],
        "clientName": known["client"],
        "phoneNumber": known["phone"],
    }
    return {name: value for name, value in fields.items() if value}


def run(console: Console, base_url: str, recording: Path) -> None:
    """Log in, upload, follow, show."""
    with httpx.Client(base_url=base_url, timeout=60, headers={"Accept-Language": spoken()}) as http:
        answer = http.post("/api/auth/login", json={"email": ADMIN, "password": PASSWORD})
        answer.raise_for_status()
        token = answer.json()["token"]
        http.headers["Authorization"] = f"Bearer {token}"
        address = base_url.replace("http", "ws", 1) + "/ws/calls"
        with connect(address, subprotocols=["bearer", token]) as socket:  # type: ignore[list-item]
            console.print(
                f"{ours(('Загружается', 'Uploading'))} [bold]{recording.name}[/bold] "
                f"({recording.stat().st_size // 1024} KiB)"
            )
            call_id = upload(http, recording)
            follow(console, socket, call_id)
        call = http.get(f"/api/calls/{call_id}").raise_for_status().json()
    show.call(console, call)
    where = ours(("API и документация", "API and documentation"))
    console.print(f"{where}: [link]{base_url}/docs[/link]  ({ADMIN} / {PASSWORD})")
    console.print(
        ours(("Система продолжает работать; остановить: make stop", "The appliance keeps running; stop it: make stop"))
    )


def upload(http: httpx.Client, recording: Path) -> str:
    """Send the recording; returns the call's id."""
    media_type = mimetypes.guess_type(recording.name)[0] or "application/octet-stream"
    with recording.open("rb") as file:
        files = {"audio": (recording.name, file, media_type)}
        answer = http.post("/api/calls", data=told_about(recording), files=files)
    if answer.is_error:
        raise ProcessingFailed(reason=answer.json()["detail"])
    return str(answer.json()["id"])


def follow(console: Console, socket: Any, call_id: str) -> None:
    """Draw a bar per stage until the call is processed. Raises ProcessingFailed."""
    columns = (
        TextColumn("{task.description:<13}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bars: dict[str, TaskID] = {}
        while True:
            event = json.loads(socket.recv(timeout=PATIENCE_S))
            data = event["data"]
            if data.get("call_id") != call_id:
                continue
            if event["type"] == "call_processing_failed":
                raise ProcessingFailed(reason=data["error"])
            if event["type"] == "call_processed":
                for bar in bars.values():
                    progress.update(bar, completed=100)
                return
            if event["type"] == "call_processing_progress":
                stage = data["stage"]
                if stage not in bars:
                    bars[stage] = progress.add_task(stage, total=100)
                progress.update(bars[stage], completed=100 * data["progress"])
