"""The one way out: every byte to a language model passes here, is permitted before it is sent and counted."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, cast
from urllib.parse import urlsplit
from uuid import UUID

import httpx2

from appliance.engines.language.profiles import CloudRefused, Profile
from appliance.errors import EngineError

ANSWER_BYTES = 2**20
"""A larger answer is no analysis: reading ends."""


@dataclass(slots=True)
class Exchange:
    """One request to a language model and what became of it. `bytes_*` count bodies; `outcome` is a stable code."""

    profile: Profile
    call_id: UUID | None
    purpose: str
    masked: Mapping[str, int]
    most_tokens: int
    """Tokens that the request may cost at most, prompt and answer, by our own count."""
    deadline: float
    """When reading ends, by the monotonic clock."""
    began: float = field(default_factory=time.monotonic)
    host: str = ""
    leaves: bool = False
    bytes_sent: int = 0
    bytes_received: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    outcome: str = "sent"
    permitted: bool = False
    ticket: int | None = None
    """The gate's own number of the request."""

    @property
    def cost(self) -> float:
        """US dollars."""
        return self.profile.cost(self.prompt_tokens, self.completion_tokens)

    @property
    def elapsed_ms(self) -> int:
        return round((time.monotonic() - self.began) * 1000)


class Gate(Protocol):
    """Says whether a request may be sent, and is told what became of it."""

    def permit(self, exchange: Exchange) -> None:
        """Called with the request ready and nothing sent. Raises EngineError where it may not be sent."""
        ...

    def done(self, exchange: Exchange) -> None:
        """Called once for every request that was permitted."""
        ...


class OpenGate:
    """Permits everything: for endpoints on this machine, without a database."""

    def permit(self, exchange: Exchange) -> None:
        if exchange.leaves:
            raise EngineError("llm_not_permitted", "requests that leave this machine need the appliance's audit")

    def done(self, exchange: Exchange) -> None:
        """Nothing is kept."""


_current: ContextVar[tuple[Exchange, Gate]] = ContextVar("exchange")


@contextmanager
def exchanging(exchange: Exchange, gate: Gate) -> Iterator[None]:
    """Requests within belong to this exchange."""
    token = _current.set((exchange, gate))
    try:
        yield
    finally:
        _current.reset(token)


def addresses_of(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The addresses that a host name stands for. Raises OSError."""
    try:
        return [ipaddress.ip_address(host.strip("[]"))]
    except ValueError:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found]


def socket_of(base_url: str) -> str | None:
    """The path of a unix socket (unix:/run/vllm.sock); None for other endpoints."""
    parts = urlsplit(base_url)
    return parts.path if parts.scheme == "unix" else None


class CountedTransport(httpx2.BaseTransport):
    """Sends what the gate permits, at most to where the profile's residency allows, and reads within bounds."""

    def __init__(self, profile: Profile) -> None:
        uds = socket_of(profile.base_url)
        self._is_socket = uds is not None
        self._inner = httpx2.HTTPTransport(uds=uds, limits=httpx2.Limits(max_connections=256))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange, gate = _current.get()
        exchange.bytes_sent = len(request.read())
        exchange.host = "unix" if self._is_socket else request.url.host
        exchange.leaves = not self._is_socket and self._leaves(exchange.profile, request.url.host)
        gate.permit(exchange)
        exchange.permitted = True
        response = self._inner.handle_request(request)
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_BoundedStream(cast("httpx2.SyncByteStream", response.stream), exchange),
            extensions=response.extensions,
        )

    def _leaves(self, profile: Profile, host: str) -> bool:
        try:
            addresses = addresses_of(host)
        except OSError as error:
            raise httpx2.ConnectError(f"the name of the endpoint is not known: {error.errno}") from None
        if profile.residency == "local" and any(address.is_global for address in addresses):
            raise CloudRefused(name=profile.name)  # whatever its label says, this is not in the building
        return not all(address.is_loopback for address in addresses)

    def close(self) -> None:
        self._inner.close()


class _BoundedStream(httpx2.SyncByteStream):
    def __init__(self, inner: httpx2.SyncByteStream, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            self._exchange.bytes_received += len(chunk)
            if self._exchange.bytes_received > ANSWER_BYTES:
                raise EngineError("llm_answer_oversized", f"the answer is larger than {ANSWER_BYTES} bytes")
            if time.monotonic() > self._exchange.deadline:
                raise httpx2.ReadTimeout("the answer did not end in time")
            yield chunk

    def close(self) -> None:
        self._inner.close()
