"""One JSON line per event: a constant name with fields. Ids, never speech, never a phone number."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

bind = structlog.contextvars.bound_contextvars
"""Context manager that adds fields (request_id, call_id, stage) to every event within."""


_traced = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def _where(exc_info: structlog.typing.ExcInfo) -> list[dict[str, Any]]:
    """What was raised where. Not with which values and texts: they hold phone numbers, speech, rows and keys."""
    return [{**stack, "exc_value": "", "exc_notes": []} for stack in _traced(exc_info)]


def configure(level: str, process: str) -> None:
    """Send this process's events, and those of the libraries it uses, to stderr as JSON."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.ExceptionRenderer(_where),
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("appliance").setLevel(level.upper())
    structlog.contextvars.bind_contextvars(process=process)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    return structlog.stdlib.get_logger(name)
