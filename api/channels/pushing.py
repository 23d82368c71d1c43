"""Connections are told what has left of their orders, and what they may sell: no faster than they allow.

Nothing here happens within a transaction. A connection is taken for minutes; what has changed is counted; then it is told, by a
key that is the same for the same change; then it is written down what it has. Whoever dies in between has told it, or has not: the
next one tells it again.
"""

import asyncio
from collections.abc import Callable, Sequence

import httpx

from api.channels import Answer, Level, Told, channel_of
from api.channels.hearing import open_connection
from api.http.telemetry import log
from api.vault import Vault
from api.webhooks.guard import Guard
from engine import channel_parcels
from engine.connections import Connection, get_connection
from engine.database import Database, Unavailable
from engine.facts import short_id
from engine.levels import Change, changes, due, lease, not_told, told
from solver.refusal import Refusal

SECONDS = 10.0
"""What an answer may take."""
MOST_ROUNDS = 1000


class Guarded(httpx.HTTPTransport):
    """Goes where a guard allows: the addresses of a name are looked at once for each call, which goes to one of these.

    No connection is used twice: it is made to an address, and many shops are at one, each with a certificate of its own.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__(limits=httpx.Limits(max_keepalive_connections=0))
        self._guard = guard

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        addresses = asyncio.run(self._guard.addresses_of(request.url))
        request.extensions = {**request.extensions, "sni_hostname": request.url.raw_host.decode()}
        for address in addresses[:-1]:
            request.url = request.url.copy_with(host=address)
            try:
                return super().handle_request(request)
            except httpx.ConnectError:
                continue  # another address of the same host may answer
        request.url = request.url.copy_with(host=addresses[-1])
        return super().handle_request(request)


def make_client(guard: Guard) -> httpx.Client:
    """A client that waits for nobody long, and goes nowhere that it was not sent, nor into networks of our own."""
    return httpx.Client(timeout=SECONDS, follow_redirects=False, transport=Guarded(guard))


def push_due(
    database: Database, vault: Vault, clock: Callable[[], int], client: httpx.Client, over: Callable[[], bool] = bool
) -> int:
    """Tell every connection that is due what has changed, until nothing is left or it wants a rest; how many items were told.

    Parameters
    ----------
    over
        Whether to end.
    """
    with database.read() as tx:
        found = due(tx, clock())
    count = 0
    for id in found:
        for _ in range(MOST_ROUNDS):
            if over():
                return count
            more = push_once(database, vault, id, clock, client)
            count += more
            if not more:
                break
    return count


def push_once(database: Database, vault: Vault, id: str, clock: Callable[[], int], client: httpx.Client) -> int:
    """Tell a connection some of what has changed; how many items were told, or are known better now."""
    at = clock()
    connection = database.write(lambda tx: lease(tx, id, at))
    if connection is None:
        return 0
    try:
        return _push(database, vault, connection, clock, client)
    except Unavailable:
        raise
    except Exception as error:
        problem = _why(error, id)
    log.warning("connection not told", connection=id, why=problem)
    database.write(lambda tx: not_told(tx, connection, problem, clock()))
    return 0


def ship_due(
    database: Database, vault: Vault, clock: Callable[[], int], client: httpx.Client, over: Callable[[], bool] = bool
) -> int:
    """Tell channels of the parcels of their orders that have left; how many were told."""
    with database.read() as tx:
        if not channel_parcels.is_to_follow(tx):
            return 0
    while not over() and database.write(lambda tx: channel_parcels.follow(tx, clock())):
        pass
    with database.read() as tx:
        found = channel_parcels.due(tx, clock())
    count, rests = 0, set[str]()
    for no, connection in found:
        if connection not in rests and not over():
            done = _ship(database, vault, no, clock, client)
            count += done is True
            rests |= {connection} if done is None else set()
    return count


def _ship(database: Database, vault: Vault, no: int, clock: Callable[[], int], client: httpx.Client) -> bool | None:
    """Tell of a parcel, and whether that was done; nothing where its channel is to be left alone for now."""
    left = database.write(lambda tx: channel_parcels.lease(tx, no, clock()))
    if left is None:
        return False
    answer, problem = Answer(), ""
    try:
        with database.read() as tx:
            connection = get_connection(tx, left.connection)
        if left.lines:
            answer = channel_of(connection.kind).ship(client, open_connection(vault, connection), left)
    except Unavailable:
        raise
    except Exception as error:
        problem = _why(error, left.connection)
        log.warning("parcel not told", connection=left.connection, consignment=left.id, why=problem)
    wait = int(1000 * answer.wait)
    database.write(
        lambda tx: channel_parcels.settle(tx, left, clock(), refused=answer.refused, problem=problem, wait=wait)
    )
    return None if problem or wait else not answer.refused


def _why(error: Exception, connection: str) -> str:
    """Why something could not be told."""
    match error:
        case Refusal():
            return str(error)
        case httpx.HTTPStatusError():
            return f"it answers {error.response.status_code}"
        case httpx.HTTPError():
            return f"it does not answer: {type(error).__name__}"
    log.error("bug", connection=connection, exc_info=error)
    return f"something went wrong here: {type(error).__name__}"


def _push(
    database: Database, vault: Vault, connection: Connection, clock: Callable[[], int], client: httpx.Client
) -> int:
    channel = channel_of(connection.kind)
    with database.read() as tx:
        found = changes(tx, connection, clock(), channel.TOGETHER)
    came = Told()
    if found:
        levels = [Level(one.external_sku, one.ref, one.units, one.before) for one in found]
        came = channel.push(client, open_connection(vault, connection), levels, _key(connection, found))
    wait = int(1000 * came.wait)
    noted = database.write(lambda tx: told(tx, connection, found, came.there, came.refused, clock(), wait))
    return len(came.there) + len(came.refused) if noted else 0


def _key(connection: Connection, found: Sequence[Change]) -> str:
    """A name for this change: the same for as long as it was not told."""
    said = [f"{one.external_sku} {one.units} {one.before} {one.before_at}" for one in found]
    return short_id("chn", connection.id, "levels", *said)
