"""Why an order is served as it is: one JSON object for machines, tables and sentences for people."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from api import figures, show
from solver.bill import TERMS
from solver.check import check
from solver.choices import Way, terms_of
from solver.explanation import (
    CHEAPER,
    DEARER,
    MAX_PARCELS,
    NO_CAPACITY,
    NO_LANE,
    NO_OPTION,
    NO_STOCK,
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
from solver.problem import DELIVERED, NO_SERVICE, Problem
from solver.refusal import Refusal

if TYPE_CHECKING:
    from rich.table import Table

HOLDERS = 3
"""Orders that are named as holding a stock; further ones are counted."""
NAMED_NODES = 6
"""Nodes that are named where many have one answer."""
MOST_NODES = 15
"""Nodes with an answer of their own; further dearer ones are counted."""
NAMED_PARCELS = 4
"""Parcels of an alternative that are named."""
REASONS = {
    NO_STOCK: "no stock",
    NO_CAPACITY: "no capacity",
    NO_LANE: "no service goes there",
    "node_cannot_handle": "cannot handle it",
}
"""Why a line cannot come from a node, as people read it; any other reason keeps its own name."""


def order_of(problem: Problem, name: str) -> int:
    """Find an order by its id."""
    try:
        return problem.order_id.index(name)
    except ValueError:
        raise Refusal("ORDER", f"{name!r} is not an order of this wave", "dangling_reference") from None


def must_hold(path: Path, problem: Problem, plan: Plan) -> None:
    """Refuse a plan that breaks a rule: its costs and prices explain nothing."""
    verdict = check(problem, plan)
    if not verdict.ok:
        raise Refusal(
            str(path), f"is no plan of this wave: {verdict.violations[0]} (allot check lists all)", "invalid_plan"
        )


class Telling:
    """An explanation in the names of its wave."""

    def __init__(self, problem: Problem, explanation: Explanation, most: int) -> None:
        self.whole, self.one, self.found = problem, explanation.problem, explanation
        self.alternatives = explanation.alternatives[:most]

    # --- for machines -----------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """Plain values; money in cents, ids for everything."""
        found, proof = self.found, self.found.certificate
        return {
            "order": self.one.order_id[0],
            "exact": found.exact,
            "priced": found.priced,
            "wave": {
                "cost_cents": proof.cost_cents,
                "bound_cents": proof.bound_cents,
                "bound_at_prices_cents": proof.priced.bound_cents,
            },
            "plan": {
                **self._way_json(found.chosen),
                "cost_cents": sum(found.terms.values()),
                "bill": found.terms,
                "stock_price_cents": found.stock_cents,
                "capacity_price_cents": found.capacity_cents,
                "reduced_cents": found.reduced_cents,
            },
            "alternatives": [self._alternative_json(other) for other in self.alternatives],
            "nodes": [self._node_json(answer) for answer in found.nodes],
            "flip": {
                "margin_cents": found.margin_cents,
                "changes": [self._lever_json(lever) for lever in found.levers],
            },
        }

    def _way_json(self, way: Way) -> dict[str, Any]:
        one = self.one
        place = int(one.dest_node[way.dest])
        return {
            "pickup": one.node_id[place] if place != DELIVERED and len(way.node) else None,
            "parcels": [
                {
                    "node": one.node_id[way.node[p]],
                    "service": None if way.service[p] == NO_SERVICE else one.service_id[way.service[p]],
                    "lines": [[line, int(way.units[p, line])] for line in range(one.lines) if way.units[p, line]],
                    "bill": self._parcel_terms(way, p),
                }
                for p in range(len(way.node))
            ],
            "open": [[line, units] for line, units in enumerate(self._open(way)) if units],
        }

    def _alternative_json(self, other: Alternative) -> dict[str, Any]:
        return {
            "why": [self._why(why) for why in other.why],
            **self._way_json(other.way),
            "own_cents": other.own_cents,
            "terms": other.terms,
            "stock_price_cents": other.stock_cents,
            "capacity_price_cents": other.capacity_cents,
            "reduced_cents": other.reduced_cents,
            "floor_cents": other.floor_cents,
            "lacks": [self._block_json(block) for block in other.blocks],
        }

    def _block_json(self, block: Block) -> dict[str, Any]:
        problem = self.whole
        sku = int(problem.row_sku[block.row]) if block.row >= 0 else -1
        return {
            "what": "parcels" if block.row < 0 else "units" if sku < 0 else "stock",
            "node": None if block.node < 0 else problem.node_id[block.node],
            "sku": None if sku < 0 else problem.sku_id[sku],
            "needed": block.needed,
            "left": block.left,
            "holders": [[problem.order_id[order], units] for order, units in block.holders],
        }

    def _node_json(self, answer: NodeAnswer) -> dict[str, Any]:
        return {
            "node": self.one.node_id[answer.node],
            "verdict": answer.verdict,
            "says": self.node_says(answer),
            "lines": list(answer.lines),
            "at_prices": None if answer.at_prices is None else self._alternative_json(answer.at_prices),
            "alone": None if answer.alone is None else self._alternative_json(answer.alone),
            "now": None if answer.now is None else self._alternative_json(answer.now),
            "floor_cents": answer.floor_cents,
        }

    def _lever_json(self, lever: Lever) -> dict[str, Any]:
        return {
            "term": lever.term,
            "says": self.lever_says(lever),
            "from_cents": lever.from_cents,
            "by_cents": lever.by_cents,
        }

    # --- for people -------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Print the bill, the alternatives, every node and what would tip the decision."""
        found, console = self.found, show.out()
        console.print(plain(self._title(), "bold"))
        console.print(self._bill_table())
        if self.alternatives:
            console.print()
            prices = "at the prices of this plan" if found.priced else "the plan has no prices: stock is free"
            console.print(plain(f"Alternatives, best first ({prices})", "bold"))
            console.print(self._alternatives_table())
        console.print()
        console.print(plain("Nodes", "bold"))
        console.print(self._nodes_table())
        console.print()
        console.print(plain("What would tip it", "bold"))
        for text in self._tipping():
            show.line(f"  {text}")
        console.print()
        for text in self._notes():
            show.line(text)

    def _title(self) -> str:
        one, found = self.one, self.found
        count = len(found.chosen.node)
        place = int(one.dest_node[found.chosen.dest])
        where = f", collected at {one.node_id[place]}" if place != DELIVERED and count else ""
        made = "left open" if not count else "1 parcel" if count == 1 else f"{count} parcels"
        return f"{one.order_id[0]}: {made}{where}, {figures.money(sum(found.terms.values()))}"

    def _bill_table(self) -> "Table":
        found = self.found
        terms = show.used_terms([found.terms]) or [TERMS[0]]
        table = show.grid(["from", *(figures.term_name(term).lower() for term in terms), "goods"])
        for p in range(len(found.chosen.node)):
            bill = self._parcel_terms(found.chosen, p)
            cells = [figures.money(bill[term]) if bill.get(term) else "" for term in terms]
            table.add_row(
                self._parcel_name(found.chosen, p), *cells, plain(self._goods(found.chosen.units[p].tolist()))
            )
        if any(still := self._open(found.chosen)):
            left = {term: found.terms[term] for term in ("unfilled", "broken_promise")}
            cells = [figures.money(left[term]) if left.get(term) else "" for term in terms]
            table.add_row("left open", *cells, plain(self._goods(still)))
        table.add_row("the order", *(figures.money(found.terms[term]) for term in terms), "", style="bold")
        table.columns[-1].justify = "left"
        return table

    def _alternatives_table(self) -> "Table":
        table = show.grid(
            ["way", "own bill", "worth to others", "at the prices", "wave at least", "now", "own bill by term"]
        )
        for other in self.alternatives:
            table.add_row(
                plain(self._way_name(other.way)),
                figures.signed(other.own_cents),
                figures.signed(other.worth_cents),
                figures.signed(other.at_prices_cents),
                figures.money(other.floor_cents),
                "taken" if other.blocks else "free",
                plain(terms_say(other.terms)),
            )
        for column in table.columns[5:]:
            column.justify, column.no_wrap = "left", False
        return table

    def _nodes_table(self) -> "Table":
        table = show.grid(["node", "wave at least", "why not"])
        table.columns[2].justify, table.columns[2].no_wrap = "left", False
        one, order = self.one, {USED: 0, CHEAPER: 1, TAKEN: 2, WORTH_MORE: 2, DEARER: 3}
        spoken = [answer for answer in self.found.nodes if answer.verdict in order]
        spoken.sort(key=lambda one: (order[one.verdict], one.told.own_cents if one.told else 0))
        far = [answer for answer in spoken[MOST_NODES:] if answer.verdict == DEARER and answer.told]
        for answer in spoken[: len(spoken) - len(far)]:
            floor = "" if answer.floor_cents is None else figures.money(answer.floor_cents)
            table.add_row(plain(one.node_id[answer.node]), floor, plain(self.node_says(answer)))
        if far:
            least, most = (figures.money(answer.told.own_cents) for answer in (far[0], far[-1]) if answer.told)
            table.add_row(f"{len(far)} more", "", f"cost {least} to {most} more (--json names them)")
        alike: dict[str, list[str]] = {}
        for answer in self.found.nodes:
            if answer.verdict not in order:
                alike.setdefault(self.node_says(answer), []).append(one.node_id[answer.node])
        for says, names in sorted(alike.items(), key=lambda pair: -len(pair[1])):
            more = len(names) - NAMED_NODES
            shown = ", ".join(names[:NAMED_NODES]) + (f" and {more} more" if more > 0 else "")
            table.add_row(plain(shown), "", plain(says))
        return table

    def _tipping(self) -> list[str]:
        found = self.found
        if not found.alternatives:
            return ["there is no other way of serving this order"]
        best, margin = found.alternatives[0], found.alternatives[0].at_prices_cents
        name, says = self._way_name(best.way), []
        falls = [lever for lever in found.levers if not lever.term.startswith("one_more")]
        adds = [lever for lever in found.levers if lever.term.startswith("one_more")]
        if margin > 0:
            says.append(f"{name} would tie if it cost {figures.money(margin)} less at the prices")
            if falls:
                says[0] += f": {self.lever_says(falls[0])}"
        elif margin == 0:
            says.append(f"{name} costs the same at the prices: nothing holds the decision but the tie")
        else:
            why = f", but lacks {self._blocks_say(best.blocks)}" if best.blocks else ""
            says.append(f"{name} is ahead by {figures.money(-margin)} at the prices{why}")
        return says + [self.lever_says(lever) for lever in adds[:3]]

    def _notes(self) -> list[str]:
        proof = self.found.certificate
        notes = []
        if not self.found.exact:
            notes.append(
                "An order of many lines: alternatives come from a local search, the floors are proven all the same."
            )
        notes.append(
            f"Wave: cost {figures.money(proof.cost_cents)}, bound {figures.money(proof.bound_cents)}, "
            f"{figures.money(proof.priced.bound_cents)} at the prices alone. 'Wave at least' is a floor: no plan with that way "
            "costs less, and one at the floor need not exist."
        )
        return notes

    # --- sentences --------------------------------------------------------------------------------------------------

    def node_says(self, answer: NodeAnswer) -> str:
        """Why a node is not used."""
        told = answer.told
        if answer.verdict == USED:
            return "used"
        if answer.verdict == NO_OPTION:
            return self._lines_say(answer.lines)
        if answer.verdict == MAX_PARCELS:
            return f"would take more than {self.one.order_max_parcels[0]} parcels (max_parcels)"
        if answer.verdict == SHIP_COMPLETE:
            return "the order could not be completed (ship_complete)"
        if told is None:
            return "no way of serving the order has it"
        terms = terms_say(told.terms)
        missing = self._blocks_say([block for block in told.blocks if block.node == answer.node] or told.blocks)
        if answer.verdict == CHEAPER:
            return f"would cost {figures.money(-told.own_cents)} less, and nothing is in its way: {terms}"
        if answer.verdict == DEARER:
            says = f"costs {figures.money(told.own_cents)} more: {terms}" if told.own_cents else "costs the same"
            return f"{says} (and lacks {missing})" if missing else says
        says = f"own bill {figures.money(-told.own_cents)} less, but lacks {missing}"
        if answer.verdict == WORTH_MORE:
            return f"what it takes is worth {figures.money(told.worth_cents)} to other orders: {says}"
        return says

    def lever_says(self, lever: Lever) -> str:
        """One change."""
        one, by, now = self.one, figures.money(lever.by_cents), figures.money(lever.from_cents)
        if lever.term == "unfilled":
            return f"the penalty on line {lever.index} ({now} a unit) lower by {by}"
        node = one.node_id[lever.index] if lever.index >= 0 else "a shared resource"
        if lever.term in ("stock_price", "one_more_unit"):
            what = one.sku_id[lever.other] if lever.other >= 0 else "capacity"
            if lever.term == "stock_price":
                return f"the price of {what} at {node} ({now} a unit) lower by {by}"
            return f"one more unit of {what} at {node} would save this order {by}, all others as they are"
        if lever.term == "one_more_parcel":
            return f"room for one more parcel at {node} would save this order {by}, all others as they are"
        term = {"late": "lateness", "handling": "opening a parcel", "capacity_price": "the price of a parcel"}
        travels = lever.term in ("carriage", "late")
        service = f" by {one.service_id[lever.other]}" if travels and lever.other >= 0 else ""
        where = f"{'from' if travels else 'at'} {node}{service}"
        return f"{term.get(lever.term, lever.term)} {where} ({now}) lower by {by}"

    def _lines_say(self, lines: Iterable[str]) -> str:
        by_reason: dict[str, list[int]] = {}
        for line, reason in enumerate(lines):
            by_reason.setdefault(reason, []).append(line)
        if len(by_reason) == 1:
            return REASONS.get(only := next(iter(by_reason)), only)
        skus = self.one.line_sku
        return "; ".join(
            f"{self._some([self.one.sku_id[skus[line]] for line in at])}: {REASONS.get(reason, reason)}"
            for reason, at in by_reason.items()
        )

    def _blocks_say(self, blocks: Sequence[Block]) -> str:
        return "; ".join(self._block_says(block) for block in blocks)

    def _block_says(self, block: Block) -> str:
        problem = self.whole
        node = "a shared resource" if block.node < 0 else problem.node_id[block.node]
        sku = int(problem.row_sku[block.row]) if block.row >= 0 else -1
        lacking = block.needed - max(0, block.left)
        many = "s" * (lacking != 1)
        what = f"parcel{many}" if block.row < 0 else f"unit{many} of capacity" if sku < 0 else problem.sku_id[sku]
        holders = self._some([f"{problem.order_id[order]} ({units})" for order, units in block.holders], HOLDERS)
        return f"{lacking} {what} at {node}" + (f", held by {holders}" if holders else "")

    def _why(self, why: tuple[str, int]) -> str:
        kind, index = why
        if kind == "parcels":
            return f"at most {index} parcel{'s' * (index != 1)}"
        names = {"without": "without {}", "by": "by {}", "whole": "whole from {}", "collected": "collected at {}"}
        names |= {"service": "another service from {}", "less": "nothing from {}"}
        plain = {"alone": "least bill alone", "prices": "least at the prices", "open": "left open"}
        return plain[kind] if kind in plain else names[kind].format(self.one.node_id[index])

    def _way_name(self, way: Way) -> str:
        parcels = [self._parcel_name(way, p) for p in range(len(way.node))]
        left = sum(self._open(way))
        if left:
            parcels.append("all left open" if not parcels else f"{left} left open")
        place = int(self.one.dest_node[way.dest])
        collected = f", collected at {self.one.node_id[place]}" if place != DELIVERED and len(way.node) else ""
        if len(parcels) > NAMED_PARCELS:
            parcels = [*parcels[: NAMED_PARCELS - 1], f"{len(parcels) - NAMED_PARCELS + 1} more"]
        return " + ".join(parcels) + collected

    def _parcel_name(self, way: Way, p: int) -> str:
        service = "" if way.service[p] == NO_SERVICE else f" by {self.one.service_id[way.service[p]]}"
        return f"{self.one.node_id[way.node[p]]}{service}"

    def _goods(self, units: list[int]) -> str:
        skus = self.one.line_sku
        return self._some([f"{count} × {self.one.sku_id[skus[line]]}" for line, count in enumerate(units) if count])

    def _some(self, names: list[str], most: int = NAMED_NODES) -> str:
        return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

    def _open(self, way: Way) -> list[int]:
        left: list[int] = (self.one.line_qty - way.units.sum(axis=0)).tolist()
        return left

    def _parcel_terms(self, way: Way, p: int) -> dict[str, int]:
        """The bill of one parcel; overtime is the order's, and what is open is in no parcel."""
        parcel = Way(way.dest, way.node[p : p + 1], way.service[p : p + 1], way.units[p : p + 1])
        terms = terms_of(self.one, parcel)
        return {term: terms[term] for term in ("carriage", "handling", "late", "stock_value")}


def plain(text: str, style: str = "") -> Text:
    """Text that names from files cannot turn into markup or control characters."""
    return Text(figures.printable(text), style)


def terms_say(terms: dict[str, int]) -> str:
    """The terms that differ, the largest first."""
    differ = sorted((term for term in terms if terms[term]), key=lambda term: -abs(terms[term]))
    return ", ".join(f"{figures.term_name(term).lower()} {figures.signed(terms[term])}" for term in differ)


__all__ = ["Telling", "must_hold", "order_of", "terms_say"]
