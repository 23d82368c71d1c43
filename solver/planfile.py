"""The plan file (`plan/1`): read strictly against its problem, and written the same way every time.

`WAVE.md` beside this file describes the format.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from solver.files import read_json, write_bytes
from solver.plan import Plan
from solver.problem import DELIVERED, NO_SERVICE, Floats, Ints, Problem
from solver.refusal import Refusal

Id = Annotated[str, Meta(min_length=1)]
Cents = Annotated[int, Meta(ge=0, le=2**53)]
LineNumber = Annotated[int, Meta(ge=0, le=2**53)]
Units = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Price = Annotated[float, Meta(ge=0, le=2.0**53)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

PRICE_DIGITS = 6
"""Prices are written to a millionth of a cent, as bounds are."""


class Parcel(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    order: Id
    node: Id
    service: Id | None
    lines: list[tuple[LineNumber, Units]]


class Prices(msgspec.Struct, forbid_unknown_fields=True):
    stock: list[tuple[Id, Id, Price]]
    nodes: list[tuple[Id, Price]]


class PlanFile(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A plan as its file has it."""

    format: Literal["plan/1"]
    parcels: list[Parcel]
    pickups: dict[Id, Id]
    cost_cents: Cents
    bound_cents: int | float
    status: Literal["optimal", "feasible"]
    seconds: Annotated[float, Meta(ge=0)]
    policy: str | UnsetType = UNSET
    seed: Seed | UnsetType = UNSET
    prices: Prices | UnsetType = UNSET


def read_plan(path: str | Path, problem: Problem) -> Plan:
    """Read a plan of this problem. Whether it keeps the rules is for `solver.check` to say.

    Raises
    ------
    Refusal
        Naming the place of the first fault: an unknown key, type or id, a line that the order does not have, a line
        twice in one parcel, pickups that do not fit the parcels, or a status that its bound contradicts.
    """
    file = read_json(path, PlanFile)
    _check_status(file)
    order, node, service = _parcel_names(problem, file.parcels)
    entry_start, entry_line, entry_units = _entries(problem, file.parcels, order)
    row_price, node_price = _prices(problem, file.prices, strict=True)
    return Plan(
        parcel_order=order,
        parcel_node=node,
        parcel_service=service,
        parcel_dest=_dests(problem, order, file.pickups),
        entry_start=entry_start,
        entry_line=entry_line,
        entry_units=entry_units,
        cost_cents=file.cost_cents,
        bound_cents=float(file.bound_cents),
        seconds=file.seconds,
        policy=None if file.policy is UNSET else file.policy,
        seed=None if file.seed is UNSET else file.seed,
        row_price=row_price,
        node_price=node_price,
    )


def read_prices(path: str | Path, problem: Problem) -> tuple[Floats, Floats]:
    """Read only the prices of a plan, to start a problem from that an earlier one resembles.

    Returns
    -------
    row_price, node_price
        (R,), (J,) cents; pairs and nodes that this problem does not have are passed over.
    """
    return _prices(problem, read_json(path, PlanFile).prices, strict=False)


def write_plan(path: str | Path, problem: Problem, plan: Plan) -> None:
    """Write a plan: parcels by order, node and service, lines by number, so that equal plans give equal files."""
    write_bytes(path, plan_bytes(problem, plan))


def plan_bytes(problem: Problem, plan: Plan) -> bytes:
    """What the file of a plan holds."""
    file = PlanFile(
        format="plan/1",
        parcels=_write_parcels(problem, plan),
        pickups=_write_pickups(problem, plan),
        cost_cents=plan.cost_cents,
        bound_cents=_write_bound(plan),
        status="optimal" if plan.status == "optimal" else "feasible",
        seconds=plan.seconds,
        policy=UNSET if plan.policy is None else plan.policy,
        seed=UNSET if plan.seed is None else plan.seed,
        prices=_write_prices(problem, plan),
    )
    return msgspec.json.encode(file)


def _check_status(file: PlanFile) -> None:
    if abs(file.bound_cents) > 2**53:
        raise Refusal("bound_cents", f"{file.bound_cents} is not within 2^53")
    if file.status == "optimal" and math.ceil(file.bound_cents - 1e-6) != file.cost_cents:
        raise Refusal(
            "status",
            f"'optimal' with bound {file.bound_cents} and cost {file.cost_cents}; the bound rounded up is the cost",
        )


def _find(names: Iterable[str], known: tuple[str, ...], what: str, place: str) -> Ints:
    """Indices of names, refusing the first unknown one at `place`, a pattern with one gap for its number."""
    at = {name: i for i, name in enumerate(known)}
    found = []
    for i, name in enumerate(names):
        if name not in at:
            raise Refusal(place.format(i), f"{name!r} is not {what} of this wave", "dangling_reference")
        found.append(at[name])
    return np.array(found, dtype=np.int64)


def _parcel_names(problem: Problem, parcels: list[Parcel]) -> tuple[Ints, Ints, Ints]:
    order = _find((p.order for p in parcels), problem.order_id, "an order", "parcels[{}].order")
    node = _find((p.node for p in parcels), problem.node_id, "a node", "parcels[{}].node")
    service_at: dict[str | None, int] = {name: i for i, name in enumerate(problem.service_id)}
    service_at[None] = NO_SERVICE
    for i, parcel in enumerate(parcels):
        if parcel.service not in service_at:
            raise Refusal(
                f"parcels[{i}].service", f"{parcel.service!r} is not a service of this wave", "dangling_reference"
            )
    return order, node, np.array([service_at[p.service] for p in parcels], dtype=np.int64)


def _entries(problem: Problem, parcels: list[Parcel], order: Ints) -> tuple[Ints, Ints, Ints]:
    first = problem.order_line_start[order].tolist()
    count = (problem.order_line_start[order + 1] - problem.order_line_start[order]).tolist()
    line, units = [], []
    for i, parcel in enumerate(parcels):
        seen = set()
        for k, (number, taken) in enumerate(parcel.lines):
            if number >= count[i]:
                raise Refusal(f"parcels[{i}].lines[{k}][0]", f"{number} is no line of an order with {count[i]}")
            if number in seen:
                raise Refusal(f"parcels[{i}].lines[{k}][0]", f"line {number} is in this parcel already", "duplicate_id")
            seen.add(number)
            line.append(first[i] + number)
            units.append(taken)
    start = np.concatenate([[0], np.cumsum([len(p.lines) for p in parcels])]).astype(np.int64)
    return start, np.array(line, dtype=np.int64), np.array(units, dtype=np.int64)


def _dests(problem: Problem, order: Ints, pickups: dict[str, str]) -> Ints:
    """(P,) the destination of each parcel: its order's address, or the store that `pickups` names."""
    order_at = {name: i for i, name in enumerate(problem.order_id)}
    node_at = {name: i for i, name in enumerate(problem.node_id)}
    dest = problem.order_dest_start[:-1].copy()
    collected = problem.dest_node[dest] != DELIVERED
    chosen = set()
    for name, store in pickups.items():
        if name not in order_at:
            raise Refusal(f"pickups.{name}", f"{name!r} is not an order of this wave", "dangling_reference")
        o = order_at[name]
        if not collected[o]:
            raise Refusal(f"pickups.{name}", "that order is delivered, not collected")
        places = problem.dest_node[problem.order_dest_start[o] : problem.order_dest_start[o + 1]].tolist()
        if store not in node_at or node_at[store] not in places:
            raise Refusal(f"pickups.{name}", f"{store!r} is not one of the nodes where that order may be collected")
        dest[o] += places.index(node_at[store])
        chosen.add(o)
    shipped = set(order.tolist())
    if chosen - shipped:
        raise Refusal(f"pickups.{problem.order_id[min(chosen - shipped)]}", "that order has no parcel")
    missing = set(order[collected[order]].tolist()) - chosen
    if missing:
        raise Refusal(
            f"pickups.{problem.order_id[min(missing)]}", "is missing: that order has a parcel and is collected"
        )
    return dest[order]


def _stock_rows(problem: Problem) -> dict[tuple[str, str], int]:
    """The resource row of each node's stock of a SKU, by their ids."""
    stock = np.flatnonzero((problem.row_node >= 0) & (problem.row_sku >= 0)).tolist()
    node, sku = problem.row_node.tolist(), problem.row_sku.tolist()
    # backwards, so that the first of several rows for a pair is the one that stays
    return {(problem.node_id[node[r]], problem.sku_id[sku[r]]): r for r in reversed(stock)}


def _prices(problem: Problem, prices: Prices | UnsetType, strict: bool) -> tuple[Floats, Floats]:
    row_price, node_price = np.zeros(problem.rows), np.zeros(problem.nodes)
    if prices is UNSET:
        return row_price, node_price
    row_at = _stock_rows(problem)
    priced: set[int] = set()
    for i, (node, sku, cents) in enumerate(prices.stock):
        row = row_at.get((node, sku))
        if row is not None:
            _check_once(row, priced, f"prices.stock[{i}]")
            row_price[row] = cents
        elif strict:
            raise Refusal(f"prices.stock[{i}]", f"{node!r} has no stock row of {sku!r}", "dangling_reference")
    node_at = {name: j for j, name in enumerate(problem.node_id)}
    priced = set()
    for i, (node, cents) in enumerate(prices.nodes):
        j = node_at.get(node)
        if j is not None:
            _check_once(j, priced, f"prices.nodes[{i}]")
            node_price[j] = cents
        elif strict:
            raise Refusal(f"prices.nodes[{i}][0]", f"{node!r} is not a node of this wave", "dangling_reference")
    return row_price, node_price


def _check_once(key: int, seen: set[int], place: str) -> None:
    if key in seen:
        raise Refusal(place, "is priced already; one price for a pair", "duplicate_id")
    seen.add(key)


def _write_parcels(problem: Problem, plan: Plan) -> list[Parcel]:
    first = problem.order_line_start[plan.parcel_order]
    number = (plan.entry_line - first[plan.entry_parcel]).tolist()
    units, starts = plan.entry_units.tolist(), plan.entry_start.tolist()
    order, node, service = plan.parcel_order.tolist(), plan.parcel_node.tolist(), plan.parcel_service.tolist()
    return [
        Parcel(
            order=problem.order_id[order[p]],
            node=problem.node_id[node[p]],
            service=None if service[p] == NO_SERVICE else problem.service_id[service[p]],
            lines=sorted((number[e], units[e]) for e in range(starts[p], starts[p + 1])),
        )
        for p in np.lexsort((plan.parcel_service, plan.parcel_node, plan.parcel_order)).tolist()
    ]


def _write_pickups(problem: Problem, plan: Plan) -> dict[str, str]:
    place = problem.dest_node[plan.parcel_dest]
    collected = place != DELIVERED
    pairs = sorted(zip(plan.parcel_order[collected].tolist(), place[collected].tolist(), strict=True))
    return {problem.order_id[o]: problem.node_id[j] for o, j in pairs}


def _write_bound(plan: Plan) -> int | float:
    """The bound as a number of the file: never above the true one, except where whole cents allow it."""
    if plan.status == "optimal":
        return plan.cost_cents
    millionths = math.floor(plan.bound_cents * 1e6)
    if millionths / 1e6 > plan.bound_cents:  # the product was rounded up
        millionths -= 1
    return millionths / 1e6


def _write_prices(problem: Problem, plan: Plan) -> Prices | UnsetType:
    """Prices that are not zero; rows that are no stock have no place in the file."""
    node_price = plan.node_price.round(PRICE_DIGITS)
    row_price = plan.row_price.round(PRICE_DIGITS)
    stock = [
        (*pair, float(row_price[row]))
        for pair, row in sorted(_stock_rows(problem).items(), key=lambda item: item[1])
        if row < len(row_price) and row_price[row] > 0
    ]
    nodes = [(problem.node_id[j], float(node_price[j])) for j in np.flatnonzero(node_price > 0)]
    return Prices(stock=stock, nodes=nodes) if stock or nodes else UNSET


__all__ = ["read_plan", "read_prices", "write_plan"]
