"""The one way out: every byte to a language model passes here, is permitted before it is sent and counted."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, cast
from urllib.parse import urlsplit
from uuid import UUID

import httpx2

from appliance.engines.language.profiles import AddressInvalid, NotLocal, Profile
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
    question_tokens: int
    """Tokens of the prompt, by our own count, which is on the safe side."""
    answer_tokens: int
    """Tokens that the answer is allowed."""
    deadline: float
    """When reading ends, by the monotonic clock."""
    began: float = field(default_factory=time.monotonic)
    host: str = ""
    leaves: bool = False
    bytes_sent: int = 0
    bytes_received: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    counted: bool = False
    """Whether the endpoint said how many tokens it were."""
    status: int | None = None
    """Of the answer; None while there is none."""
    outcome: str = "sent"
    permitted: bool = False
    reached: bool = False
    """Whether the endpoint may have got it."""
    ticket: int | None = None
    """The gate's own number of the request."""

    @property
    def most_cost(self) -> float:
        """US dollars that the request can cost."""
        return self.profile.cost(self.question_tokens, self.answer_tokens)

    @property
    def cost(self) -> float | None:
        """US dollars that it did cost, by what the endpoint counted; None where it may have worked and did not say."""
        if self.counted:
            return self.profile.cost(self.prompt_tokens, self.completion_tokens)
        is_refused = self.status is not None and not 200 <= self.status < 300
        return 0.0 if is_refused or not self.reached else None

    @property
    def charged(self) -> float:
        """US dollars to reckon with."""
        return self.most_cost if self.cost is None else self.cost

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


@dataclass(frozen=True, slots=True)
class Sending:
    """On whose behalf requests are sent: for the audit."""

    gate: Gate = field(default_factory=OpenGate)
    call_id: UUID | None = None
    purpose: str = "analysis"
    pause: Callable[[float], None] = time.sleep
    retries: bool = True
    """Whether failures that may pass are tried again."""


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


def is_in_the_building(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is loopback, private or link-local, also where IPv4 is written as IPv6.

    Teredo (2001::/32) counts as private by its registration, and is a tunnel through the internet.
    """
    if getattr(address, "teredo", None):
        return False
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
    return bool(inner.is_loopback or inner.is_private or inner.is_link_local) and not inner.is_multicast


def check_place(profile: Profile) -> None:
    """Raises AddressInvalid, or NotLocal where a profile says local and its endpoint is outside the building.

    A name that cannot be looked up now is looked up again when a request is sent.
    """
    if not profile.base_url or socket_of(profile.base_url):
        return
    try:
        urlsplit(profile.base_url)  # refuses more than the other
        url = httpx2.URL(profile.base_url)
        addresses = addresses_of(url.host) if profile.residency == "local" else []
    except OSError:
        return
    except (ValueError, OverflowError, httpx2.InvalidURL):
        raise AddressInvalid(name=profile.name) from None
    if not all(is_in_the_building(address) for address in addresses):
        raise NotLocal(name=profile.name, host=url.host)


def socket_of(base_url: str) -> str | None:
    """The path of a unix socket (unix:/run/vllm.sock); None for other endpoints."""
    return urlsplit(base_url).path if base_url.startswith("unix:") else None


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
        exchange.leaves = exchange.profile.residency == "cloud"
        # Bounds are on what arrives: nothing may unpack into more.
        request.headers["Accept-Encoding"] = "identity"
        hosts = [request.url.host] if self._is_socket else self._hosts(request, exchange)
        gate.permit(exchange)
        exchange.permitted = exchange.reached = True
        try:
            response = self._connected(request, hosts)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
            exchange.reached = False
            raise
        exchange.status = response.status_code
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            if response.is_success:
                response.close()
                message = "the endpoint packs its answers although it is asked not to"
                raise EngineError("llm_misconfigured", message, retryable=True, wait_s=0)
            del response.headers["Content-Encoding"]  # an error is known by its status
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_BoundedStream(cast("httpx2.SyncByteStream", response.stream), exchange),
            extensions=response.extensions,
        )

    def _connected(self, request: httpx2.Request, hosts: Sequence[str]) -> httpx2.Response:
        """The answer of the first host that takes the connection: localhost is ::1 as well, where nobody may listen."""
        timeouts = request.extensions.get("timeout", {})
        if timeouts.get("connect"):
            shared = {**timeouts, "connect": timeouts["connect"] / len(hosts)}
            request.extensions = {**request.extensions, "timeout": shared}
        for host in hosts[:-1]:
            request.url = request.url.copy_with(host=host)
            try:
                return self._inner.handle_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        request.url = request.url.copy_with(host=hosts[-1])
        return self._inner.handle_request(request)

    def _hosts(self, request: httpx2.Request, exchange: Exchange) -> list[str]:
        """Where the request may go: for a local profile the very addresses that were looked at."""
        host = request.url.host
        try:
            addresses = addresses_of(host)
        except (OSError, ValueError):
            raise httpx2.ConnectError("the name of the endpoint is not known") from None
        # A cloud profile on this machine is a relay: its requests go on from here.
        exchange.leaves = exchange.leaves or not all(address.is_loopback for address in addresses)
        if exchange.profile.residency == "local":
            if not all(is_in_the_building(address) for address in addresses):
                raise NotLocal(name=exchange.profile.name, host=host)  # whatever its label says
            # The name must not stand for another address by the time of the connection.
            request.extensions = {**request.extensions, "sni_hostname": host}
            return list(dict.fromkeys(map(str, addresses)))
        return [host]

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
