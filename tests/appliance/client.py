"""The frontend's side of the test, run by the installed appliance's own Python: login, upload, get, wait."""

from __future__ import annotations

import json
import ssl
import sys
import time
from pathlib import Path

import httpx

SAMPLE = Path("/opt/call-analytics/current/samples/ru-test-drive.mp3")
TOKEN = Path("/root/token")

url, command, *arguments = sys.argv[1:]
trust = ssl.create_default_context(cafile="/etc/call-analytics/tls/ca.pem")
with httpx.Client(base_url=url, verify=trust, timeout=60) as http:
    if TOKEN.exists():
        http.headers["Authorization"] = f"Bearer {TOKEN.read_text()}"
    if command == "login":
        answer = http.post("/api/auth/login", json=dict(zip(("email", "password"), arguments, strict=True)))
        TOKEN.write_text(answer.raise_for_status().json()["token"])
    elif command == "upload":
        form = {"type": "incoming", "managerName": "Анна Смирнова"}
        answer = http.post("/api/calls", data=form, files={"audio": (SAMPLE.name, SAMPLE.read_bytes())})
        print(answer.raise_for_status().json()["id"])
    elif command == "processed":
        deadline = time.monotonic() + 300
        while (call := http.get(f"/api/calls/{arguments[0]}").raise_for_status().json())["status"] == "in-progress":
            assert time.monotonic() < deadline, call
            time.sleep(1)
        assert call["aiAnalysis"]["processing_status"] == "completed", call["aiAnalysis"]
        assert any("автосалон" in segment["text"] for segment in call["transcript"])
        print(json.dumps(call["transcript"], ensure_ascii=False))
    else:
        print(http.get(command).raise_for_status().text)
