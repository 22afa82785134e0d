"""An OpenAI-compatible server that answers sensibly, or fails as its script says, and remembers what it was sent."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Step = Callable[["Handler", dict[str, Any]], None]

TASKS = {"ru": "Перезвонить клиенту", "en": "Call the client back"}


def transcript_of(body: dict[str, Any]) -> list[list[str]]:
    """The lines [id, speaker, text] that a request carries."""
    lines = []
    for message in body["messages"]:
        for line in message["content"].splitlines():
            try:
                parsed = json.loads(line)
            except ValueError:
                continue
            if isinstance(parsed, list) and len(parsed) == 3:
                lines.append(parsed)
    return lines


def is_join(body: dict[str, Any]) -> bool:
    """Whether a request asks for one summary of the parts' summaries."""
    return bool(body["response_format"]["json_schema"]["schema"]["required"] == ["summary"])


def is_about_sides(body: dict[str, Any]) -> bool:
    """Whether a request asks who the manager is."""
    return "manager" in body["response_format"]["json_schema"]["schema"]["properties"]


def language_of(body: dict[str, Any]) -> str:
    """The language that a request says its call is in."""
    asked = " ".join(message["content"].split("Transcript:")[0] for message in body["messages"])
    found = re.search(r"language (?:seems to be|with the code) (\w+)", asked)
    return found[1] if found else "ru"


def answer_to(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A right answer: its quotes are in the transcript."""
    language = language_of(body)
    if is_join(body):
        return {"summary": "The call in brief." if language == "en" else "Общий пересказ звонка.", **changes}
    lines = transcript_of(body) or [["0", "A", "Алло"]]
    name, _, said = lines[0]
    quote = " ".join(said.split()[:4])
    proof = {"segment": name, "quote": quote}
    return {
        "sentiment": "positive",
        "sentiment_score": 0.6,
        "topics": ["тест-драйв"],
        "intents": ["test_drive"],
        "summary": f"Summary: {said}" if language == "en" else f"Пересказ: {said}",
        "tasks": [{"text": TASKS.get(language, TASKS["ru"]), "who": "manager", "due": None, **proof}],
        "language": language if len(language) == 2 else "ru",
        "outcome": {"kind": "callback", "when": None, "reason": None, **proof},
        "cars": [],
        "trade_in": None,
        "credit": None,
        "objections": [],
        "next_contact": None,
        **changes,
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        server: Any = self.server
        script: Scripted = server.script
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with script.lock:
            script.requests.append(body)
            script.packing.append(self.headers.get("Accept-Encoding", ""))
            script.keys.append(self.headers.get("Authorization", ""))
            script.in_flight += 1
            script.most_in_flight = max(script.most_in_flight, script.in_flight)
            step = script.steps.pop(0) if script.steps else script.otherwise
        try:
            step(self, body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with script.lock:
                script.in_flight -= 1

    def send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def complete(self, content: str | None, finish: str = "stop", refusal: str | None = None) -> None:
        message = {"role": "assistant", "content": content, "refusal": refusal}
        made = {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "scripted-1",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        }
        self.send(200, json.dumps(made).encode())


def well(**changes: Any) -> Step:
    """A right answer, with some fields changed."""
    return lambda handler, body: handler.complete(json.dumps(answer_to(body, **changes), ensure_ascii=False))


def says(content: str | None, finish: str = "stop", refusal: str | None = None) -> Step:
    """Exactly this text."""
    return lambda handler, _: handler.complete(content, finish, refusal)


def status(code: int, message: str = "no", **headers: str) -> Step:
    """An error of the API."""
    return lambda handler, _: handler.send(code, json.dumps({"error": {"message": message}}).encode(), **headers)


def refusing(*parameters: str) -> Step:
    """OpenAI's answer to parameters that a model does not take, as its newer ones do not take max_tokens."""

    def step(handler: Handler, body: dict[str, Any]) -> None:
        found = [name for name in parameters if name in body]
        if not found:
            well()(handler, body)
            return
        code = "unsupported_value" if found[0] == "temperature" else "unsupported_parameter"
        error = {"message": f"Unsupported: {found[0]!r}", "type": "invalid_request_error", "param": found[0]}
        handler.send(400, json.dumps({"error": {**error, "code": code}}).encode())

    return step


def slowly(seconds: float, then: Step | None = None) -> Step:
    """Silence first."""

    def step(handler: Handler, body: dict[str, Any]) -> None:
        time.sleep(seconds)
        (then or well())(handler, body)

    return step


def drips(seconds: float) -> Step:
    """An answer that never pauses for long and never ends."""

    def step(handler: Handler, _: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        handler.close_connection = True
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)

    return step


def cut(handler: Handler, _: dict[str, Any]) -> None:
    """The connection ends within the answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "x"')
    handler.wfile.flush()
    handler.close_connection = True


def raw(content: bytes, code: int = 200, **headers: str) -> Step:
    """Bytes that need not be JSON."""
    return lambda handler, _: handler.send(code, content, **headers)


@dataclass
class Scripted:
    """What the server does next, in order, and `otherwise` when the script is over."""

    url: str
    steps: list[Step] = field(default_factory=list)
    otherwise: Step = field(default_factory=well)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    packing: list[str] = field(default_factory=list)
    """The encodings that each request accepts."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    in_flight: int = 0
    most_in_flight: int = 0


def _unwell_while_it_is_there(file: Path) -> Step:
    def step(handler: Handler, body: dict[str, Any]) -> None:
        answer = status(500) if file.exists() else well()
        answer(handler, body)

    return step


@contextmanager
def serving(address: str = "127.0.0.1", port: int = 0) -> Iterator[Scripted]:
    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    script = Scripted(f"http://{address}:{server.server_port}/v1")
    server.script = script  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()


def main(port: int, unwell: Path) -> None:
    """A process of its own, that may be killed and frozen; it answers 500 while a file is there."""
    with serving(port=port) as script:
        script.otherwise = _unwell_while_it_is_there(unwell)
        threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
