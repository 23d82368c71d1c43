"""What a process tells about itself: JSON logs without personal data, and figures for Prometheus."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

PERSONAL = frozenset(
    {"name", "address", "contact", "email", "phone", "recipient", "body", "authorization", "secret", "password", "hash"}
)
"""Fields that no log line has, at any depth."""
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
    return value


def set_up_logs(level: str = "info") -> None:
    """Write one JSON object for each line, on standard error; what libraries log goes the same way."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
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
