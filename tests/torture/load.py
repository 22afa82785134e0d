"""Callers that do not give up: calls of mixed kinds, each sent with the same key until it is answered."""

from __future__ import annotations

import io
import json
import random
import threading
import time
import wave
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import httpx

from appliance.services.arrivals import signature
from tests.api.test_backpressure import inflated
from tests.conftest import PASSWORD, SAMPLES, upload
from tests.own_stack import ADMIN, Own
from tests.test_fuzz import flipped, removed, truncated

SECRET = "the telephone exchange's key"
IMPATIENT_S = 20
"""A caller that hears nothing for so long sends again: what it sent before may still be taken."""

WEIGHTS = {"mono": 8, "stereo": 4, "silent": 2, "broken": 4, "missed": 2}
MONO = ("ru-wrong-number.wav", "ru-wrong-number.wav", "ru-bought-elsewhere.mp3", "en-loan.m4a")
STEREO = ("en-complaint.wav", "en-service.m4a", "ru-trade-in.mp3")


@lru_cache
def _sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


@lru_cache
def _endless() -> bytes:
    """Says that it lasts a minute, holds more than an hour: taken, and failed by its stage."""
    return inflated(60, 60_000)


@lru_cache
def _silence() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 8000 * 6))
    return buffer.getvalue()


@dataclass
class Made:
    """The n-th call of a seed, the same in every run: its kind, what its recording is called, and the recording."""

    key: str
    kind: str
    name: str
    content: bytes
    is_sent_twice: bool

    @classmethod
    def of(cls, seed: int, n: int) -> Made:
        rng = random.Random(f"{seed}:{n}")
        kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        name, content = kind, b""
        if kind in {"mono", "stereo"}:
            name = rng.choice(MONO if kind == "mono" else STEREO)
            content = _sample(name)
        elif kind == "silent":
            content = _silence()
        elif kind == "broken":
            data = _sample(rng.choice((*MONO, *STEREO)))
            damages = (truncated(rng.random()), flipped(rng.random() / 2, rng.randrange(8)), removed(rng.random(), 900))
            content = _endless() if rng.random() < 0.15 else rng.choice(damages)(data)
        return cls(f"{seed}-{n}", kind, name, content, rng.random() < 0.1)


@dataclass
class Told:
    """What came of a call: the ids that it was answered with, or the code of its refusal."""

    call: Made
    ids: set[str] = field(default_factory=set)
    refused: str = ""


class Load:
    """At least `wanted` calls, and more until `may_end` is set."""

    def __init__(self, own: Own, seed: int, wanted: int, callers: int = 4) -> None:
        self.own, self.seed, self.wanted = own, seed, wanted
        self.told: dict[str, Told] = {}
        self.put_off: Counter[str] = Counter()
        """Answers that say come again, by code."""
        self.wrong: list[str] = []
        """Answers that nobody should get."""
        self.slowest_503_s = 0.0
        self.may_end, self.gives_up = threading.Event(), threading.Event()
        self._lock, self._begun = threading.Lock(), 0
        self._callers = [threading.Thread(target=self._call, daemon=True) for _ in range(callers)]

    def start(self) -> None:
        for caller in self._callers:
            caller.start()

    def is_over(self) -> bool:
        return not any(caller.is_alive() for caller in self._callers)

    @property
    def answered(self) -> int:
        """How many calls were taken or refused so far."""
        return sum(bool(one.ids or one.refused) for one in list(self.told.values()))

    def accepted(self, *kinds: str) -> dict[str, Made]:
        """Calls that were answered with 200, of these kinds, by the first of their ids."""
        found = list(self.told.values())
        return {min(one.ids): one.call for one in found if one.ids and one.call.kind in (kinds or WEIGHTS)}

    def _call(self) -> None:
        with self._client() as http:
            while (n := self._next()) is not None:
                call = Made.of(self.seed, n)
                self._deliver(http, call)
                if call.is_sent_twice and not self.told[call.key].refused:
                    self._deliver(http, call)

    def add(self, call: Made) -> None:
        """One call more, by a caller of its own."""

        def deliver() -> None:
            with self._client() as http:
                self._deliver(http, call)

        self._callers.append(threading.Thread(target=deliver, daemon=True))
        self._callers[-1].start()

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.own.port}", timeout=IMPATIENT_S)

    def _next(self) -> int | None:
        with self._lock:
            if self.gives_up.is_set() or (self._begun >= self.wanted and self.may_end.is_set()):
                return None
            self._begun += 1
            return self._begun

    def _deliver(self, http: httpx.Client, call: Made) -> None:
        told = self.told.setdefault(call.key, Told(call))
        while not self.gives_up.is_set():
            answer = self._asked(lambda: _tell_missed(http, call) if call.kind == "missed" else _upload(http, call))
            if answer is None:
                continue
            if answer.status_code == 200:
                told.ids.add(answer.json().get("id") or answer.json()["call_id"])
                return
            if answer.status_code == 401:
                self._log_in(http)
            elif answer.status_code in {413, 415, 422} and call.kind == "broken":
                told.refused = answer.json()["code"]
                return
            else:
                self.wrong.append(f"{call.kind} {call.key}: {answer.status_code} {answer.text[:300]}")
                told.refused = f"wrongly {answer.status_code}"
                return

    def _asked(self, send: Callable[[], httpx.Response]) -> httpx.Response | None:
        """The answer, or None where it is to be tried again."""
        began = time.monotonic()
        try:
            answer = send()
        except httpx.TransportError as error:
            self.put_off[type(error).__name__] += 1
            self.gives_up.wait(0.3)
            return None
        if answer.status_code not in {503, 507}:
            return answer
        says_when = answer.status_code != 503 or "retry-after" in answer.headers
        if answer.headers.get("content-type") != "application/problem+json" or not says_when:
            self.wrong.append(f"{answer.status_code} in another form: {answer.headers} {answer.text[:200]}")
        self.put_off[answer.json().get("code", "")] += 1
        if answer.status_code == 503:
            self.slowest_503_s = max(self.slowest_503_s, time.monotonic() - began)
        self.gives_up.wait(min(float(answer.headers.get("retry-after", "1")), 1.0))
        return None

    def _log_in(self, http: httpx.Client) -> None:
        form = {"email": ADMIN, "password": PASSWORD}
        while not self.gives_up.is_set():
            answer = self._asked(lambda: http.post("/api/auth/login", json=form))
            if answer is not None:
                if answer.status_code == 200:
                    http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
                else:
                    self.wrong.append(f"login: {answer.status_code} {answer.text[:200]}")
                return


def _upload(http: httpx.Client, call: Made) -> httpx.Response:
    return upload(http, (call.name, call.content), idempotency_key=call.key)


def _tell_missed(http: httpx.Client, call: Made) -> httpx.Response:
    event = {"id": call.key, "status": "missed", "direction": "incoming", "date": "2024-01-01T12:00:00+03:00"}
    body, now = json.dumps(event).encode(), str(int(time.time()))
    headers = {"X-Timestamp": now, "X-Signature": signature.sign(SECRET, now, body), "Content-Type": "application/json"}
    return http.post("/api/ingest/generic", content=body, headers=headers)
