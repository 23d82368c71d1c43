"""Why an order is served as it is: its bill, its best alternatives, why not each node, and what would tip the decision.

Three questions are put to the kernels that decide waves, about one order at a time:

- *at the prices* of the plan, with all stock there is: how good is a way when what it takes from others is paid for? From this
  comes the floor: no plan that has a given way costs less than the bound at the prices plus what the way costs there above the
  order's least. That is proven; that a plan at the floor exists is not said.
- *alone*, with all stock there is and nothing to pay for it: what would be cheapest if nobody else wanted anything?
- *now*, with all other orders as they are: what would the wave cost if only this order changed? That is exact.
"""

from dataclasses import replace

import numpy as np

from solver import choices
from solver.certificate import certify, charges, drawn
from solver.choices import Found, Market, Way
from solver.explanation import (
    CHEAPER,
    DEARER,
    MAX_PARCELS,
    NO_CAPACITY,
    NO_LANE,
    NO_OPTION,
    NO_STOCK,
    NO_WAY,
    SHIP_COMPLETE,
    TAKEN,
    USED,
    WORTH_MORE,
    Alternative,
    Block,
    Explanation,
    Lever,
    NodeAnswer,
)
from solver.plan import Plan
from solver.problem import HARD, NO_LIMIT, NO_SERVICE, Ints, Problem


def explain(problem: Problem, plan: Plan, order: int) -> Explanation:
    """Explain how a plan that keeps the rules serves one order.

    Parameters
    ----------
    plan
        Made by anyone; without prices, what stock is worth to other orders is not known and counts as nothing.
    order
        Index of the order.
    """
    return _Case(problem, plan, order).explanation()


class _Case:
    """One order before the plan's prices, alone, and among the others as they are."""

    def __init__(self, problem: Problem, plan: Plan, order: int) -> None:
        self.whole, self.plan, self.order = problem, plan, order
        self.certificate = certify(problem, plan)
        priced = self.certificate.priced
        option = problem.find_options(plan.entry_line, plan.parcel_node[plan.entry_parcel])
        self.entry_rows, self.entry_use = problem.option_row[option], problem.option_use[option]
        row_use, node_use = drawn(problem, plan)
        own_rows, own_nodes = drawn(problem, plan, order)
        limited = problem.node_capacity_parcels < NO_LIMIT // 2
        capacity = problem.node_capacity_parcels
        node_left = np.where(limited, capacity - (node_use - own_nodes), NO_LIMIT)
        one, self.rows = choices.only(problem, order)
        # overtime of this order is what its parcels add to that of the others
        self.one = replace(one, node_capacity_parcels=np.maximum(0, node_left))
        hard = problem.node_overtime_cents == HARD
        nothing = np.zeros(len(self.rows)), np.zeros(problem.nodes)
        self.at_prices = Market(
            one.row_limit, np.where(hard, capacity, NO_LIMIT), priced.row_price[self.rows], priced.node_price
        )
        self.alone = Market(one.row_limit, capacity, *nothing)
        self.now = Market(problem.row_limit[self.rows] - (row_use - own_rows)[self.rows], node_left, *nothing)
        self.chosen = choices.way_of(problem, plan, order)
        self.terms = choices.terms_of(self.one, self.chosen)
        self.stock, self.capacity = self._charges(self.chosen)
        self.least = float(priced.order_value[order])

    def explanation(self) -> Explanation:
        """Ask everything."""
        first, last = self.whole.order_line_start[self.order : self.order + 2]
        priced = replace(
            self.certificate.priced,
            order_value=np.array([self.least]),
            line_price=self.certificate.priced.line_price[first:last],
        )
        at_prices = choices.by_node(self.one, self.at_prices, self.chosen, priced)
        alternatives = self._alternatives(at_prices)
        return Explanation(
            problem=self.one,
            certificate=self.certificate,
            order=self.order,
            exact=choices.few(self.one),
            priced=bool(priced.row_price.any() or priced.node_price.any()),
            chosen=self.chosen,
            terms=self.terms,
            stock_cents=self.stock,
            capacity_cents=self.capacity,
            reduced_cents=float(self.certificate.order_cents[self.order]),
            alternatives=alternatives,
            nodes=self._nodes(at_prices),
            levers=self._levers(alternatives),
        )

    def _charges(self, way: Way) -> tuple[float, float]:
        plan = choices.plan_of(self.one, way)
        stock, capacity = charges(self.one, plan, self.at_prices.row_price, self.at_prices.node_price)
        return float(stock[0]), float(capacity[0])

    def _floor(self, cents: float) -> float:
        """What the wave costs at least if this order costs so much at the prices."""
        certificate = self.certificate
        return max(certificate.bound_cents, certificate.priced.bound_cents + max(0.0, cents - self.least))

    def alternative(self, way: Way, *why: tuple[str, int]) -> Alternative:
        """Set a way against the plan's."""
        terms = choices.terms_of(self.one, way)
        stock, capacity = self._charges(way)
        cents = sum(terms.values()) - terms["overtime"] + stock + capacity
        return Alternative(
            why=why,
            way=way,
            terms={term: terms[term] - self.terms[term] for term in terms},
            stock_cents=stock - self.stock,
            capacity_cents=capacity - self.capacity,
            reduced_cents=cents - self.least,
            floor_cents=self._floor(cents),
            blocks=self._blocks(way),
        )

    def _blocks(self, way: Way) -> tuple[Block, ...]:
        """What a way lacks with all others as they are."""
        rows, nodes = drawn(self.one, choices.plan_of(self.one, way))
        short_rows = np.flatnonzero(rows > self.now.left)
        hard = self.one.node_overtime_cents == HARD
        short_nodes = np.flatnonzero(hard & (nodes > np.maximum(0, self.now.node_left)))
        blocks = [
            Block(
                int(self.rows[row]), int(self.one.row_node[row]), int(rows[row]), int(self.now.left[row]),
                self._row_holders(int(self.rows[row])),
            )
            for row in short_rows
        ]  # fmt: skip
        blocks += [
            Block(
                -1, int(node), int(nodes[node]), int(self.now.node_left[node]),
                self._holders(self.plan.parcel_order[self.plan.parcel_node == node], None),
            )
            for node in short_nodes
        ]  # fmt: skip
        return tuple(blocks)

    def _row_holders(self, row: int) -> tuple[tuple[int, int], ...]:
        parcel = self.plan.entry_parcel
        draws = (self.entry_rows == row) * self.entry_use
        units = draws.sum(axis=1) * self.plan.entry_units
        return self._holders(self.plan.parcel_order[parcel][units > 0], units[units > 0])

    def _holders(self, orders: Ints, units: Ints | None) -> tuple[tuple[int, int], ...]:
        total = np.bincount(orders, units, minlength=self.whole.orders).astype(np.int64)
        total[self.order] = 0
        most = np.argsort(-total, kind="stable")[: np.count_nonzero(total)]
        return tuple((int(order), int(total[order])) for order in most)

    def _alternatives(self, at_prices: dict[int, Found]) -> tuple[Alternative, ...]:
        """Every question's best way at the prices, each once, best first."""
        one, market, chosen = self.one, self.at_prices, self.chosen
        used = np.unique(chosen.node).tolist()
        asked: list[tuple[tuple[str, int], Way | None]] = []
        alone = [choices.serve(one, self.alone), choices.serve(one, market)]
        asked += [
            (("without", j), choices.serve(choices.without(one, np.arange(one.nodes) == j), market)) for j in used
        ]
        asked += [(("whole", j), way) for j, way in choices.whole_from(one, market, self._can_send_all()).items()]
        asked += [(("by", node), found.way) for node, found in at_prices.items()]
        asked += [(("alone", -1), alone[0]), (("prices", -1), alone[1])]
        if len(chosen.node) > 1:
            fewer = replace(one, order_max_parcels=np.array([len(chosen.node) - 1]))
            asked.append((("parcels", len(chosen.node) - 1), choices.serve(fewer, market)))
        for dest in range(len(one.dest_node) if len(one.dest_node) > 1 else 0):
            way = choices.serve(choices.going_to(one, dest), market)
            asked.append((("collected", int(one.dest_node[dest])), None if way is None else replace(way, dest=dest)))
        asked += self._changed_parcels()
        asked.append((("open", -1), choices.nothing(one)))
        by_way: dict[object, tuple[Way, list[tuple[str, int]]]] = {}
        for why, way in asked:
            if way is not None and way.parcels != chosen.parcels:
                by_way.setdefault(way.parcels, (way, []))[1].append(why)
        found = [self.alternative(way, *why) for way, why in by_way.values()]
        return tuple(sorted(found, key=lambda one: (round(one.at_prices_cents, 6), bool(one.blocks), one.own_cents)))

    def _can_send_all(self) -> list[int]:
        """Nodes that stock every line, and so could send all of an order of several units."""
        one = self.one
        usable = one.option_reason == 0
        lines = np.bincount(one.option_node[usable], minlength=one.nodes)
        return np.flatnonzero(lines == one.lines).tolist() if one.line_qty.sum() > 1 else []

    def _changed_parcels(self) -> list[tuple[tuple[str, int], Way]]:
        """The plan's way with one parcel by another service, or left out."""
        one, chosen = self.one, self.chosen
        changed: list[tuple[tuple[str, int], Way]] = []
        for p in range(len(chosen.node)):
            node = int(chosen.node[p])
            if len(chosen.node) > 1 and not one.order_ship_complete[0]:
                rest = np.arange(len(chosen.node)) != p
                way = Way(chosen.dest, chosen.node[rest], chosen.service[rest], chosen.units[rest])
                changed.append((("less", node), way))
            if chosen.service[p] == NO_SERVICE:
                continue
            lines = chosen.units[p] > 0
            for service in range(one.services):
                carried = one.sku_carried[one.line_sku[lines], service].all()
                if carried and one.lane_zone[chosen.dest, node, service] >= 0 and service != chosen.service[p]:
                    services = chosen.service.copy()
                    services[p] = service
                    way = replace(chosen, service=services)
                    if choices.follows(one, way):
                        changed.append((("service", node), way))
        return changed

    def _nodes(self, at_prices: dict[int, Found]) -> tuple[NodeAnswer, ...]:
        """An answer for each node of the wave."""
        alone = choices.by_node(self.one, self.alone, self.chosen)
        now = choices.by_node(self.one, self.now, self.chosen)
        relaxed = self._relaxed(alone)
        used = set(self.chosen.node.tolist())
        return tuple(
            self._node(node, node in used, at_prices.get(node), alone.get(node), now.get(node), relaxed)
            for node in range(self.one.nodes)
        )

    def _relaxed(self, alone: dict[int, Found]) -> dict[str, set[int]]:
        """Nodes that could serve the order if it were not limited in parcels, or need not be complete."""
        one = self.one
        if all(found.way is not None for found in alone.values()) and len(alone) == one.nodes:
            return {}
        several = replace(one, order_max_parcels=np.array([NO_LIMIT]))
        partial = replace(one, order_ship_complete=np.zeros(1, dtype=np.bool_))
        rules = [(MAX_PARCELS, several), (SHIP_COMPLETE, partial)]
        return {
            rule: {
                node
                for node, found in choices.by_node(problem, self.alone, self.chosen).items()
                if found.way is not None
            }
            for rule, problem in rules
            if problem.order_max_parcels[0] != one.order_max_parcels[0] or one.order_ship_complete[0]
        }

    def _node(
        self, node: int, used: bool, at_prices: Found | None, alone: Found | None, now: Found | None,
        relaxed: dict[str, set[int]],
    ) -> NodeAnswer:  # fmt: skip
        lines = self._line_reasons(node)
        floor = None if at_prices is None else self._floor(at_prices.least_cents)
        ways_by = tuple(
            None if found is None or found.way is None else self.alternative(found.way, ("by", node))
            for found in (at_prices, alone, now)
        )
        best, alone_best, now_best = ways_by
        told = None
        if used:
            kept = self._floor(self.least + float(self.certificate.order_cents[self.order]))
            floor = kept if floor is None else min(floor, kept)
            verdict = USED
        elif all(lines):
            verdict, floor = NO_OPTION, None
        elif alone_best is None:
            verdict = next((rule for rule, nodes in relaxed.items() if node in nodes), NO_WAY)
        else:
            verdict, told = self._verdict(node, best, alone_best, now_best)
        return NodeAnswer(node, verdict, lines, best, alone_best, now_best, told, floor)

    def _verdict(
        self, node: int, at_prices: Alternative | None, alone: Alternative, now: Alternative | None
    ) -> tuple[str, Alternative]:
        """Why a node that could be used is not, and the way that says so."""
        if now is not None and now.own_cents < 0:
            return CHEAPER, now
        if alone.own_cents >= 0:
            return DEARER, alone
        for other in (at_prices, alone if self._wanted(node, alone) else None):
            if other is not None and other.own_cents < 0 and any(block.node == node for block in other.blocks):
                return WORTH_MORE if other.at_prices_cents >= 0 else TAKEN, other
        # what would make it cheaper is lacking elsewhere
        dearer = [other for other in (at_prices, now) if other is not None and other.own_cents >= 0]
        return (DEARER, dearer[0]) if dearer else (TAKEN, alone)

    def _wanted(self, node: int, alone: Alternative) -> bool:
        """Tell whether the order, alone, would be worse off without a node."""
        way = choices.serve(choices.without(self.one, np.arange(self.one.nodes) == node), self.alone)
        return way is None or self.alternative(way).own_cents > alone.own_cents

    def _line_reasons(self, node: int) -> tuple[str, ...]:
        """Why each line cannot come from a node, however much of it others leave; empty where it can."""
        one = self.one
        option = one.find_options(np.arange(one.lines), np.full(one.lines, node))
        closed = self.alone.node_left[node] <= 0 and one.node_overtime_cents[node] == HARD
        reasons = []
        for line in range(one.lines):
            q = option[line]
            if q < 0:
                reasons.append(NO_STOCK)
                continue
            row, use = one.option_row[q], one.option_use[q]
            short = row[(row >= 0) & (use > 0) & (one.row_limit[row] < use)]
            if one.option_reason[q]:
                reasons.append(one.reasons[one.option_reason[q]])
            elif (one.row_sku[short] >= 0).any():
                reasons.append(NO_STOCK)
            elif len(short) or closed:
                reasons.append(NO_CAPACITY)
            else:
                carried = one.sku_carried[one.line_sku[line]]
                served = (one.lane_zone[:, node, :][:, carried] >= 0).any() or (one.dest_node == node).any()
                reasons.append("" if served else NO_LANE)
        return tuple(reasons)

    def _levers(self, alternatives: tuple[Alternative, ...]) -> tuple[Lever, ...]:
        """What would have to fall, and by how little, for the best alternative to tie; and what one more unit would save."""
        if not alternatives:
            return ()
        best = alternatives[0]
        falls = self._falls(best, best.at_prices_cents) if best.at_prices_cents > 0 else []
        return tuple(sorted(falls, key=lambda lever: lever.by_cents)) + tuple(self._additions(alternatives))

    def _falls(self, best: Alternative, margin: float) -> list[Lever]:
        one, way, levers = self.one, best.way, []
        for p in range(len(way.node)):
            node, service = int(way.node[p]), int(way.service[p])
            parcel = Way(way.dest, way.node[p : p + 1], way.service[p : p + 1], way.units[p : p + 1])
            if parcel.parcels <= self.chosen.parcels:
                continue
            terms = choices.terms_of(one, parcel)
            per_parcel = {
                "carriage": float(terms["carriage"]),
                "late": float(terms["late"]),
                "handling": float(one.node_parcel_cents[node]),
                "capacity_price": float(self.at_prices.node_price[node]),
            }
            extra = np.count_nonzero(way.node == node) - np.count_nonzero(self.chosen.node == node)
            for term, cents in per_parcel.items():
                if cents >= margin and (term in ("carriage", "late") or extra == 1):
                    levers.append(Lever(term, node, service, cents, margin))
        levers += self._stock_falls(way, margin)
        more_open = self.chosen.units.sum(axis=0) - way.units.sum(axis=0)
        for line in np.flatnonzero(more_open > 0):
            cents = float(one.line_unfilled_cents[line])
            if cents * more_open[line] >= margin:
                levers.append(Lever("unfilled", int(line), -1, cents, margin / float(more_open[line])))
        return levers

    def _stock_falls(self, way: Way, margin: float) -> list[Lever]:
        """The price of a row, for each unit that the way draws more of it than the plan's way."""
        one = self.one
        more = drawn(one, choices.plan_of(one, way))[0] - drawn(one, choices.plan_of(one, self.chosen))[0]
        price = self.at_prices.row_price
        return [
            Lever(
                "stock_price", int(one.row_node[row]), int(one.row_sku[row]), float(price[row]), margin / float(more[row])
            )
            for row in np.flatnonzero(more > 0)
            if price[row] * more[row] >= margin
        ]  # fmt: skip

    def _additions(self, alternatives: tuple[Alternative, ...]) -> list[Lever]:
        """One more unit of stock, or one more parcel of capacity, that lets this order save."""
        best: dict[tuple[str, int, int], Lever] = {}
        for other in alternatives:
            if len(other.blocks) != 1 or other.own_cents >= 0:
                continue
            block = other.blocks[0]
            if block.needed - max(0, block.left) != 1:
                continue
            sku = int(self.whole.row_sku[block.row]) if block.row >= 0 else -1
            lever = Lever(
                "one_more_unit" if block.row >= 0 else "one_more_parcel", block.node, sku, 0.0, float(-other.own_cents)
            )
            key = (lever.term, lever.index, lever.other)
            if key not in best or best[key].by_cents < lever.by_cents:
                best[key] = lever
        return sorted(best.values(), key=lambda lever: -lever.by_cents)


__all__ = ["explain"]
