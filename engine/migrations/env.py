"""Where alembic begins: on the connection that `engine.migrations` hands over."""

from alembic import context
from sqlmodel import SQLModel

import engine.tables  # noqa: F401 -- declares the tables

connection = context.config.attributes["connection"]
embedded = connection.dialect.name == "sqlite"
if embedded:
    # a table is changed by making it anew, which those that refer to it must not hinder; and all of it happens or nothing
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
context.run_migrations()
if embedded:
    dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    assert not dangling, f"rows refer to what is not there: {dangling[:3]}"
