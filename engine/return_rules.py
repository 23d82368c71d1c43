"""What may come back, until when, for how much, and where to: rules of the retailer, as data."""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.database import Tx
from engine.entries import read_setting, write_setting
from engine.facts import Cents, Condition, Name, ReturnReason

Percent = Annotated[int, Meta(ge=0, le=100)]
Days = Annotated[int, Meta(ge=0, le=3650)]
Tags = Annotated[tuple[Name, ...], Meta(max_length=1000)]
Reasons = Annotated[tuple[ReturnReason, ...], Meta(max_length=20)]


class Fee(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of the price for taking units back: of these reasons, of SKUs with one of these tags; of any where empty."""

    percent: Percent
    reasons: Reasons = ()
    sku_tags: Tags = ()


class ReturnRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may come back, until when, for how much, and where to.

    Attributes
    ----------
    days, tag_days
        Days from delivery in which units may be given back: of any SKU, and of SKUs with a tag (the fewest of its tags).
    final_sale
        SKUs with one of these tags do not come back.
    ours, ours_days
        Reasons that are the retailer's fault, and their days: `days`, `tag_days`, `final_sale`, `fees`, `label_cents` and
        `refund_percent` do not hold for them, and the carriage that the customer paid is refunded.
    review
        Reasons for which somebody has to approve.
    expire_days, exchange_days
        Days that a return is awaited, and for which what was looked at is kept for an exchange before it is refunded.
    refund_percent
        Of the price, by condition; all of it where a condition is not named.
    fees
        The first that fits holds.
    label_cents
        What is kept once for the parcel back.
    restock_percent
        By reason, how many units of a hundred are expected to be sold again; `restock_usual` where it is not named.
    rest_percent
        What is left of a unit's worth where it is not expected to be sold before the next receipt.
    node_tags, node_kinds
        Nodes that take parcels back have one of these tags, and are of one of these kinds; any where empty.
    """

    days: Days = 30
    tag_days: Annotated[dict[Name, Days], Meta(max_length=1000)] = {}
    final_sale: Tags = ()
    ours: Reasons = ("late", "damaged", "defective", "wrong_item", "not_as_described", "undelivered")
    ours_days: Days = 365
    review: Reasons = ("other",)
    expire_days: Days = 21
    exchange_days: Days = 14
    refund_percent: dict[Condition, Percent] = msgspec.field(default_factory=lambda: {"used": 50, "damaged": 0})
    fees: Annotated[tuple[Fee, ...], Meta(max_length=100)] = ()
    label_cents: Cents = 0
    restock_percent: dict[ReturnReason, Percent] = msgspec.field(
        default_factory=lambda: {"damaged": 10, "defective": 10, "not_as_described": 60}
    )
    restock_usual: Percent = 90
    rest_percent: Percent = 10
    node_tags: Tags = ()
    node_kinds: Annotated[tuple[Literal["warehouse", "store"], ...], Meta(max_length=2)] = ()

    def window(self, reason: ReturnReason, tags: Iterable[str]) -> int | None:
        """Days from delivery in which a unit may be given back; `None` where it may not at all."""
        if reason in self.ours:
            return self.ours_days
        if set(tags) & set(self.final_sale):
            return None
        return min([self.days, *(self.tag_days[tag] for tag in tags if tag in self.tag_days)])

    def refunded(self, reason: ReturnReason, condition: Condition) -> int:
        """Percent of its price that a unit is worth to the customer."""
        return 100 if reason in self.ours else self.refund_percent.get(condition, 100)

    def fee(self, reason: ReturnReason, tags: Iterable[str]) -> int:
        """Percent of that which is kept."""
        if reason in self.ours:
            return 0
        own = set(tags)
        return next(
            (
                fee.percent
                for fee in self.fees
                if (not fee.reasons or reason in fee.reasons) and (not fee.sku_tags or own & set(fee.sku_tags))
            ),
            0,
        )

    def restocked(self, reason: ReturnReason) -> int:
        """Units of a hundred that are expected to be sold again."""
        return self.restock_percent.get(reason, self.restock_usual)


RETURN_RULES = ReturnRules()
"""What holds until somebody says something else."""


def put_return_rules(tx: Tx, rules: ReturnRules, at: int, by: str = "") -> int:
    """Write what may come back; returns whether it differs from what was there."""
    return write_setting(tx, "return_rules", msgspec.to_builtins(rules), at, by)


def read_return_rules(tx: Tx) -> ReturnRules:
    """What may come back."""
    return read_setting(tx, "return_rules", RETURN_RULES)


__all__ = ["RETURN_RULES", "Fee", "ReturnRules", "put_return_rules", "read_return_rules"]
