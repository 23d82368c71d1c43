"""Backups: one file, one state of the database, while others write.

SQLite is copied by its own online backup. Of PostgreSQL every table is copied out (COPY) in one transaction that sees one state,
into a zip archive with a manifest: the schema's version, and for each table its columns, rows and the SHA-256 of its data.
"""

import hashlib
import os
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import make_url
from sqlmodel import SQLModel

import engine.tables  # noqa: F401 -- declares the tables
from api.outputs import check_file
from api.settings import Settings
from engine.database import engine_of
from engine.migrations import newest
from solver.refusal import Refusal

FORMAT = "allot-backup/1"
MANIFEST = "manifest.json"
PIECE = 1 << 20


class Copied(msgspec.Struct):
    """One table of a backup."""

    columns: list[str]
    rows: int
    sha256: str


class Manifest(msgspec.Struct):
    """What a backup holds."""

    format: str
    schema: str
    at: int
    tables: dict[str, Copied]


def back_up(settings: Settings, at: int, file: Path) -> dict[str, int]:
    """Write a backup; says how many rows each table has.

    The file appears when it is whole, and nobody else may read it.
    """
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if settings.embedded:
            _copy_sqlite(_path_of(settings), part)
            rows = _counts(part)
        else:
            rows = _dump(settings.database_url, at, part)
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
    return rows


def restore(settings: Settings, file: Path) -> dict[str, int]:
    """Bring a backup into an empty database; says how many rows each table has. All of it or nothing.

    Raises
    ------
    Refusal
        The file is none, is damaged, is of another database or schema, or there is something in the database already.
    """
    if not file.is_file():
        raise Refusal(str(file), "there is no such file", "no_backup")
    if settings.embedded:
        return _restore_sqlite(settings, file)
    return _load(settings.database_url, file)


def _path_of(settings: Settings) -> Path:
    name = make_url(settings.database_url).database
    if not name or name == ":memory:":
        raise Refusal("ALLOT_DATABASE_URL", "names no file", "bad_setting")
    return Path(name)


def _copy_sqlite(source: Path, target: Path) -> None:
    if not source.is_file():
        raise Refusal(str(source), "there is no such database", "no_database")
    before, after = sqlite3.connect(source), sqlite3.connect(target)
    try:
        before.backup(after)
        after.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    finally:
        before.close()
        after.close()


def _counts(file: Path) -> dict[str, int]:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return {
            table: int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])  # noqa: S608
            for table in SQLModel.metadata.tables
        }
    finally:
        connection.close()


def _restore_sqlite(settings: Settings, file: Path) -> dict[str, int]:
    target = _path_of(settings)
    check_file(target)
    if target.exists() and target.stat().st_size and any(_counts_if_ours(target).values()):
        raise Refusal(str(target), "is not empty; name another database", "not_empty")
    try:
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        try:
            damage = connection.execute("PRAGMA integrity_check").fetchone()[0]
            schema = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise Refusal(str(file), f"is no backup of an embedded database: {error}", "bad_backup") from error
    if damage != "ok":
        raise Refusal(str(file), f"is damaged: {damage}", "bad_backup")
    _check_schema(file, schema[0] if schema else "")
    part = target.with_name(target.name + ".part")
    try:
        _copy_sqlite(file, part)
        for beside in ("-wal", "-shm"):
            target.with_name(target.name + beside).unlink(missing_ok=True)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return _counts(target)


def _counts_if_ours(file: Path) -> dict[str, int]:
    try:
        return _counts(file)
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):
            return {}
        raise Refusal(str(file), "is no database of ours", "not_empty") from error


def _check_schema(file: Path, schema: str) -> None:
    if schema != newest():
        raise Refusal(str(file), f"has schema {schema or 'none'}, and this program {newest()}", "bad_backup")


def _columns(table: Any) -> list[str]:
    return [column.name for column in table.columns if column.computed is None]


def _list(columns: list[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _dump(url: str, at: int, file: Path) -> dict[str, int]:
    pool = engine_of(url, 1)
    connection = pool.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        schema = cursor.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        manifest = Manifest(FORMAT, schema, at, {})
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for table in SQLModel.metadata.sorted_tables:
                manifest.tables[table.name] = _copy_out(cursor, archive, table.name, _columns(table))
            archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        cursor.execute("ROLLBACK")
        return {name: copied.rows for name, copied in manifest.tables.items()}
    finally:
        connection.close()
        pool.dispose()


def _copy_out(cursor: Any, archive: zipfile.ZipFile, table: str, columns: list[str]) -> Copied:
    digest = hashlib.sha256()
    with (
        archive.open(table, "w", force_zip64=True) as out,
        cursor.copy(f'COPY "{table}" ({_list(columns)}) TO STDOUT') as copy,
    ):
        for piece in copy:
            out.write(piece)
            digest.update(piece)
    return Copied(columns, cursor.rowcount, digest.hexdigest())


def _load(url: str, file: Path) -> dict[str, int]:
    try:
        archive = zipfile.ZipFile(file)
        manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    except (zipfile.BadZipFile, KeyError, msgspec.MsgspecError) as error:
        raise Refusal(str(file), "is no backup of a PostgreSQL database", "bad_backup") from error
    _check_schema(file, manifest.schema)
    tables = {table.name: table for table in SQLModel.metadata.sorted_tables}
    if manifest.format != FORMAT or set(manifest.tables) != set(tables):
        raise Refusal(str(file), "holds other tables than this program has", "bad_backup")
    pool = engine_of(url, 1)
    connection = pool.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        try:
            for name, table in tables.items():
                if cursor.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone():  # noqa: S608
                    raise Refusal(name, "the database is not empty: name another", "not_empty")
                _copy_in(cursor, archive, file, name, table, manifest.tables[name])
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        return {name: copied.rows for name, copied in manifest.tables.items()}
    finally:
        connection.close()
        pool.dispose()
        archive.close()


def _copy_in(cursor: Any, archive: zipfile.ZipFile, file: Path, name: str, table: Any, told: Copied) -> None:
    if told.columns != _columns(table):
        raise Refusal(str(file), f"has other columns of {name} than this program", "bad_backup")
    digest = hashlib.sha256()
    try:
        with archive.open(name) as held, cursor.copy(f'COPY "{name}" ({_list(told.columns)}) FROM STDIN') as copy:
            while piece := held.read(PIECE):
                digest.update(piece)
                copy.write(piece)
    except zipfile.BadZipFile as error:
        raise Refusal(str(file), f"is damaged at {name}", "bad_backup") from error
    if cursor.rowcount != told.rows or digest.hexdigest() != told.sha256:
        raise Refusal(str(file), f"is damaged at {name}", "bad_backup")
    if "no" in table.columns and table.columns["no"].primary_key:
        cursor.execute(
            f"SELECT setval(pg_get_serial_sequence('\"{name}\"', 'no'), "  # noqa: S608
            f'(SELECT COALESCE(max(no), 0) + 1 FROM "{name}"), false)'
        )
