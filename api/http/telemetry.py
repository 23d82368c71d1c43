"""What a process tells about itself: JSON logs without personal data, and figures for Prometheus."""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from engine.facts import looks_personal
from engine.privacy import SEALED, personal, tables

_MORE = {"email", "phone", "recipient", "authorization", "secret", "password", "query", "params", "headers", "payload"}
PERSONAL = SEALED | _MORE | {column.name for table in tables() for column in personal(table)}
"""Fields that no log line has, at any depth: what is marked in the tables, and what else is personal or secret."""
HIDDEN = "[hidden]"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide personal data and secrets in a log line."""
    return {name: _hidden(name, value) for name, value in event.items()}


def _hidden(name: str, value: Any) -> Any:
    if name.lower() in PERSONAL:
        return HIDDEN
    if isinstance(value, dict):
        return {key: _hidden(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden("", inner) for inner in value]
    if isinstance(value, bytes) or (isinstance(value, str) and looks_personal(value)):
        return HIDDEN
    return value


def frames_alone(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Show of an exception what it is and where it comes from, not what it says: that quotes data."""
    error = event.pop("exc_info", None)
    if error is True or error == 1:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = "".join(_frames(error))
    return event


def _frames(error: BaseException) -> list[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    told = traceback.format_tb(error.__traceback__)
    return [*([] if before is None else _frames(before)), *told, f"{type(error).__qualname__}\n"]


def set_up_logs(level: str = "info") -> None:
    """Write one JSON object for each line, on standard error; what libraries log goes the same way."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    structlog.configure(
        processors=[*shared, frames_alone, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            frames_alone,
            structlog.processors.JSONRenderer(),
        ],
    )
    outlet = logging.StreamHandler(sys.stderr)
    outlet.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [outlet]
    root.setLevel(logging.WARNING)


log = structlog.get_logger("allot")


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "allot_requests_total", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "allot_request_seconds", "Time to answer", ["method", "route"], buckets=BUCKETS, registry=self.registry
        )
        self.busy = Gauge("allot_requests_in_flight", "Requests being answered", registry=self.registry)
        self.waves = Counter("allot_waves_total", "Waves by how they ended", ["state"], registry=self.registry)
        self.jobs = Counter("allot_jobs_total", "Jobs by how they ended", ["kind", "state"], registry=self.registry)
        self.deliveries = Counter(
            "allot_deliveries_total", "Tries to deliver an event to a webhook", ["state"], registry=self.registry
        )
