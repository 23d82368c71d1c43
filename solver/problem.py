"""The question: open lines, where each could come from, and what everything costs, as frozen columns.

Tables are columns that share a prefix (`node_`, `service_`, `order_`, `line_`, `dest_`, `option_`, `row_`); a row of a table is
an index. Money is integer cents, weight integer grams, time integer days. The wave file is one loader (`solver.wave`).
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
from numba import types
from numba.experimental import structref
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Shorts = NDArray[np.int32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NO_LIMIT = 2**61
"""A capacity or a number of parcels that never binds."""
HARD = -1
"""`node_overtime_cents` of a node that makes no parcel above its capacity."""
NO_SERVICE = -1
"""A lane without that service, and the service of a parcel that is collected where it is picked."""
DELIVERED = -1
"""`dest_node` of a destination that is an address, not a node."""
BROKEN_PROMISE_CENTS = 1_000_000_00
"""What leaving one must-fill unit open adds to its own penalty, so that a promise is broken only where nothing else is possible."""
EXACT_CENTS = 2**53
"""Sums of money stay below this, so that whole cents are exact in floating point."""
MAX_SERVICES = 62
"""Services of one problem: a set of them is the bits of one integer."""


@structref.register
class _ColumnsType(types.StructRef):
    """How the kernels know the columns: one reference, where a tuple would be two hundred arguments to every call."""


class Columns(structref.StructRefProxy):
    """What the kernels read: the numeric columns of a problem, without its names."""

    node_parcel_cents: Ints
    node_line_cents: Ints
    node_ready_days: Ints
    node_overtime_cents: Ints
    sku_weight_g: Ints
    sku_services: Ints
    service_steps: Ints
    service_steps_g: Ints
    service_cents: Ints
    service_over_cents: Ints
    service_transit_days: Ints
    service_merges_g: Ints
    order_line_start: Ints
    order_dest_start: Ints
    order_promise_days: Ints
    order_late_cents: Ints
    order_max_parcels: Ints
    order_ship_complete: Bools
    dest_node: Ints
    line_sku: Ints
    line_qty: Ints
    line_open_cents: Ints
    line_option_start: Ints
    option_node: Shorts
    option_row: Shorts
    option_use: Shorts
    option_cents: Ints
    option_reason: NDArray[np.uint8]
    lane_zone: NDArray[np.int8]

    def __new__(cls, *columns: NDArray[Any]) -> "Columns":
        """Hand the columns to the kernels."""
        made: Columns = structref.StructRefProxy.__new__(cls, *columns)  # type: ignore[no-untyped-call]
        return made


_COLUMN_NAMES = tuple(Columns.__annotations__)
structref.define_proxy(Columns, _ColumnsType, list(_COLUMN_NAMES))  # type: ignore[no-untyped-call]


@dataclass(frozen=True, eq=False)
class Problem:
    """One joint decision: J nodes, M services, K SKUs, O orders, L lines, D destinations, Q options, R resource rows.

    Built once, checked once, then read-only; a what-if is `dataclasses.replace`.

    Attributes
    ----------
    node_id, service_id, sku_id, order_id
        The names people use.
    node_parcel_cents, node_line_cents, node_unit_cents
        (J,) handling: opening a parcel, picking a line, picking a unit.
    node_ready_days
        (J,) days before the carrier takes it or the customer can collect it.
    node_capacity_parcels, node_overtime_cents
        (J,) parcels that the node makes (`NO_LIMIT`), and the price of each above that (`HARD`: none).
    sku_carried
        (K, M) which services may carry a SKU.
    service_zone_km
        (M, Z) upper ends of the distance bands, padded with infinity beyond `service_zones`.
    service_steps_g, service_cents, service_over_cents, service_transit_days
        (M, S), (M, Z, S), (M, Z), (M, Z): tariff steps, cents, cents for each started kg above the last step, transit.
    order_line_start, order_dest_start
        (O + 1,) the lines and the alternative destinations of an order are contiguous.
    dest_node
        (D,) the node where the order is collected, or `DELIVERED`. An order is served at exactly one of its destinations.
    line_must_fill
        (L,) a promise already made: see `BROKEN_PROMISE_CENTS`.
    line_option_start
        (L + 1,) the options of a line are contiguous, by ascending node.
    option_row, option_use
        (Q, W) the resource rows that a unit of the option draws on (-1: none), and how much of each.
    option_unit_cents, option_value_cents
        (Q,) handling of one unit, and what one unit of that stock is worth to orders outside this problem.
    option_reason
        (Q,) 0, or why the node is no option for the line: `reasons[option_reason]`.
    row_limit, row_node, row_sku
        (R,) how much there is; whose stock it is (-1 where the row is not the stock of one node or SKU).
    lane_zone
        (D, J, M) tariff zone from node to destination by service, `NO_SERVICE` where it is not served.
    row_price, node_price
        (R,), (J,) prices to start from (a warm start), in cents; never part of the bill.
    """

    node_id: tuple[str, ...]
    node_is_store: Bools
    node_lat: Floats
    node_lon: Floats
    node_parcel_cents: Ints
    node_line_cents: Ints
    node_unit_cents: Ints
    node_ready_days: Ints
    node_capacity_parcels: Ints
    node_overtime_cents: Ints

    sku_id: tuple[str, ...]
    sku_weight_g: Ints
    sku_carried: Bools

    service_id: tuple[str, ...]
    service_zones: Ints
    service_zone_km: Floats
    service_steps: Ints
    service_steps_g: Ints
    service_cents: Ints
    service_over_cents: Ints
    service_transit_days: Ints

    order_id: tuple[str, ...]
    order_line_start: Ints
    order_dest_start: Ints
    order_promise_days: Ints
    order_late_cents: Ints
    order_max_parcels: Ints
    order_ship_complete: Bools

    dest_node: Ints
    dest_lat: Floats
    dest_lon: Floats

    line_sku: Ints
    line_qty: Ints
    line_unfilled_cents: Ints
    line_must_fill: Bools
    line_option_start: Ints

    option_node: Shorts
    option_row: Shorts
    option_use: Shorts
    option_unit_cents: Ints
    option_value_cents: Ints
    option_reason: NDArray[np.uint8]
    reasons: tuple[str, ...]

    row_limit: Ints
    row_node: Shorts
    row_sku: Shorts

    lane_zone: NDArray[np.int8]
    row_price: Floats
    node_price: Floats

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value = np.ascontiguousarray(value)
                value.setflags(write=False)
                object.__setattr__(self, field.name, value)
        self._check_shapes()
        self._check_values()

    @property
    def nodes(self) -> int:
        return len(self.node_id)

    @property
    def services(self) -> int:
        return len(self.service_id)

    @property
    def orders(self) -> int:
        return len(self.order_id)

    @property
    def lines(self) -> int:
        return len(self.line_sku)

    @property
    def rows(self) -> int:
        return len(self.row_limit)

    @cached_property
    def line_order(self) -> Ints:
        """(L,) the order of each line."""
        return np.repeat(np.arange(self.orders), np.diff(self.order_line_start))

    @cached_property
    def order_grams(self) -> Ints:
        """(O,) the weight of all that an order asks for."""
        grams = self.sku_weight_g[self.line_sku] * self.line_qty
        return np.bincount(self.line_order, weights=grams, minlength=self.orders).astype(np.int64)

    @cached_property
    def line_open_cents(self) -> Ints:
        """(L,) what leaving one unit open costs in the decision, a broken promise included."""
        return self.line_unfilled_cents + np.where(self.line_must_fill, BROKEN_PROMISE_CENTS, 0)

    @cached_property
    def service_merges_g(self) -> Ints:
        """(M, Z) the weight up to which one parcel never costs more than two of the same service that hold the same together.

        Below it a content needs no dearer service than its cheapest: two parcels that then share a lane become one.
        """
        opening = int(self.node_parcel_cents.min()) if self.nodes else 0
        tariffs = (
            self.service_zones,
            self.service_steps,
            self.service_steps_g,
            self.service_cents,
            self.service_over_cents,
        )
        return _merges(opening, self.service_cents.shape, *(column.tobytes() for column in tariffs)).copy()

    @cached_property
    def option_line(self) -> Ints:
        """(Q,) the line of each option."""
        return np.repeat(np.arange(self.lines), np.diff(self.line_option_start))

    @cached_property
    def columns(self) -> Columns:
        """The numeric columns, for the kernels."""
        bits = (1 << np.arange(self.services, dtype=np.int64))[None, :]
        derived: dict[str, Any] = {
            "sku_services": (self.sku_carried * bits).sum(1).astype(np.int64),
            "service_merges_g": self.service_merges_g,
            "option_cents": self.option_unit_cents + self.option_value_cents,
        }
        return Columns(*(derived[name] if name in derived else getattr(self, name) for name in _COLUMN_NAMES))

    @cached_property
    def _option_key(self) -> Ints:
        """(Q,) line and node of each option in one ascending number."""
        return self.option_line * self.nodes + self.option_node

    def find_options(self, line: Ints, node: Ints) -> Ints:
        """Find the option of each (line, node), -1 where there is none.

        Parameters
        ----------
        line, node
            (E,) indices, in any order.
        """
        if len(self.option_node) == 0:
            return np.full(len(line), -1, dtype=np.int64)
        keys = self._option_key
        wanted = np.asarray(line, dtype=np.int64) * self.nodes + node
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, at, -1)

    def priced(self, row_price: Floats, node_price: Floats) -> Self:
        """The same problem with prices to start from."""
        return replace(self, row_price=row_price, node_price=node_price)

    def _check_shapes(self) -> None:
        tables = {
            "node": self.nodes,
            "service": self.services,
            "sku": len(self.sku_id),
            "order": self.orders,
            "dest": len(self.dest_node),
            "line": self.lines,
            "option": len(self.option_node),
            "row": self.rows,
        }
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, np.ndarray) or field.name == "lane_zone":
                continue
            rows = tables[field.name.split("_")[0]] + field.name.endswith("_start")
            assert len(value) == rows, f"{field.name} has {len(value)} rows, not {rows}"
        assert self.lane_zone.shape == (len(self.dest_node), self.nodes, self.services), "lane_zone is not (D, J, M)"
        assert self.option_row.shape == self.option_use.shape, "option_row and option_use differ in shape"
        assert self.services <= MAX_SERVICES, f"{self.services} services, at most {MAX_SERVICES}"
        for start, total in [
            (self.order_line_start, self.lines),
            (self.order_dest_start, len(self.dest_node)),
            (self.line_option_start, len(self.option_node)),
        ]:
            assert start[0] == 0, "a start column begins at 0"
            assert start[-1] == total, "a start column ends at the length of its table"
            assert (np.diff(start) >= 0).all(), "a start column never falls"
        assert (np.diff(self.order_dest_start) >= 1).all(), "an order has a destination"

    def _check_values(self) -> None:
        assert (self.line_qty >= 1).all(), "line_qty is at least 1"
        assert (self.order_max_parcels >= 1).all(), "order_max_parcels is at least 1"
        assert (np.diff(self.order_line_start) >= 1).all(), "an order has a line"
        assert (self.row_price >= 0).all(), "row_price is not negative, and a number"
        assert (self.node_price >= 0).all(), "node_price is not negative, and a number"
        assert (self.row_limit >= 0).all(), "row_limit is not negative"
        assert (self.option_use >= 0).all(), "option_use is not negative"
        if len(self.option_row):
            assert self.option_row.max(initial=-1) < self.rows, "option_row names a row that is not there"
            same_line = np.diff(self.option_line) == 0
            assert (np.diff(self.option_node)[same_line] > 0).all(), "options of a line stand by ascending node"
        if self.lane_zone.size:
            assert (self.lane_zone < self.service_zones).all(), "lane_zone names a zone that is not there"


@lru_cache(maxsize=64)
def _merges(
    opening: int, shape: tuple[int, int, int], zones: bytes, steps: bytes, steps_g: bytes, cents: bytes, over: bytes
) -> Ints:
    """`Problem.service_merges_g`: problems of one network, of which there may be one for each order, have it in common."""
    services, bands, longest = shape
    zone_count, step_count = (np.frombuffer(column, dtype=np.int64) for column in (zones, steps))
    upper_g = np.frombuffer(steps_g, dtype=np.int64).reshape(services, longest)
    tariff, over_cents = np.frombuffer(cents, dtype=np.int64).reshape(shape), np.frombuffer(over, dtype=np.int64)
    weight = np.zeros((services, bands), dtype=np.int64)
    for s in range(services):
        upper = upper_g[s, : step_count[s]]
        lower = np.concatenate([[0], upper[:-1]])
        both = upper[:, None] + upper[None, :]
        step = np.minimum(np.searchsorted(upper, both), len(upper) - 1)
        for z in range(int(zone_count[s])):
            step_cents = tariff[s, z, : len(upper)]
            kgs = np.maximum(0, both - upper[-1] + 999) // 1000
            merged = np.where(both <= upper[-1], step_cents[step], step_cents[-1] + kgs * over_cents[s * bands + z])
            dearer = merged > step_cents[:, None] + step_cents[None, :] + opening
            least = (lower[:, None] + lower[None, :])[dearer].min(initial=NO_LIMIT)
            weight[s, z] = min(least, upper[-1])
    return weight
