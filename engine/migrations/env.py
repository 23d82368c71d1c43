"""Where alembic begins: on the connection that `engine.migrations` hands over."""

from alembic import context
from sqlmodel import SQLModel

import engine.tables  # noqa: F401 -- declares the tables

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
context.run_migrations()
