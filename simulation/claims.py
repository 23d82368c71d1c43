"""What is decided and not yet released: it moves when a later wave decides anew, and leaves its node when it is released."""

from dataclasses import dataclass

import numpy as np

from engine.sourcing import ranges
from solver.plan import Plan
from solver.problem import Bools, Ints, Problem


@dataclass(frozen=True, eq=False)
class Claims:
    """Parcels that hold their units: P parcels, E entries. Orders and lines are those of the history.

    Attributes
    ----------
    dest
        (P,) which of its order's destinations a parcel goes to.
    entry_parcel, entry_line, entry_units
        (E,) what is in them, by ascending parcel.
    """

    order: Ints
    node: Ints
    service: Ints
    dest: Ints
    entry_parcel: Ints
    entry_line: Ints
    entry_units: Ints

    def only(self, parcels: Bools) -> "Claims":
        """The claims of some of the parcels."""
        entries = parcels[self.entry_parcel]
        number = np.cumsum(parcels) - 1
        return Claims(
            self.order[parcels],
            self.node[parcels],
            self.service[parcels],
            self.dest[parcels],
            number[self.entry_parcel[entries]],
            self.entry_line[entries],
            self.entry_units[entries],
        )

    def and_also(self, other: "Claims") -> "Claims":
        """Both."""
        return Claims(
            np.concatenate([self.order, other.order]),
            np.concatenate([self.node, other.node]),
            np.concatenate([self.service, other.service]),
            np.concatenate([self.dest, other.dest]),
            np.concatenate([self.entry_parcel, other.entry_parcel + len(self.order)]),
            np.concatenate([self.entry_line, other.entry_line]),
            np.concatenate([self.entry_units, other.entry_units]),
        )


def no_claims() -> Claims:
    """Nothing is held."""
    none = np.zeros(0, dtype=np.int64)
    return Claims(none, none, none, none, none, none, none)


def claims_of(problem: Problem, plan: Plan, order: Ints, line: Ints) -> Claims:
    """What a plan claims.

    Parameters
    ----------
    order, line
        Which orders and lines of the history those of the problem are.
    """
    return Claims(
        order[plan.parcel_order],
        plan.parcel_node,
        plan.parcel_service,
        plan.parcel_dest - problem.order_dest_start[plan.parcel_order],
        plan.entry_parcel,
        line[plan.entry_line],
        plan.entry_units,
    )


def plan_of(claims: Claims, problem: Problem, order: Ints, line: Ints) -> Plan:
    """The plan that claims stand for; its cost is for the caller to say.

    Parameters
    ----------
    order, line
        Which orders and lines of the history those of the problem are, ascending.
    """
    at = np.searchsorted(order, claims.order)
    by = np.argsort(at, kind="stable")
    count = np.bincount(claims.entry_parcel, minlength=len(at))
    start = np.cumsum(count) - count
    entry = ranges(start[by], count[by])
    return Plan(
        at[by],
        claims.node[by],
        claims.service[by],
        problem.order_dest_start[at[by]] + claims.dest[by],
        np.concatenate([[0], np.cumsum(count[by])]).astype(np.int64),
        np.searchsorted(line, claims.entry_line[entry]),
        claims.entry_units[entry],
        0,
        0.0,
        policy="kept",
    )
