"""Requests per second of list and detail, against a bare FastAPI route that returns the same bytes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks.installation import Installation, free_port
from benchmarks.report import Line, paired, percentile

CLIENTS = (1, 16, 64)
SECONDS = 3.0
RUNS = 2

BARE = """
import sys, uvicorn
from pathlib import Path
from fastapi import FastAPI, Response
body = Path(sys.argv[1]).read_bytes()
app = FastAPI()
@app.get("/")
def same() -> Response:
    return Response(body, media_type="application/json")
uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
"""


def measure(folder: Path, here: Installation) -> Iterator[Line]:
    http = here.client()
    call_id = http.get("/api/calls", params={"status": "completed"}).json()["calls"][0]["id"]
    for what, path in (("list", "/api/calls"), ("detail", f"/api/calls/{call_id}")):
        body, port = folder / f"{what}.json", free_port()
        body.write_bytes(http.get(path).content)
        bare = subprocess.Popen([sys.executable, "-c", BARE, str(body), str(port)])
        try:
            _wait(f"http://127.0.0.1:{port}/")
            for clients in CLIENTS:
                pairs, waits = [], []
                for _ in range(RUNS):
                    ours = _load(here.url + path, clients, http.headers["Authorization"])
                    theirs = _load(f"http://127.0.0.1:{port}/", clients, "")
                    pairs.append((len(ours) / SECONDS, len(theirs) / SECONDS))
                    waits.append((percentile(ours, 0.99) * 1000, percentile(theirs, 0.99) * 1000))
                name = f"{what}, {clients} client{'s' if clients > 1 else ''}"
                yield paired("API", name, "bare FastAPI", "requests/s", pairs, more_is_better=True, target=0.5)
                yield paired("API", f"{name}, p99", "bare FastAPI", "ms", waits)
        finally:
            bare.terminate()
            bare.wait()


def _wait(url: str) -> None:
    while True:
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return


def _load(url: str, clients: int, authorization: str) -> list[float]:
    """Seconds that each request took, of so many clients that ask again as soon as they are answered."""
    until = time.perf_counter() + SECONDS

    def ask(_: int) -> list[float]:
        times = []
        with httpx.Client(headers={"Authorization": authorization}, timeout=60) as http:
            while (began := time.perf_counter()) < until:
                http.get(url).raise_for_status()
                times.append(time.perf_counter() - began)
        return times

    with ThreadPoolExecutor(clients) as pool:
        return [each for times in pool.map(ask, range(clients)) for each in times]
