"""Options that more than one command has."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from solver.effort import Effort

Until = Annotated[str | None, typer.Option(metavar="DAY", help="Last day, as 2011-01-31.", show_default=False)]
When = Annotated[
    str, typer.Option(metavar="WHEN", help="When to decide: once a day, on arrival, or every so many minutes.")
]
ReleaseAfter = Annotated[
    int, typer.Option(min=0, metavar="MINUTES", help="For so long each wave may change what is decided.")
]
Chances = Annotated[
    str | None,
    typer.Option(
        metavar="CHANCES",
        help="What nobody planned, as short_pick=0.02,refuse=0.05,cancel=0.01,give_back=0.06,late=0.1.",
        show_default=False,
    ),
]


def effort_of(seconds: float | None, work: int | None, spent: float = 0.0, usual: float = 60.0) -> "Effort":
    """What a policy may still spend, reading included."""
    from solver.effort import Effort
    from solver.refusal import Refusal

    if seconds is not None and seconds != seconds:
        raise Refusal("--time-limit", "is not a number of seconds")
    if seconds is None:
        seconds = usual if work is None else None
    return Effort(None if seconds is None else max(0.0, seconds - spent), work)


__all__ = ["Chances", "ReleaseAfter", "Until", "When", "effort_of"]
