"""What a deployment may set: `ALLOT_*` in the environment, secrets also from files (`ALLOT_DATABASE_URL_FILE`)."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from solver.policies import AHEAD, NAMES
from solver.refusal import Refusal

PREFIX = "ALLOT_"
EMBEDDED = "sqlite:///allot.db"
LEVELS = ("debug", "info", "warning", "error", "critical")
SECRETS = ("database_url", "secret_key")
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
    solve_at_once: Annotated[int, Field(ge=0)] = 500
    """Orders up to which `POST /v1/solve` answers at once, not by a job."""
    drain: Annotated[float, Field(gt=0, le=60)] = 8.0
    """What requests may still take after SIGTERM."""
    fonts: str | None = None
    """TrueType files for letters that our papers lack, divided by `:`."""
    log_level: str = "info"

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
    for name in ("rate", "failed_rate"):
        said = getattr(settings, name)
        try:
            parse(said)
        except ValueError as error:
            raise Refusal(f"{PREFIX}{name.upper()}", f"{said!r} is no rate, as 600/minute is", "bad_setting") from error
