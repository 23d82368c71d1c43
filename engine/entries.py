"""What the catalogue is written with: nodes, SKUs, kits, services, calendars, channels and terms, checked and set-based.

An entry is a whole row as people know it, by id. Putting entries writes what differs, raises the version of each row that it
changes, adds a fact for it, and gives the catalogue another stamp, so that every process reads it again.
"""

import json
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

import holidays
import msgspec
from msgspec import Meta
from sqlalchemy import JSON
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

from engine.calendar import parse_day
from engine.database import Dialect, Rows, Tx, decoded
from engine.facts import CatalogueChanged, Day, Level, Name, Note, short_id
from engine.ledger import write_facts
from engine.network import Currency, Terms, Weekday
from engine.rulebook import rules_of
from solver.files import refusal_of
from solver.problem import MAX_SERVICES
from solver.refusal import Refusal
from solver.wave import Amount, Days, Lat, Lon, Service, problem_of
from solver.wave import Wave as WaveFile

Names = Annotated[tuple[Name, ...], Meta(max_length=1000)]
Region = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
E = TypeVar("E", bound=msgspec.Struct)
CURRENCY = "EUR"
"""What money is of until somebody says something else."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the catalogue as people know it."""

    id: Name


class CalendarEntry(Entry, frozen=True, kw_only=True):
    """When nodes work; closed on these days and on the public holidays of a country (`NL`) or part of one (`US-CA`)."""

    open_weekdays: Annotated[tuple[Weekday, ...], Meta(min_length=1, max_length=7)]
    closed: Annotated[tuple[str, ...], Meta(max_length=10_000)] = ()
    holidays: str | None = None


class NodeEntry(Entry, frozen=True, kw_only=True):
    """A place that holds stock and packs. Whether it is paused is no entry: facts say so (`NodePaused`)."""

    kind: Literal["warehouse", "store"]
    region: Region = ""
    lat: Lat
    lon: Lon
    parcel_cents: Amount = 0
    line_cents: Amount = 0
    unit_cents: Amount = 0
    ready_days: Days = 0
    tags: Names = ()
    calendar: Name
    cut_off_minute: Annotated[int, Meta(ge=0, le=1439)]
    capacity_parcels: Amount | None = None
    capacity_units: Amount | None = None
    overtime_cents: Amount | None = None
    collects: bool = False
    address: Note = ""


class SkuEntry(Entry, frozen=True, kw_only=True):
    """What is sold. With `parts` it is a kit: so many units of each, held together."""

    weight_g: Amount
    requires: Names = ()
    tags: Names = ()
    services: Names | None = None
    unfilled_cents: Amount | None = None
    backorder: bool = True
    presale_limit: Level | None = None
    sale_day: Day | None = None
    parts: Annotated[dict[Name, Annotated[int, Meta(ge=1, le=10_000)]], Meta(max_length=100)] = {}


class ServiceEntry(Entry, frozen=True, kw_only=True):
    """A carrier product with its rate card."""

    zone_km: Annotated[tuple[Annotated[float, Meta(ge=0, le=1e9)], ...], Meta(min_length=1, max_length=120)]
    steps_g: Annotated[tuple[Amount, ...], Meta(min_length=1, max_length=1000)]
    cents: tuple[tuple[Amount, ...], ...]
    over_cents_per_kg: tuple[Amount, ...]
    transit_days: tuple[Days, ...]


class ChannelEntry(Entry, frozen=True, kw_only=True):
    """Where orders come from, and how they are sourced."""

    policy: Name = "cheapest"
    shadow: Name | None = None
    stock_values: bool = True
    review: bool = False
    safety: Annotated[int, Meta(ge=0, le=10**9)] = 0
    rules: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class _Table:
    """Where entries of a kind are kept.

    Attributes
    ----------
    aside
        Fields of the entry that are no columns of the table.
    """

    name: str
    entry: type[Entry]
    aside: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name in self.entry.__struct_fields__ if name not in self.aside)


CALENDARS = _Table("calendar", CalendarEntry)
NODES = _Table("node", NodeEntry)
SKUS = _Table("sku", SkuEntry, aside=("parts",))
CHANNELS = _Table("channel", ChannelEntry)
TABLES = {table.name: table for table in (CALENDARS, NODES, SKUS, CHANNELS)}


def read_entry(data: Mapping[str, Any], kind: type[E], place: str = "") -> E:
    """Read an entry strictly from what a request or a file says.

    Raises
    ------
    Refusal
        Naming the field and what is allowed.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        refusal = refusal_of(error, "")
        where = ".".join(part for part in (place, refusal.place) if part)
        raise Refusal(where, refusal.problem, refusal.code) from None


def touch(tx: Tx) -> None:
    """Give the catalogue another stamp: whoever reads it next reads it anew."""
    tx.run(
        f"INSERT INTO setting (name, value) VALUES ('catalogue', {tx.json(':value')}) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value, version = setting.version + 1",
        value=json.dumps({"stamp": secrets.token_hex(12)}),
    )


def put_calendars(tx: Tx, entries: Sequence[CalendarEntry], at: int, by: str = "") -> int:
    """Write calendars; returns how many differ from what was there."""
    for i, entry in enumerate(entries):
        place = f"calendars[{i}]"
        if len(set(entry.open_weekdays)) < len(entry.open_weekdays):
            raise Refusal(f"{place}.open_weekdays", "names a weekday twice", "duplicate_id")
        for c, text in enumerate(entry.closed):
            try:
                parse_day(text)
            except ValueError as error:
                raise Refusal(f"{place}.closed[{c}]", str(error), "bad_day") from None
        if entry.holidays is not None:
            check_holidays(entry.holidays, f"{place}.holidays")
    return _told(tx, CALENDARS, _upsert(tx, CALENDARS, entries), at, by)


def put_nodes(tx: Tx, entries: Sequence[NodeEntry], at: int, by: str = "") -> int:
    """Write nodes; returns how many differ from what was there."""
    wanted = {entry.calendar for entry in entries}
    known = _known(tx, "calendar", wanted)
    for i, entry in enumerate(entries):
        if entry.calendar not in known:
            raise Refusal(f"nodes[{i}].calendar", f"{entry.calendar!r} is not a calendar here", "dangling_reference")
    return _told(tx, NODES, _upsert(tx, NODES, entries), at, by)


def put_skus(tx: Tx, entries: Sequence[SkuEntry], at: int, by: str = "") -> int:
    """Write SKUs and kits; returns how many differ from what was there."""
    known = _known(tx, "service", {name for entry in entries for name in entry.services or ()})
    for i, entry in enumerate(entries):
        for name in entry.services or ():
            if name not in known:
                raise Refusal(f"skus[{i}].services", f"{name!r} is not a service here", "dangling_reference")
    changed = _upsert(tx, SKUS, entries)
    changed |= _put_parts(tx, entries, changed)
    return _told(tx, SKUS, changed, at, by)


def put_services(tx: Tx, entries: Sequence[ServiceEntry], at: int, by: str = "") -> int:
    """Write services with their rate cards; returns how many differ from what was there."""
    files = [msgspec.convert(msgspec.to_builtins(entry), Service) for entry in entries]
    try:
        problem_of(WaveFile("wave/1", [], [], [], files, []))  # the wave's own reader checks tariffs
    except Refusal as refusal:
        raise Refusal(refusal.place, refusal.problem.replace(" of this wave", ""), refusal.code) from None
    cards = {entry.id: {k: v for k, v in msgspec.to_builtins(entry).items() if k != "id"} for entry in entries}
    _refuse_twice("services", [entry.id for entry in entries])
    changed = _write(tx, "service", ("id", "card"), [{"id": name, "card": cards[name]} for name in sorted(cards)])
    if tx.value("SELECT count(*) FROM service") > MAX_SERVICES:
        raise Refusal("services", f"there are more than {MAX_SERVICES} services now; that many are read", "too_many")
    return _tell(tx, "service", changed, at, by)


def put_channels(tx: Tx, entries: Sequence[ChannelEntry], at: int, by: str = "") -> int:
    """Write channels with their rules; returns how many differ from what was there."""
    for i, entry in enumerate(entries):
        rules_of(entry.rules, f"channels[{i}].rules" if len(entries) > 1 else "rules")
    return _told(tx, CHANNELS, _upsert(tx, CHANNELS, entries), at, by)


def put_terms(tx: Tx, terms: Terms, at: int, by: str = "") -> int:
    """Write what holds for orders that say nothing else."""
    return write_setting(tx, "terms", msgspec.to_builtins(terms), at, by)


def put_currency(tx: Tx, currency: Currency, at: int, by: str = "") -> int:
    """Write the one currency of all money here; once said, or once there are orders, it stays.

    Raises
    ------
    Refusal
        `other_currency`: the money that is here is of another one.
    """
    found = tx.first("SELECT value FROM setting WHERE name = 'currency'")
    there = decoded(found[0])["currency"] if found else CURRENCY
    if there != currency and (found or tx.first("SELECT 1 FROM orders LIMIT 1")):
        raise Refusal("currency", f"{currency!r}, but all money here is {there!r}", "other_currency")
    return write_setting(tx, "currency", {"currency": currency}, at, by)


def change_entry(
    tx: Tx, table: str, entry_id: str, changes: Mapping[str, Any], at: int, *, version: int | None = None, by: str = ""
) -> int:
    """Change some fields of a calendar, node, SKU or channel.

    Parameters
    ----------
    version
        Only if the row has this version (`If-Match`).

    Returns
    -------
    int
        Its version now.

    Raises
    ------
    Refusal
        `unknown_...`, `version_conflict`, or what is wrong with a field.
    """
    kind = TABLES[table]
    found = tx.first(f"SELECT version FROM {table} WHERE id = :id{tx.locking}", id=entry_id)
    if found is None:
        raise Refusal("id", f"{entry_id!r} is not a {table} here", f"unknown_{table}")
    if version is not None and found[0] != version:
        told = f"it has version {found[0]} now, not {version}; read it again"
        raise Refusal("version", told, "version_conflict")
    if changes.get("id", entry_id) != entry_id:
        raise Refusal("id", f"an id stays as it is ({entry_id!r})", "id_is_fixed")
    (now,) = read_entries(tx, table, [entry_id])
    entry = read_entry({**msgspec.to_builtins(now), **changes}, kind.entry)
    try:
        _PUT[table](tx, [entry], at, by)
    except Refusal as refusal:
        raise Refusal(refusal.place.removeprefix(f"{table}s[0]."), refusal.problem, refusal.code) from None
    return int(tx.value(f"SELECT version FROM {table} WHERE id = :id", id=entry_id))


def read_entries(tx: Tx, table: str, ids: Sequence[str] | None = None) -> list[Entry]:
    """Entries as they are, by ascending id; all where no ids are given. Ids that are not there are left out."""
    kind = TABLES[table]
    columns = ", ".join(f"t.{name}" for name in kind.columns)
    source = f"{table} t" if ids is None else f"{{rows}} JOIN {table} t ON t.id = rows.id"
    rows = tx.all(f"SELECT {columns} FROM {source} ORDER BY t.id", None if ids is None else Rows(id=list(ids)))
    json_columns = json_columns_of(table)
    parts = read_parts(tx, ids) if kind is SKUS else {}
    entries = []
    for row in rows:
        said = {
            name: decoded(value) if name in json_columns else value
            for name, value in zip(kind.columns, row, strict=True)
        }
        if parts.get(row[0]):
            said["parts"] = parts[row[0]]
        entries.append(msgspec.convert(said, kind.entry, strict=False))
    return entries


def read_parts(tx: Tx, ids: Sequence[str] | None = None) -> dict[str, dict[str, int]]:
    """What kits are made of, by id."""
    source = "kit_part p JOIN sku k ON k.no = p.kit_no" if ids is None else (
        "{rows} JOIN sku k ON k.id = rows.id JOIN kit_part p ON p.kit_no = k.no"
    )  # fmt: skip
    sql = f"SELECT k.id, s.id, p.units FROM {source} JOIN sku s ON s.no = p.part_no ORDER BY k.id, s.id"
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for kit, part, units in tx.all(sql, None if ids is None else Rows(id=list(ids))):
        found[kit][part] = units
    return dict(found)


def check_holidays(name: str, place: str = "holidays") -> None:
    """Refuse a country, or part of one, whose holidays nobody knows."""
    country, _, part = name.partition("-")
    known = holidays.list_supported_countries(include_aliases=False)
    if country not in known:
        raise Refusal(
            place, f"{name!r} is no country with known holidays; say NL, GB-SCT, US-CA ...", "unknown_country"
        )
    if part and part not in known[country]:
        raise Refusal(place, f"{name!r}: {country} has no part {part!r}; it has {', '.join(known[country]) or 'none'}",
                      "unknown_country")  # fmt: skip


def _put_parts(tx: Tx, entries: Sequence[SkuEntry], changed: dict[str, int]) -> dict[str, int]:
    """Write what kits are made of; returns the SKUs of which only that differs, with their versions."""
    there = read_parts(tx, [entry.id for entry in entries])
    place = {entry.id: f"skus[{i}].parts" for i, entry in enumerate(entries)}
    other = {entry.id: dict(entry.parts) for entry in entries if dict(entry.parts) != there.get(entry.id, {})}
    if not other:
        return {}
    _check_parts(tx, other, place)
    tx.run("DELETE FROM kit_part WHERE kit_no IN (SELECT sku.no FROM {rows} JOIN sku ON sku.id = rows.id)",
           Rows(id=sorted(other)))  # fmt: skip
    rows = [(kit, part, units) for kit, parts in sorted(other.items()) for part, units in sorted(parts.items())]
    if rows:
        kit, part, units = zip(*rows, strict=True)
        tx.run(
            "INSERT INTO kit_part (kit_no, part_no, units) SELECT k.no, p.no, rows.units FROM {rows} "
            "JOIN sku k ON k.id = rows.kit JOIN sku p ON p.id = rows.part",
            Rows(kit=kit, part=part, units=units),
        )
    tx.run("UPDATE sku SET is_kit = rows.is_kit FROM {rows} WHERE sku.id = rows.id",
           Rows(id=sorted(other), is_kit=[bool(other[name]) for name in sorted(other)]))  # fmt: skip
    only = Rows(id=sorted(set(other) - set(changed)))
    return (
        dict(
            tx.all(
                "UPDATE sku SET version = version + 1 WHERE id IN (SELECT rows.id FROM {rows}) RETURNING id, version",
                only,
            )
        )
        if only.size
        else {}
    )


def _check_parts(tx: Tx, other: dict[str, dict[str, int]], place: dict[str, str]) -> None:
    """Refuse kits of kits, of what is not there, and other parts while units of the kit, or stock of it, are about."""
    named = sorted({part for parts in other.values() for part in parts})
    rows = tx.all("SELECT sku.id, sku.is_kit FROM {rows} JOIN sku ON sku.id = rows.id", Rows(id=named)) if named else []
    is_kit = dict(rows)
    for kit, parts in other.items():
        for part in parts:
            if part not in is_kit:
                raise Refusal(f"{place[kit]}.{part}", f"{part!r} is not a SKU here", "unknown_sku")
            if is_kit[part] or other.get(part) or part == kit:
                raise Refusal(f"{place[kit]}.{part}", f"{part!r} is a kit; a kit is made of SKUs", "kit_of_kits")
    ids = Rows(id=sorted(other))
    if tx.locking:  # a line of it that somebody writes meanwhile is waited for, or waits until its parts are known
        tx.all("SELECT sku.no FROM {rows} JOIN sku ON sku.id = rows.id ORDER BY sku.no FOR UPDATE OF sku", ids)
    for problem, code, sql in (
        ("is part of a kit, so it cannot be one", "kit_of_kits",
         "JOIN kit_part p ON p.part_no = sku.no"),
        ("has stock of its own, so it cannot be a kit", "kit_has_stock",
         "JOIN stock s ON s.sku_no = sku.no AND s.on_hand + s.damaged + s.quarantined > 0"),
        ("is in orders that are not shipped yet; its parts stay as they are until then", "kit_in_use",
         "JOIN order_line l ON l.sku_no = sku.no AND l.open + l.allocated + l.released > 0"),
    ):  # fmt: skip
        found = tx.first(f"SELECT sku.id FROM {{rows}} JOIN sku ON sku.id = rows.id {sql} LIMIT 1", ids)
        if found and (other[found[0]] or code == "kit_in_use"):
            raise Refusal(place[found[0]], f"{found[0]!r} {problem}", code)


def write_setting(tx: Tx, name: str, value: dict[str, Any], at: int, by: str = "") -> int:
    """Write one value for the whole retailer; returns whether it differs from what was there."""
    changed = tx.all(
        f"INSERT INTO setting (name, value) VALUES (:name, {tx.json(':value')}) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value, version = setting.version + 1 "
        "WHERE CAST(setting.value AS text) <> CAST(excluded.value AS text) RETURNING name, version",
        name=name, value=msgspec.json.encode(value).decode(),
    )  # fmt: skip
    return _tell(tx, "setting", dict(changed), at, by)


def read_setting(tx: Tx, name: str, usual: E) -> E:
    """One value for the whole retailer, as it was written; the usual one where nobody has."""
    found = tx.first("SELECT value FROM setting WHERE name = :name", name=name)
    return msgspec.convert(decoded(found[0]), type(usual)) if found else usual


def _upsert(tx: Tx, table: _Table, entries: Sequence[Entry]) -> dict[str, int]:
    _refuse_twice(f"{table.name}s", [entry.id for entry in entries])
    rows = [msgspec.to_builtins(entry) for entry in sorted(entries, key=lambda entry: entry.id)]
    return _write(tx, table.name, table.columns, rows)


def _write(tx: Tx, table: str, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Insert or update whole rows; returns those that differ, with their versions."""
    if not rows:
        return {}
    json_columns = json_columns_of(table)
    values = {
        name: [msgspec.json.encode(row[name]).decode() if name in json_columns else row[name] for row in rows]
        for name in columns
    }
    return dict(tx.all(_upsert_sql(tx.dialect, table, tuple(columns)), Rows(**values)))


@lru_cache
def _upsert_sql(dialect: Dialect, table: str, columns: tuple[str, ...]) -> str:
    kinds = SQLModel.metadata.tables[table].columns
    rest = [name for name in columns if name != "id"]
    json_columns = json_columns_of(table)

    def typed(name: str) -> str:
        if dialect == "sqlite":
            return f"rows.{name}"
        return f"CAST(rows.{name} AS {kinds[name].type.compile(dialect=postgresql.dialect())})"  # type: ignore[no-untyped-call]

    def compared(source: str, name: str) -> str:
        return f"CAST({source}.{name} AS text)" if name in json_columns else f"{source}.{name}"

    differs = "IS DISTINCT FROM" if dialect == "postgresql" else "IS NOT"
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(map(typed, columns))} FROM {{rows}} WHERE true "
        f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in rest)}, "
        f"version = {table}.version + 1 WHERE "
        + " OR ".join(f"{compared(table, name)} {differs} {compared('excluded', name)}" for name in rest)
        + " RETURNING id, version"
    )


@lru_cache
def json_columns_of(table: str) -> frozenset[str]:
    """The columns of a table that hold JSON."""
    columns = SQLModel.metadata.tables[table].columns
    return frozenset(column.name for column in columns if isinstance(column.type, JSON))


def _known(tx: Tx, table: str, ids: Iterable[str]) -> set[str]:
    wanted = sorted(ids)
    if not wanted:
        return set()
    return {row[0] for row in tx.all(f"SELECT t.id FROM {{rows}} JOIN {table} t ON t.id = rows.id", Rows(id=wanted))}


def _refuse_twice(place: str, ids: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for i, name in enumerate(ids):
        if name in seen:
            raise Refusal(f"{place}[{i}].id", f"{name!r} is already the id of {place}[{seen[name]}]", "duplicate_id")
        seen[name] = i


def _told(tx: Tx, table: _Table, changed: dict[str, int], at: int, by: str) -> int:
    return _tell(tx, table.name, changed, at, by)


def _tell(tx: Tx, table: str, changed: dict[str, int], at: int, by: str) -> int:
    """Add a fact for each row that differs, and let everybody read the catalogue again."""
    if not changed:
        return 0
    facts = [
        CatalogueChanged(id=short_id("cat", table, name, str(version)), at=at, entry=name, table=table, version=version)  # type: ignore[arg-type]
        for name, version in sorted(changed.items())
    ]
    write_facts(tx, facts, by)
    touch(tx)
    return len(changed)


_PUT: dict[str, Any] = {
    "calendar": put_calendars, "node": put_nodes, "sku": put_skus, "channel": put_channels,
}  # fmt: skip
