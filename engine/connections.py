"""Connections to shops elsewhere: what they are, what they call our SKUs, and where their postal areas are.

A connection sells on one channel of ours. What it signs with is kept sealed: only `api` can read it.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from engine.database import Rows, Tx, decoded
from engine.facts import CatalogueChanged, Cents, Lat, Lon, MaxParcels, Name, Note, Place, Priority, short_id
from engine.ledger import write_facts
from engine.reads import row_as
from solver.refusal import Refusal

MOST_TOGETHER = 10_000
"""Items or postal areas that are written at once."""
Area = Annotated[str, Meta(max_length=20, pattern=r"^[A-Z0-9]*\Z")]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")]
Kind = Annotated[str, Meta(max_length=50, pattern=r"^[a-z][a-z0-9_-]*\Z")]
Days = Annotated[int, Meta(ge=0, le=365)]


class ServiceTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for orders of a way of shipping; as for all other orders where nothing is said."""

    promise_days: Days | None = None
    late_cents: Cents | None = None
    priority: Priority = 0


class Arrangement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection's words mean here.

    Attributes
    ----------
    usual, services
        Terms of orders, and of those of a way of shipping, by what the connection calls it.
    pickup
        The node where customers collect, by what the connection calls the place.
    options
        What its kind needs besides, by name (`api.channels`).
    """

    usual: ServiceTerms = ServiceTerms()
    services: Annotated[dict[Name, ServiceTerms], Meta(max_length=1000)] = {}
    pickup: Annotated[dict[Name, Name], Meta(max_length=10_000)] = {}
    max_parcels: MaxParcels | None = None
    ship_complete: bool = False
    options: Annotated[dict[Name, Note], Meta(max_length=100)] = {}

    def terms(self, service: str) -> ServiceTerms:
        """The terms of a way of shipping."""
        return self.services.get(service, self.usual)


class ConnectionEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A connection as people know it."""

    id: Name
    kind: Kind
    channel: Name
    account: Name
    arrangement: Arrangement = Arrangement()
    active: bool = True


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as it is, and how telling it levels goes. `secrets` are sealed."""

    id: str
    kind: str
    channel: str
    account: str
    secrets: str
    arrangement: Arrangement
    active: bool
    push_at: int
    push_tries: int
    push_problem: str
    version: int


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection calls a SKU. `ref` is what it is told levels by, as its kind has it."""

    external_sku: Name
    sku: Name
    ref: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = ""


class ItemSeen(msgspec.Struct, kw_only=True):
    """An item, and what the connection was last told that it may sell of it."""

    external_sku: str
    sku: str
    ref: str
    pushed: int | None
    pushed_at: int | None
    problem: str


class AreaEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a postal area is, about; the area '' is the whole country."""

    country: Country
    area: Area
    lat: Lat
    lon: Lon
    region: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = ""


_COLUMNS = ", ".join(Connection.__struct_fields__)


def put_connection(tx: Tx, entry: ConnectionEntry, at: int, by: str = "", secrets: str | None = None) -> int:
    """Make a connection, or make it another one.

    Parameters
    ----------
    secrets
        Sealed; those that it has where nothing is said.

    Returns
    -------
    int
        Its version now.

    Raises
    ------
    Refusal
        `unknown_channel`; `channel_taken` where another connection sells on it; `kind_is_fixed`; `unknown_node`.
    """
    there = tx.first(f"SELECT {_COLUMNS} FROM connection WHERE id = :id{tx.locking}", id=entry.id)
    _check(tx, entry, None if there is None else _connection(there))
    values: dict[str, Any] = {
        "kind": entry.kind, "channel": entry.channel, "account": entry.account, "active": entry.active,
        "arrangement": msgspec.json.encode(entry.arrangement).decode(),
    }  # fmt: skip
    if there is None:
        values["secrets"] = secrets or ""
        names = ", ".join(values)
        given = ", ".join(_given(tx, name) for name in values)
        tx.run(f"INSERT INTO connection (id, {names}) VALUES (:id, {given})", id=entry.id, **values)
        version = 1
    else:
        if secrets is not None:
            values["secrets"] = secrets
        version = _update(tx, entry.id, values)
    _tell(tx, entry.id, version, at, by)
    return version


def put_secrets(tx: Tx, id: str, secrets: str, at: int, by: str = "") -> int:
    """Give a connection other secrets (sealed); its version now."""
    version = _update(tx, id, {"secrets": secrets})
    _tell(tx, id, version, at, by)
    return version


def _tell(tx: Tx, id: str, version: int, at: int, by: str) -> None:
    fact_id = short_id("cat", "connection", id, str(version))
    write_facts(tx, [CatalogueChanged(id=fact_id, at=at, entry=id, table="connection", version=version)], by)


def _update(tx: Tx, id: str, values: Mapping[str, Any]) -> int:
    sets = ", ".join(f"{name} = {_given(tx, name)}" for name in values)
    found = tx.first(f"UPDATE connection SET {sets}, version = version + 1 WHERE id = :id RETURNING version",
                     id=id, **values)  # fmt: skip
    assert found is not None, "it is locked"
    return int(found[0])


def _given(tx: Tx, name: str) -> str:
    """The parameter of a column."""
    return tx.json(f":{name}") if name == "arrangement" else f":{name}"


def _check(tx: Tx, entry: ConnectionEntry, there: Connection | None) -> None:
    if there is not None and there.kind != entry.kind:
        raise Refusal("kind", f"connection {entry.id!r} is of kind {there.kind!r}, and stays so", "kind_is_fixed")
    if tx.first("SELECT 1 FROM channel WHERE id = :id", id=entry.channel) is None:
        raise Refusal("channel", f"there is no channel {entry.channel!r}", "unknown_channel")
    moved = there is not None and there.channel != entry.channel
    if moved and tx.first("SELECT 1 FROM channel_order WHERE connection = :id LIMIT 1", id=entry.id) is not None:
        raise Refusal("channel", "has orders of this connection already: it stays", "channel_is_fixed")
    taken = tx.first("SELECT id FROM connection WHERE channel = :channel AND id <> :id",
                     channel=entry.channel, id=entry.id)  # fmt: skip
    if taken is not None:
        raise Refusal("channel", f"connection {taken[0]!r} sells on {entry.channel!r} already", "channel_taken")
    nodes = sorted(set(entry.arrangement.pickup.values()))
    if not nodes:
        return
    collects = dict(tx.all("SELECT n.id, n.collects FROM {rows} JOIN node n ON n.id = rows.id", Rows(id=nodes)))
    for name, node in entry.arrangement.pickup.items():
        if node not in collects:
            raise Refusal(f"arrangement.pickup.{name}", f"there is no node {node!r}", "unknown_node")
        if not collects[node]:
            raise Refusal(
                f"arrangement.pickup.{name}", f"customers may not collect at {node!r}", "node_does_not_collect"
            )


def get_connection(tx: Tx, id: str, *, lock: bool = False) -> Connection:
    """A connection.

    Raises
    ------
    Refusal
        `unknown_connection`.
    """
    found = tx.first(f"SELECT {_COLUMNS} FROM connection WHERE id = :id{tx.locking if lock else ''}", id=id)
    if found is None:
        raise Refusal("connection", f"there is no connection {id!r}", "unknown_connection")
    return _connection(found)


def connections(tx: Tx) -> list[Connection]:
    """Every connection, by id."""
    return [_connection(row) for row in tx.all(f"SELECT {_COLUMNS} FROM connection ORDER BY id")]


def _connection(row: Sequence[Any]) -> Connection:
    said = dict(zip(Connection.__struct_fields__, row, strict=True))
    said["arrangement"] = msgspec.convert(decoded(said["arrangement"]), Arrangement)
    return Connection(**{**said, "active": bool(said["active"])})


# --- what it calls our SKUs -----------------------------------------------------------------------------------------


def put_items(tx: Tx, connection: str, items: Sequence[Item]) -> int:
    """Say what a connection calls SKUs; what is told another level by than before is told anew. How many there are.

    Raises
    ------
    Refusal
        `unknown_connection`, `unknown_sku`, or `duplicate_id`.
    """
    get_connection(tx, connection, lock=True)
    known = dict(tx.all("SELECT s.id, s.no FROM {rows} JOIN sku s ON s.id = rows.id",
                        Rows(id=sorted({item.sku for item in items}))))  # fmt: skip
    first: dict[str, int] = {}
    for i, item in enumerate(items):
        if item.sku not in known:
            raise Refusal(f"items[{i}].sku", f"there is no SKU {item.sku!r}", "unknown_sku")
        if first.setdefault(item.external_sku, i) != i:
            told = f"{item.external_sku!r} is named by items[{first[item.external_sku]}] already"
            raise Refusal(f"items[{i}].external_sku", told, "duplicate_id")
    same = "channel_item.ref = excluded.ref AND channel_item.sku_no = excluded.sku_no"
    return tx.run(
        "INSERT INTO channel_item (connection, external_sku, sku_no, ref) "
        "SELECT :connection, external_sku, sku_no, ref FROM {rows} WHERE true ORDER BY external_sku "
        "ON CONFLICT (connection, external_sku) DO UPDATE SET sku_no = excluded.sku_no, ref = excluded.ref, "
        f"pushed = CASE WHEN {same} THEN channel_item.pushed END, retry_at = 0, problem = ''",
        Rows(
            external_sku=[item.external_sku for item in items],
            sku_no=[known[item.sku] for item in items],
            ref=[item.ref for item in items],
        ),
        connection=connection,
    )


def items(tx: Tx, connection: str, after: str, limit: int) -> list[ItemSeen]:
    """Items of a connection, by what it calls them."""
    get_connection(tx, connection)
    rows = tx.all(
        "SELECT i.external_sku, s.id, i.ref, i.pushed, i.pushed_at, i.problem FROM channel_item i "
        "JOIN sku s ON s.no = i.sku_no WHERE i.connection = :connection AND i.external_sku > :after "
        "ORDER BY i.external_sku LIMIT :limit",
        connection=connection, after=after, limit=limit,
    )  # fmt: skip
    return [row_as(ItemSeen, row) for row in rows]


def skus_of(tx: Tx, connection: str, external_skus: Sequence[str]) -> dict[str, str]:
    """Our SKUs by what a connection calls them: as it was said, else the SKU of that name, if there is one."""
    wanted = Rows(id=sorted(set(external_skus)))
    if not wanted.size:
        return {}
    named = dict(tx.all("SELECT s.id, s.id FROM {rows} JOIN sku s ON s.id = rows.id", wanted))
    said = tx.all(
        "SELECT i.external_sku, s.id FROM {rows} JOIN channel_item i ON i.external_sku = rows.id "
        "JOIN sku s ON s.no = i.sku_no WHERE i.connection = :connection",
        wanted,
        connection=connection,
    )
    return named | dict(said)


# --- where places are -----------------------------------------------------------------------------------------------


def put_areas(tx: Tx, areas: Sequence[AreaEntry]) -> int:
    """Say where postal areas are; how many there are."""
    names = AreaEntry.__struct_fields__
    last = {(area.country, area.area): area for area in areas}
    return tx.run(
        f"INSERT INTO postal_area ({', '.join(names)}) SELECT {', '.join(names)} FROM {{rows}} WHERE true "
        "ORDER BY country, area ON CONFLICT (country, area) DO UPDATE "
        "SET lat = excluded.lat, lon = excluded.lon, region = excluded.region",
        Rows(**{name: [getattr(last[key], name) for key in sorted(last)] for name in names}),
    )


def areas(tx: Tx, after: tuple[str, str], limit: int) -> list[AreaEntry]:
    """Postal areas, by country and area."""
    rows = tx.all(
        "SELECT country, area, lat, lon, region FROM postal_area WHERE (country, area) > (:country, :area) "
        "ORDER BY country, area LIMIT :limit",
        country=after[0], area=after[1], limit=limit,
    )  # fmt: skip
    return [row_as(AreaEntry, row) for row in rows]


def find_area(tx: Tx, country: str, area: str) -> Place | None:
    """Where a postal area is: by the longest beginning of it that is known; nothing where not even its country is."""
    beginnings = [area[:length] for length in range(len(area) + 1)]
    found = tx.first(
        "SELECT p.lat, p.lon, p.region FROM {rows} JOIN postal_area p ON p.area = rows.area "
        "WHERE p.country = :country ORDER BY LENGTH(p.area) DESC LIMIT 1",
        Rows(area=beginnings),
        country=country,
    )
    return None if found is None else Place(lat=found[0], lon=found[1], region=found[2] or country)
