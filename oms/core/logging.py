"""JSON logs by structlog, for our own messages and those of libraries."""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from typing import Any

import structlog

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


# PostgreSQL quotes the whole row that violates a constraint, including password hashes.
_ROW = re.compile(r"Failing row contains \(.*?(?=\n\n|\nCONTEXT:|\Z)", flags=re.DOTALL)


def _without_rows(logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
    if "exception" in event:
        event["exception"] = _ROW.sub("Failing row contains (...).", str(event["exception"]))
    return event


def structlog_configuration(*, log_format: str, level: str) -> dict[str, Any]:
    """Configure structlog, and return the matching `logging` configuration.

    `log_format` is "json" for machines or "console" for people. Tracebacks never include function
    arguments or rows that the database rejected: they may contain passwords and tokens.
    """
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=not os.environ.get("NO_COLOR"),  # https://no-color.org
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    _without_rows,
                    renderer,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # oms.http logs one line for each request; these would repeat it.
            "django.server": {"level": "WARNING"},
            "django.request": {"level": "CRITICAL"},
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            # Tasks that run every second would hide other messages; failures are errors and stay.
            "celery.beat": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }
