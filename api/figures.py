"""How figures are written for people: money with separators, shares as percentages, no control characters."""

TERM_NAMES = {
    "carriage": "Carriage",
    "handling": "Handling",
    "late": "Lateness",
    "stock_value": "Value of stock",
    "overtime": "Overtime",
    "unfilled": "Unfilled",
    "broken_promise": "Broken promises",
}
"""The terms of the bill, as people read them."""

POLICY_NAMES = {
    "nearest": "Nearest",
    "fewest_parcels": "Fewest parcels",
    "cheapest": "Cheapest",
    "joint": "Joint",
    "cp_sat": "CP-SAT",
    "highs": "HiGHS",
    "magento.priority": "Magento priority",
    "magento.distance": "Magento distance",
    "saleor.high_stock": "Saleor high stock",
    "saleor.sorting_order": "Saleor sorting order",
    "vendure.multichannel": "Vendure multi-channel",
    "medusa.first_location": "Medusa first location",
    "solidus.on_hand_first": "Solidus on hand first",
    "spree.rules": "Spree rules",
    "spree.legacy_prioritizer": "Spree legacy",
    "shopify.first_non_tie": "Shopify first non-tie",
    "salesforce.fewest_splits": "Salesforce fewest splits",
    "hotwax.brokering": "HotWax brokering",
    "fluent.responsive_sourcing": "Fluent sourcing",
    "fft.fences_ratings": "fulfillmenttools ratings",
    "ibm.weighted_cost": "IBM weighted cost",
    "d365.mip": "Dynamics 365 MIP",
    "bid_price": "Bid price",
    "sampled_futures": "Sampled futures",
    "primal_dual": "Primal-dual",
    "spillover": "Spillover limits",
    "window": "Batching window",
}
"""The policies, as people read them; one that is not here keeps its own name."""


def money(cents: float) -> str:
    """Write cents as an amount with two decimals and thousands separators, in whatever currency the wave is."""
    return f"{cents / 100:,.2f}"


def signed(cents: float) -> str:
    """Write a difference of money with its sign."""
    return "0.00" if abs(cents) < 0.5 else f"{'+' if cents > 0 else '−'}{money(abs(cents))}"


def whole(count: float) -> str:
    """Write a count with thousands separators."""
    return f"{count:,.0f}"


def percent(share: float, digits: int = 1) -> str:
    """Write a share as a percentage."""
    return f"{100 * share:,.{digits}f} %"


def gap(share: float) -> str:
    """Write a gap: never `0.00 %` for what is not proven optimal, and none where nothing is proven."""
    if share >= 1:
        return "no bound"
    return "0 %" if share <= 0 else "< 0.01 %" if share < 0.0001 else percent(share, 2)


def more(share: float | None) -> str:
    """Write how much more something costs, with its sign."""
    return "" if share is None else f"{100 * share:+,.1f} %".replace("-", "−")


def duration(seconds: float) -> str:
    """Write seconds as people say them."""
    if seconds < 0.05:
        return f"{1000 * seconds:.2f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def printable(text: str) -> str:
    """Make control characters visible, so that an id from a file cannot steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def policy_name(name: str) -> str:
    """The name of a policy, as people read it."""
    return POLICY_NAMES.get(name, name)


def term_name(term: str) -> str:
    """The name of a term of the bill, as people read it."""
    return TERM_NAMES.get(term, term.replace("_", " ").capitalize())


def version() -> str:
    """The version of allot that runs; a checkout that was never installed has none."""
    from importlib import metadata

    try:
        return metadata.version("allot")
    except metadata.PackageNotFoundError:
        return "(not installed)"
