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
MOST_ACCOUNTS = 1_000_000
"""Orders of a reconciliation."""
export_app = typer.Typer(name="export", help="Write out what happened.", no_args_is_help=True)
privacy_app = typer.Typer(name="privacy", help="Show and erase what is known of a person.", no_args_is_help=True)
keys_app = typer.Typer(name="keys", help="Make, list and revoke API keys.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (serve, worker, migrate, fsck, backup, restore, papers, reconcile):
        app.command()(command)
    app.command("load-sample")(load_a_sample)
    app.add_typer(keys_app)
    app.add_typer(privacy_app)
    app.add_typer(export_app)


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
    found = _findings(settings)
    if json:
        show.as_json({"file": str(file), "rows": rows, "ok": not found, "findings": found})
    else:
        _say(f"{sum(rows.values()):,} rows restored into {settings.shown_url}")
    _end_by(found, json)


def fsck(database: Url = None, json: Json = False) -> None:
    """Check that all books balance: stock is its movements, claims are reserved, every unit is somewhere. Exit 1 if not."""
    from api import serving, show

    settings = _settings(database_url=database)
    serving.check_current(settings)
    found = _findings(settings)
    if json:
        show.as_json({"ok": not found, "findings": found})
    elif not found:
        show.line("all books balance")
    _end_by(found, json)


def _findings(settings: "Settings") -> list[str]:
    from engine.books import fsck as proven
    from engine.database import Database

    with Database(settings.database_url, settings.connections) as opened, opened.read() as tx:
        return [str(finding) for finding in proven(tx)]


def _end_by(found: list[str], json: bool) -> None:
    """Name what does not balance, and end with the exit code that says so."""
    from api import show

    if not json:
        for finding in found:
            show.line(finding)
    if found:
        raise typer.Exit(1)


def papers(
    consignment: Annotated[str, typer.Argument(metavar="CONSIGNMENT", help="Its id, as con_...", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to write to.", show_default=False)],
    prices: Annotated[bool, typer.Option("--prices", help="Name prices on the packing slip.")] = False,
    database: Url = None,
    json: Json = False,
) -> None:
    """Print the packing slip of a consignment, and its label if it has one, as PDF."""
    from api import outputs, show
    from api.carriers.calls import Calls
    from api.http.service import now
    from api.papers import Letters, print_packing_slip
    from engine.carrying import read_load
    from engine.entries import CURRENCY
    from engine.labels import live
    from engine.reads import currency
    from engine.shipping import read_shipping

    settings = _settings(database_url=database)
    with _opened(settings.database_url) as opened:
        with opened.read() as tx:
            load, terms, money = read_load(tx, consignment), read_shipping(tx), currency(tx) or CURRENCY
            label = live(tx, consignment)
        made = {
            "packing-slip": print_packing_slip(
                load, terms, Letters(settings.more_fonts), currency=money if prices else None
            )
        }
        if label is not None and label.state == "made":
            made["label"] = Calls(opened, now).paper(consignment, Letters(settings.more_fonts))
    folder = outputs.make_folder(out)
    files = []
    for name, paper in made.items():
        files.append(folder / f"{name}.pdf")
        files[-1].write_bytes(paper)
    if json:
        show.as_json({"consignment": consignment, "files": [str(file) for file in files]})
    else:
        _say(f"{' and '.join(str(file) for file in files)} written")


def reconcile(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="Orders placed from this day on.")] = "1970-01-01",
    until: Annotated[str, typer.Option("--to", metavar="DAY", help="Orders placed before this day.")] = "2100-01-01",
    unbalanced: Annotated[bool, typer.Option("--unbalanced", help="Only orders that do not balance.")] = False,
    database: Url = None,
    json: Json = False,
) -> None:
    """Compare what was captured, refunded, shipped, returned, invoiced and credited of each order. Exit 1 if any is amiss."""
    from dataclasses import asdict

    from api import show
    from api.http.routes.payments import as_csv
    from api.moments import read_day
    from engine.calendar import MS_PER_DAY
    from engine.reconciliation import reconcile as reconciled
    from engine.reconciliation import totals
    from solver.refusal import Refusal

    moments = []
    for option, said in (("--from", first), ("--to", until)):
        try:
            moments.append(read_day(said) * MS_PER_DAY)
        except ValueError as error:
            raise Refusal(option, f"{said!r} {error}", "bad_option") from None
    with _opened(database) as opened, opened.read() as tx:
        found = reconciled(tx, moments[0], moments[1], limit=MOST_ACCOUNTS)
    wrong = [one for one in found if one.unbalanced]
    shown = wrong if unbalanced else found
    if json:
        show.as_json({"accounts": [asdict(one) for one in shown], "totals": totals(shown)})
    else:
        typer.echo(as_csv(shown), nl=False)
    if wrong:
        raise typer.Exit(1)


def load_a_sample(
    database: Url = None,
    orders: Annotated[int, typer.Option(min=1, max=1_000_000, help="Orders.")] = 3000,
    skus: Annotated[int, typer.Option(min=10, max=100_000, help="SKUs.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed makes the same shop.")] = 0,
    json: Json = False,
) -> None:
    """Put a made-up shop into the database: nodes, catalogue, stock, and orders that wait for a wave. Twice is once."""
    from dataclasses import asdict

    from api import serving, show
    from api.http.service import now
    from api.progress import counting
    from engine.database import Database
    from simulation.sample import load_sample

    settings = _settings(database_url=database)
    serving.prepare(settings)
    with (
        Database(settings.database_url, settings.connections) as opened,
        counting("loading") as progress,
    ):
        loaded = load_sample(
            opened, now(), seed=seed, orders=orders, skus=skus,
            told=lambda done, total: progress("loading orders", done, total),
        )  # fmt: skip
    if json:
        show.as_json(asdict(loaded))
    else:
        _say(
            f"{loaded.nodes} nodes, {loaded.skus:,} SKUs, {loaded.stock_units:,} units and {loaded.orders:,} orders "
            f"({loaded.new:,} new, {loaded.refused:,} refused) are in {settings.shown_url}"
        )


@export_app.command("history")
def export_past(
    out: Annotated[Path, typer.Option(metavar="HISTORY", help="Folder to write.", show_default=False)],
    database: Url = None,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="csv or parquet.")] = "csv",
    json: Json = False,
) -> None:
    """Write what happened as a history that `allot replay` reads. Nothing personal is in it."""
    from api import outputs, serving, show
    from api.http.service import now
    from api.progress import counting
    from engine.database import Database
    from simulation.export import export_history
    from solver.refusal import Refusal

    if form not in ("csv", "parquet"):
        raise Refusal("--format", f"{form!r} is neither csv nor parquet", "bad_option")
    settings = _settings(database_url=database)
    serving.check_current(settings)
    folder = outputs.make_folder(out)
    with (
        Database(settings.database_url, settings.connections) as opened,
        opened.read() as tx,
        counting("exporting") as progress,
    ):
        history = export_history(
            tx, folder, now(), tables="parquet" if form == "parquet" else "csv",
            told=lambda orders: progress("exporting orders", orders, 0),
        )  # fmt: skip
    if json:
        show.as_json({"folder": str(folder), "orders": history.orders})
    else:
        _say(f"{history.orders:,} orders written to {folder}")


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


Recipient = Annotated[str, typer.Argument(metavar="RECIPIENT", help="Their id.", show_default=False)]


@privacy_app.command("export")
def export_person(recipient: Recipient, database: Url = None) -> None:
    """Show all that is known of a recipient, as one JSON object of rows by table."""
    from api import show
    from engine import privacy

    with _opened(database) as opened, opened.read() as tx:
        show.as_json({"recipient": recipient, "tables": privacy.export(tx, recipient)})


@privacy_app.command("erase")
def erase_person(recipient: Recipient, database: Url = None, json: Json = False) -> None:
    """Forget everything personal about a recipient, and write over where it was. Orders keep the id."""
    from api import show
    from api.http.service import now
    from engine import privacy
    from engine.facts import RecipientErased, short_id

    at = now()
    fact = RecipientErased(id=short_id("end", "erased", recipient, str(at)), at=at, recipient=recipient)
    with _opened(database) as opened:
        opened.write(lambda tx: privacy.erase(tx, fact))
        swept = privacy.sweep(opened)
    if json:
        show.as_json({"recipient": recipient, "fact": fact.id, "swept": swept})
    else:
        _say("everything personal about this recipient is forgotten")
        if not swept:
            _say(
                "the files still have it, as somebody reads what was there before; a service sweeps them within an hour or two"
            )


@privacy_app.command("due")
def list_due(
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Not those of the setting `retention`.", show_default=False)
    ] = None,
    database: Url = None,
    json: Json = False,
) -> None:
    """List the first thousand people who would be erased by age. Nobody is erased by this."""
    from api import show
    from api.http.service import now
    from api.moments import moment
    from engine import privacy

    with _opened(database) as opened, opened.read() as tx:
        wanted = privacy.retention_of(tx).days if days is None else days
        found = [] if wanted is None else privacy.due(tx, now(), wanted, limit=1000)
    if json:
        show.as_json({"due": [{"recipient": one.recipient, "last_at": moment(one.last_at)} for one in found]})
    else:
        for one in found:
            show.line(f"{one.recipient}  last {moment(one.last_at)}")


def _opened(url: str | None) -> Any:
    """The database, at this version's schema."""
    from api import serving
    from engine.database import Database

    settings = _settings(database_url=url)
    serving.check_current(settings)
    return Database(settings.database_url, settings.connections)


def _described(key: Any) -> dict[str, Any]:
    from api.moments import moment

    return {
        "id": key.id, "name": key.name, "scopes": sorted(key.scopes), "node": key.node,
        "created_at": moment(key.created_at), "revoked_at": moment(key.revoked_at),
    }  # fmt: skip
