"""One error body everywhere: RFC 9457 problem+json with a stable `code`, in Russian or English."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance import logs
from appliance.errors import ApplianceError, is_disk_full
from appliance.services.failures import DiskFull

log = logs.get(__name__)

MEDIA_TYPE = "application/problem+json"

IN_RUSSIAN = Path(__file__).parent / "field_errors.yaml"


class DatabaseUnavailable(ApplianceError):
    code = "database_unavailable"
    status = 503
    ru = "База данных временно недоступна"
    en = "The database is temporarily unavailable"


class ValidationFailed(ApplianceError):
    code = "validation_failed"
    status = 422
    ru = "Запрос содержит ошибки"
    en = "The request has errors"


class RouteNotFound(ApplianceError):
    code = "route_not_found"
    status = 404
    ru = "Такого адреса нет"
    en = "There is no such address"


class MethodNotAllowed(ApplianceError):
    code = "method_not_allowed"
    status = 405
    ru = "Метод не поддерживается по этому адресу"
    en = "The method is not supported at this address"


class RequestMalformed(ApplianceError):
    code = "request_malformed"
    status = 400
    ru = "Запрос не удалось прочитать"
    en = "The request could not be read"


def language_of(request: Request) -> str:
    """`en` where Accept-Language asks for it before Russian, `ru` otherwise."""
    for wanted in request.headers.get("accept-language", "").lower().split(","):
        tag = wanted.split(";")[0].strip()
        if tag.startswith(("en", "ru")):
            return tag[:2]
    return "ru"


def problem(request: Request, error: ApplianceError, errors: list[dict[str, str]] | None = None) -> JSONResponse:
    """The answer that an error becomes."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": error.code,
        "status": error.status,
        "code": error.code,
        "detail": error.message(language_of(request)),
    }
    if errors is not None:
        body["errors"] = errors
    headers = dict(error.headers)
    if error.status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    if error.status == 503:
        headers.setdefault("Retry-After", "5")
    return JSONResponse(body, error.status, headers=headers, media_type=MEDIA_TYPE)


@lru_cache
def field_errors() -> dict[str, str]:
    """What is wrong with a field, in Russian, by pydantic's type of error."""
    loaded: dict[str, str] = yaml.safe_load(IN_RUSSIAN.read_text(encoding="utf-8"))
    return loaded


def in_russian(kind: str, facts: dict[str, Any]) -> str:
    """The sentence for an error of a field; `facts` are pydantic's, whose lists are English: 'a', 'b' or 'c'."""
    said = {name: str(value).replace(" or ", " или ") for name, value in facts.items()}
    return field_errors().get(kind, field_errors()["value_error"]).format_map(said)


def install(app: FastAPI) -> None:
    """Map everything that can go wrong to the one body."""

    @app.exception_handler(ApplianceError)
    def known(request: Request, error: ApplianceError) -> JSONResponse:
        return problem(request, error)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        language = language_of(request)
        errors = [
            {
                "field": ".".join(str(part) for part in e["loc"][1:]) or str(e["loc"][0]),
                "code": e["type"],
                "message": e["msg"] if language == "en" else in_russian(e["type"], e.get("ctx", {})),
            }
            for e in error.errors()
        ]
        return problem(request, ValidationFailed(), errors)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        if is_disk_full(error.__cause__):  # met while a body was written down
            return problem(request, DiskFull(headers={"Connection": "close"}))
        known = {404: RouteNotFound, 405: MethodNotAllowed}.get(error.status_code, RequestMalformed)
        return problem(request, known(headers=dict(error.headers or {})))

    @app.exception_handler(DBAPIError)
    @app.exception_handler(PoolTimeout)
    def other(request: Request, error: Exception) -> JSONResponse:
        return problem(request, known_of(error))


class Crashes:
    """Makes an answer of what nothing else has caught.

    Not as a handler: Starlette asks those for crashes behind all middlewares, where no header is added any more.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered = False

        async def watched(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if scope["type"] == "http" and not answered:
                await problem(Request(scope), known_of(error))(scope, receive, send)
            raise  # the server writes down where it happened


def known_of(error: Exception) -> ApplianceError:
    """What the caller is told of any exception."""
    if isinstance(error, ApplianceError):
        return error
    if isinstance(error, PoolTimeout) or getattr(error, "connection_invalidated", False) or _is_outage(error):
        log.warning("database_unavailable")
        return DatabaseUnavailable()
    if is_disk_full(error):
        log.warning("disk_full")
        return DiskFull()
    if isinstance(error, DataError):  # a NUL in a text, a number beyond bounds
        return ValidationFailed()
    log.error("request_crashed", error=type(error).__name__)
    return ApplianceError()


def _is_outage(error: Exception) -> bool:
    from sqlalchemy.exc import InterfaceError, OperationalError

    return isinstance(error, OperationalError | InterfaceError)
