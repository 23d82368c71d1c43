"""The commands that run the service: serve, migrate, worker, keys, fsck, backup, restore, and what fills or reads its database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from api.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="sqlite:///FILE or postgresql+psycopg://...; ALLOT_DATABASE_URL, or allot.db here, if not given.",
        show_default=False,
    ),
]
keys_app = typer.Typer(name="keys", help="Make, list and revoke API keys.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (serve, worker, migrate, backup, restore):
        app.command()(command)
    app.add_typer(keys_app)


def _settings(**given: Any) -> "Settings":
    from api.settings import read_settings

    return read_settings(**given)


def _say(message: str) -> None:
    typer.echo(f"allot: {message}", err=True)


def serve(
    database: Url = None,
    host: Annotated[str | None, typer.Option(help="Address to listen at; 127.0.0.1.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 8000.", show_default=False)] = None,
) -> None:
    """Serve the API, and do its jobs. An embedded database is made and migrated; a PostgreSQL one is not."""
    from api import serving
    from engine.database import Database

    settings = _settings(database_url=database, host=host, port=port)
    serving.prepare(settings)
    if settings.embedded:
        with Database(settings.database_url) as opened:
            secret = serving.first_key(opened)
        if secret:
            typer.echo(f"admin key, shown this once: {secret}")
    serving.serve(settings, lambda address: typer.echo(f"allot serves {settings.shown_url} at {address}"))


def worker(
    database: Url = None,
    workers: Annotated[int, typer.Option(min=0, max=16, help="Jobs at the same time.")] = 1,
) -> None:
    """Do jobs, waves on the timer, and what the clock asks for, beside any number of serving processes (PostgreSQL)."""
    from api import serving
    from solver.refusal import Refusal

    settings = _settings(database_url=database)
    if settings.embedded:
        why = "has one writer, the process that serves it: it does its jobs and waves itself"
        raise Refusal(settings.shown_url, why, "embedded")
    serving.check_current(settings)
    serving.work(settings, workers, lambda: typer.echo(f"allot works on {settings.shown_url}"))


def migrate(database: Url = None, json: Json = False) -> None:
    """Bring a database to the schema of this version."""
    from api import serving, show
    from engine.migrations import newest, revision_of, upgrade

    settings = _settings(database_url=database)
    before = serving.reached(lambda: revision_of(settings.database_url), settings)
    if before != newest():
        serving.reached(lambda: upgrade(settings.database_url), settings)
    if json:
        show.as_json({"database": settings.shown_url, "before": before, "schema": newest()})
    else:
        _say(f"{settings.shown_url} is at schema {newest()}" + (", as before" if before == newest() else ""))


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Backup to write.", show_default=False)],
    database: Url = None,
    json: Json = False,
) -> None:
    """Write one state of the database into one file, while others write on."""
    from api import backup as backups
    from api import outputs, serving, show
    from api.http.service import now

    settings = _settings(database_url=database)
    outputs.check_file(file)
    serving.check_current(settings)
    rows = backups.back_up(settings, now(), file)
    if json:
        show.as_json({"file": str(file), "rows": rows})
    else:
        _say(f"{sum(rows.values()):,} rows written to {file}")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Backup to read.", show_default=False)],
    database: Url = None,
    json: Json = False,
) -> None:
    """Bring a backup into an empty database (a PostgreSQL one migrated before), and check its books."""
    from api import backup as backups
    from api import serving, show

    settings = _settings(database_url=database)
    if not settings.embedded:
        serving.check_current(settings)
    rows = backups.restore(settings, file)
    if json:
        show.as_json({"file": str(file), "rows": rows})
    else:
        _say(f"{sum(rows.values()):,} rows restored into {settings.shown_url}")


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what it is for.", show_default=False)],
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="SCOPE", help="operator, planner, engineer, node or admin; may be repeated.", show_default=False
        ),
    ],
    node: Annotated[
        str | None, typer.Option(metavar="NODE", help="The node of its staff (scope node).", show_default=False)
    ] = None,
    database: Url = None,
    json: Json = False,
) -> None:
    """Make an API key, and show it: the only time."""
    from api import keys, show
    from api.http.service import now

    if not name or len(name) > 200 or not name.isprintable():
        from solver.refusal import Refusal

        raise Refusal("NAME", "must be 1 to 200 characters that can be shown", "bad_name")
    with _opened(database) as opened:
        made, secret = opened.write(lambda tx: keys.create(tx, now(), name, scope, node))
    if json:
        show.as_json({**_described(made), "secret": secret})
    else:
        typer.echo(secret)
        _say(f"key {made.id} ({', '.join(sorted(made.scopes))}); it is not shown again")


@keys_app.command("list")
def list_keys(database: Url = None, json: Json = False) -> None:
    """List the API keys, revoked ones too."""
    from api import keys, show

    with _opened(database) as opened, opened.read() as tx:
        found = keys.listed(tx)
    if json:
        show.as_json({"keys": [_described(key) for key in found]})
    else:
        for key in found:
            state = "revoked" if key.revoked_at is not None else "valid"
            show.line(
                f"{key.id}  {state}  {', '.join(sorted(key.scopes))}{f' at {key.node}' if key.node else ''}  {key.name}"
            )


@keys_app.command("revoke")
def revoke_key(
    id: Annotated[str, typer.Argument(metavar="KEY", help="Its id, as key_...", show_default=False)],
    database: Url = None,
    json: Json = False,
) -> None:
    """End an API key; running processes take it for some seconds more."""
    from api import keys, show
    from api.http.service import now

    with _opened(database) as opened:
        key = opened.write(lambda tx: keys.revoke(tx, now(), id))
    if json:
        show.as_json(_described(key))
    else:
        _say(f"key {key.id} is revoked")


def _opened(url: str | None) -> Any:
    """The database, at this version's schema."""
    from api import serving
    from engine.database import Database

    settings = _settings(database_url=url)
    serving.check_current(settings)
    return Database(settings.database_url, settings.connections)


def _described(key: Any) -> dict[str, Any]:
    from api.http.values import moment

    return {
        "id": key.id, "name": key.name, "scopes": sorted(key.scopes), "node": key.node,
        "created_at": moment(key.created_at), "revoked_at": moment(key.revoked_at),
    }  # fmt: skip
