"""What the pages of all reports share: templates filled in, drawings, and the sentence that compares.

A page is one file that opens without a network.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from api import figures
from api.charts import Billed


def page(template: str, values: Mapping[str, Any]) -> str:
    """Fill in a template. What comes from a file is escaped; only drawings of `api.charts` go in as they are."""
    pages = Environment(
        loader=PackageLoader("api"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
        keep_trailing_newline=True,
    )
    for write in (
        figures.money,
        figures.whole,
        figures.percent,
        figures.gap,
        figures.more,
        figures.duration,
        figures.policy_name,
        figures.term_name,
    ):
        pages.filters[write.__name__] = write
    return pages.get_template(template).render(version=figures.version(), **values)


def drawing(svg: str) -> Markup:
    """Mark a drawing as fit to stand in a page: altair has escaped the text in it."""
    return Markup(svg)  # noqa: S704


def encoded(value: Any) -> bytes:
    """A value as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def unbroken(text: str) -> str:
    """Keep every percentage on one line."""
    return text.replace(" %", "\u00a0%")


def others_cost(rows: Sequence[Billed], best: Billed) -> str:
    """One sentence: what the other policies cost more."""
    others = [row for row in rows if row is not best]
    if not others or not best.cost_cents:
        return ""
    return (
        listed([f"{figures.policy_name(r.policy)} {difference(r.cost_cents, best.cost_cents)}" for r in others]) + "."
    )


def difference(cents: int, best_cents: int) -> str:
    """What a plan costs more than the best."""
    return (
        "costs as much" if cents == best_cents else f"costs {figures.percent((cents - best_cents) / best_cents)} more"
    )


def listed(parts: list[str]) -> str:
    """Join parts as a sentence does."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
