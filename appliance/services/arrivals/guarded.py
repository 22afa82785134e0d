"""Fetching from addresses that others name: nothing is asked that the site did not allow, wherever a name may lead.

Server-side request forgery is what this keeps out: HTTPS alone, hosts by the list RECORDING_HOSTS, each name resolved
once, none of its addresses inside the house (unless RECORDING_PRIVATE_ADDRESSES says so), the connection made to that
very address under the name's certificate, every redirect held to the same, and limits of size and time.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import httpx

from appliance.config import settings

HTTPS = 443
REDIRECTS = 3
WITHIN_S = 300.0
"""For one recording, with all redirects; an hour of telephony in mp3 is some 30 MB."""

CONNECT_S, SILENCE_S = 10.0, 30.0
JSON_BYTES = 2**20
NO_RECORDING = ("application/json", "text/")
"""What an exchange that has not stored the recording yet answers with, by a status of 200."""


class FetchRefused(Exception):
    """It is not asked for, or not taken, however often it is tried. `code` is short and stable."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class FetchFailed(FetchRefused):
    """The other side is away, slow or not ready: trying again later may help."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: GET, or POST where there is a form."""

    url: str
    form: Mapping[str, str] | None = None


def save(request: Request, target: BinaryIO) -> None:
    """Write a recording to a file. Raises FetchRefused, FetchFailed."""
    with _answer(request) as (answer, deadline):
        if answer.headers.get("Content-Type", "").lower().startswith(NO_RECORDING):
            raise FetchFailed("no_recording_yet")
        target.writelines(_body(answer, settings().upload_max_bytes, deadline))


def read(request: Request) -> bytes:
    """A small answer as a whole. Raises FetchRefused, FetchFailed."""
    with _answer(request) as (answer, deadline):
        return b"".join(_body(answer, JSON_BYTES, deadline))


@contextmanager
def _answer(request: Request) -> Iterator[tuple[httpx.Response, float]]:
    """The answer at the end of the redirects, to be read while it is open, and when reading ends."""
    url, form, deadline = request.url, request.form, time.monotonic() + WITHIN_S
    context = ssl.create_default_context()
    patience = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
    # Proxies and credentials of the environment are not meant for exchanges.
    with httpx.Client(verify=context, trust_env=False, timeout=patience) as http:
        try:
            for _ in range(REDIRECTS + 1):
                with closing(http.send(_pinned(http, url, form), stream=True)) as answer:
                    if not answer.has_redirect_location:
                        if answer.status_code != httpx.codes.OK:
                            raise FetchFailed(f"http_{answer.status_code}")
                        yield answer, deadline
                        return
                    url, form = urljoin(url, answer.headers["Location"]), None
        except httpx.HTTPError as error:
            raise FetchFailed(_code_of(error)) from None
    raise FetchRefused("too_many_redirects")


def _code_of(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    return "certificate" if "certificate" in str(error).lower() else "unreachable"


def _body(answer: httpx.Response, limit: int, deadline: float) -> Iterator[bytes]:
    """As it is sent: nothing is unpacked."""
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise FetchRefused("packed")
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > limit:
        raise FetchRefused("too_large")
    seen = 0
    for part in answer.iter_raw():
        seen += len(part)
        if seen > limit:
            raise FetchRefused("too_large")
        if time.monotonic() > deadline:
            raise FetchFailed("timeout")
        yield part
    if length.isdigit() and seen != int(length):
        raise FetchFailed("cut_off")


def _pinned(http: httpx.Client, url: str, form: Mapping[str, str] | None) -> httpx.Request:
    """A request to the address that was looked at, under the name that was asked for."""
    host, port = permitted(url)
    address = _resolved(host, port)
    shown = f"[{address}]" if address.version == 6 else str(address)
    target = urlsplit(url)._replace(netloc=f"{shown}:{port}", fragment="").geturl()
    headers = {"Host": host if port == HTTPS else f"{host}:{port}", "Accept-Encoding": "identity"}
    method, named = "GET" if form is None else "POST", {"sni_hostname": host}
    return http.build_request(method, target, headers=headers, data=form, extensions=named)


def permitted(url: str) -> tuple[str, int]:
    """Host and port of an address that may be asked. Raises FetchRefused."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port or HTTPS
    except ValueError:
        raise FetchRefused("address") from None
    if parts.scheme != "https" or not host or parts.username is not None or not host.isascii():
        raise FetchRefused("address")
    if not any(_covers(allowed.lower(), host, port) for allowed in settings().recording_hosts):
        raise FetchRefused("host_not_allowed")
    return host, port


def _covers(allowed: str, host: str, port: int) -> bool:
    """`name`, `name:port`, or `*.name` for every host below it."""
    name, _, number = allowed.partition(":")
    if port != int(number or HTTPS):
        return False
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


def _resolved(host: str, port: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise FetchFailed("name_not_found") from None
    addresses = [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
    if not addresses or not all(_may_be_asked(address) for address in addresses):
        raise FetchRefused("private_address")
    return addresses[0]


def _may_be_asked(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    plain = getattr(address, "ipv4_mapped", None) or address
    if plain.is_link_local or plain.is_multicast or plain.is_unspecified:
        return False  # metadata services of clouds among them
    return plain.is_global or (settings().recording_private_addresses and plain.is_private)
