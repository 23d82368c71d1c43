"""What a deployment may set: `ALLOT_*` in the environment, secrets also from files (`ALLOT_DATABASE_URL_FILE`)."""

import os
from collections.abc import Iterable
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from engine.notices import TOLD
from solver.policies import AHEAD, NAMES
from solver.refusal import Refusal

PREFIX = "ALLOT_"
EMBEDDED = "sqlite:///allot.db"
LEVELS = ("debug", "info", "warning", "error", "critical")
SECRETS = ("database_url", "secret_key", "smtp_password", "stripe_key")
"""Settings that may come from a file, named by the same variable with `_FILE` behind it."""


class Settings(BaseSettings):
    """One deployment's settings. Sizes are bytes, times seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, allow_inf_nan=False)

    database_url: str = EMBEDDED
    secret_key: SecretStr | None = None
    """What seals the secrets that must be read again; made in a file beside an embedded database where not set."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    connections: Annotated[int, Field(ge=1, le=500)] = 16
    """To PostgreSQL, from one process: one for each thread, and some for what goes on beside the requests."""
    threads: Annotated[int, Field(ge=1, le=256)] = 8
    """Blocking work at the same time."""
    most_requests: Annotated[int, Field(ge=1, le=100_000)] = 512
    """Requests at the same time; one more is told to come back."""
    rate: str = "100000/minute"
    """Requests of one key."""
    failed_rate: str = "60/minute"
    """Requests with a wrong key from one address."""
    most_body: Annotated[int, Field(ge=1024)] = 1 << 20
    most_batch: Annotated[int, Field(ge=1024)] = 8 << 20
    most_import: Annotated[int, Field(ge=1024)] = 64 << 20
    key_lease: Annotated[float, Field(gt=0)] = 30.0
    """After so long, a request that was never answered may be tried again with its `Idempotency-Key`."""
    key_days: Annotated[int, Field(ge=1, le=365)] = 2
    """How long answers to an `Idempotency-Key` are kept."""
    job_days: Annotated[int, Field(ge=1, le=365)] = 7
    """How long jobs that have ended are kept, with what they gave and what they refused."""
    keys_cached: Annotated[float, Field(ge=0, le=300)] = 5.0
    """How long a revoked API key may still be taken by other processes than the one that revoked it."""
    workers: Annotated[int, Field(ge=0, le=16)] = 1
    """Job workers inside `allot serve`."""
    wave_every: Annotated[float, Field(ge=0)] = 300.0
    """Seconds between waves on the timer; 0 for waves by call only."""
    wave_seconds: Annotated[float, Field(gt=0)] = 20.0
    """What a wave may spend on deciding."""
    wave_policy: str = "joint"
    """Who decides the waves on the timer."""
    sweep_every: Annotated[float, Field(gt=0)] = 5.0
    """Seconds between looks for holds, orders and pickups whose time is up, and for labels whose carriers are to be called."""
    event_days: Annotated[int, Field(ge=1, le=365)] = 30
    """How long events are kept, with the log of their deliveries; what is not delivered by then is not any more."""
    webhook_http: bool = False
    """Whether webhooks may be sent to where nothing is encrypted."""
    webhook_networks: str | None = None
    """Networks that webhooks may be sent to though they are not public."""
    public_url: str | None = None
    """Where customers reach this service, for links in messages."""
    notice_sender: str = "smtp"
    """What sends messages to customers."""
    notice_types: str | None = None
    """The events that customers are told of; all that there are messages for where not set."""
    notice_locale: str = "en"
    """The language of messages to those of whom none is known."""
    notice_templates: str | None = None
    """A folder with templates that go before ours."""
    smtp_host: str | None = None
    """The mail server; where not set, nobody is sent mail."""
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_from: str | None = None
    """Who messages come from, as `The Shop <orders@shop.example>`."""
    push_every: Annotated[float, Field(ge=0)] = 15.0
    """Seconds between looks for what channels are to be told of stock and parcels; 0 for never."""
    solve_at_once: Annotated[int, Field(ge=0)] = 500
    """Orders up to which `POST /v1/solve` answers at once, not by a job."""
    drain: Annotated[float, Field(gt=0, le=60)] = 8.0
    """What requests may still take after SIGTERM."""
    fonts: str | None = None
    """TrueType files for letters that our papers lack, divided by `:`."""
    stripe_key: SecretStr | None = None
    """The secret key of an account at Stripe."""
    stripe_url: str | None = None
    """Where the API of Stripe is, if not at Stripe."""
    log_level: str = "info"

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks that webhooks may be sent to though they are not public."""
        return tuple(ip_network(one) for one in (self.webhook_networks or "").split())

    @property
    def notify(self) -> frozenset[str]:
        """The events that customers are told of; none where nothing sends messages."""
        if self.notice_sender == "smtp" and self.smtp_host is None:
            return frozenset()
        return frozenset(TOLD if self.notice_types is None else self.notice_types.split())

    @property
    def source(self) -> str:
        """Who tells events: a URI."""
        return self.public_url or "urn:allot"

    @property
    def embedded(self) -> bool:
        """Whether the database is a file of this process alone."""
        return make_url(self.database_url).get_backend_name() == "sqlite"

    @property
    def more_fonts(self) -> list[Path]:
        """Files of fonts for papers."""
        return [Path(file) for file in (self.fonts or "").split(":") if file]

    @property
    def shown_url(self) -> str:
        """The database without its password."""
        return make_url(self.database_url).render_as_string(hide_password=True)


def read_settings(**given: object) -> Settings:
    """Settings from what is given, then secret files, then the environment.

    Raises
    ------
    Refusal
        If one of them is not what is allowed.
    """
    values = {name: value for name, value in given.items() if value is not None}
    for name in SECRETS:
        file = os.environ.get(f"{PREFIX}{name.upper()}_FILE")
        if file and name not in values:
            values[name] = _secret(file, name)
    try:
        settings = Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise Refusal(f"{PREFIX}{name.upper()}", f"{first['input']!r}: {first['msg']}", "bad_setting") from error
    _check(settings)
    return settings


def _secret(file: str, name: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, ValueError) as error:
        raise Refusal(f"{PREFIX}{name.upper()}_FILE", f"{file} cannot be read", "bad_setting") from error


def _check(settings: Settings) -> None:
    from limits import parse

    try:
        url = make_url(settings.database_url)
    except ArgumentError as error:
        raise Refusal("ALLOT_DATABASE_URL", "is no database URL", "bad_setting") from error
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise Refusal("ALLOT_DATABASE_URL", f"{backend!r} is no database of ours: sqlite or postgresql", "bad_setting")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise Refusal("ALLOT_DATABASE_URL", "names no file, as sqlite:///allot.db does", "bad_setting")
    if settings.log_level not in LEVELS:
        raise Refusal("ALLOT_LOG_LEVEL", f"{settings.log_level!r} is none of {', '.join(LEVELS)}", "bad_setting")
    if settings.wave_policy not in (*NAMES, *AHEAD):
        allowed = ", ".join((*NAMES, *AHEAD))
        raise Refusal("ALLOT_WAVE_POLICY", f"{settings.wave_policy!r} is not one of {allowed}", "bad_setting")
    for font in settings.more_fonts:
        if not font.is_file():
            raise Refusal("ALLOT_FONTS", f"there is no file {str(font)!r}", "bad_setting")
    _check_telling(settings)
    for name in ("rate", "failed_rate"):
        said = getattr(settings, name)
        try:
            parse(said)
        except ValueError as error:
            raise Refusal(f"{PREFIX}{name.upper()}", f"{said!r} is no rate, as 600/minute is", "bad_setting") from error


def _check_telling(settings: Settings) -> None:
    """What webhooks and messages need."""
    try:
        settings.networks  # noqa: B018 -- reads them
    except ValueError as error:
        raise Refusal("ALLOT_WEBHOOK_NETWORKS", f"{error}; say them as 10.0.0.0/8 fd00::/8", "bad_setting") from error
    url = settings.public_url
    if url is not None and not (url.startswith(("https://", "http://")) and url.isprintable() and " " not in url):
        raise Refusal("ALLOT_PUBLIC_URL", f"{url!r} is no address, as https://allot.shop.example is", "bad_setting")
    _check_known("ALLOT_NOTICE_TYPES", (settings.notice_types or "").split(), TOLD)
    folder = settings.notice_templates
    if folder is not None and not Path(folder).is_dir():
        raise Refusal("ALLOT_NOTICE_TEMPLATES", f"{folder!r} is no folder", "bad_setting")
    if settings.notify and url is None:
        raise Refusal("ALLOT_PUBLIC_URL", "must be set where customers are told: each message has a link to get no more",
                      "bad_setting")  # fmt: skip
    if settings.smtp_host is None:
        return
    if settings.smtp_from is None or "@" not in parseaddr(settings.smtp_from)[1]:
        raise Refusal("ALLOT_SMTP_FROM", "must say who mail comes from, as Shop <orders@shop.example>", "bad_setting")
    if settings.smtp_user is not None and settings.smtp_tls == "none":
        raise Refusal("ALLOT_SMTP_TLS", "'none' would send the password for all to read", "bad_setting")


def _check_known(name: str, said: Iterable[str], known: Iterable[str]) -> None:
    for one in said:
        if one not in known:
            raise Refusal(name, f"{one!r} is none of {', '.join(known)}", "bad_setting")
