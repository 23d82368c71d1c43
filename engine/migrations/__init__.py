"""The schema by versions (alembic): `upgrade` brings a database to the newest, `is_current` says whether it is there."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from engine.database import engine_of

HERE = Path(__file__).parent


def upgrade(url: str, revision: str = "head") -> None:
    """Bring a database to a version of the schema, the newest where none is named."""
    engine = engine_of(url)
    try:
        with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection, connection.begin():
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def revision_of(url: str) -> str | None:
    """The version of a database's schema; `None` where it has none."""
    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            return _context(connection).get_current_revision()
    finally:
        engine.dispose()


def newest() -> str:
    """The version that this program works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "there is a first version"
    return head


def is_current(url: str) -> bool:
    """Whether a database has the schema that this program works with."""
    return revision_of(url) == newest()


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    return config


__all__ = ["is_current", "newest", "revision_of", "upgrade"]
