"""A policy as people name it: one of ours with settings after a colon, or one found in a file of one's own."""

from solver import policies
from solver.effort import Effort, Policy, Watch, unwatched
from solver.outlook import Outlook
from solver.policies.own import Own, make_own
from solver.refusal import Refusal


def looks_ahead(name: str) -> bool:
    """Whether a policy is to be told what the future may ask for."""
    return name.looks_ahead if isinstance(name, Own) else name.partition(":")[0] in policies.AHEAD


def make_named(
    text: str,
    effort: Effort | None = None,
    seed: int = 0,
    watch: Watch = unwatched,
    outlook: Outlook | None = None,
) -> Policy:
    """Make a policy by its name, settings included.

    Raises
    ------
    Refusal
        If there is none of that name, or it cannot be told what the settings say.
    """
    if isinstance(text, Own):
        return make_own(text, effort, seed, watch, outlook)
    try:
        name, said = policies.told(text)
        if not said and outlook is None:
            return policies.make(name, effort, seed, watch)
        return policies.make(name, effort, seed, watch, said, outlook)
    except ValueError as error:
        raise Refusal("policy", str(error), "bad_settings") from None


__all__ = ["looks_ahead", "make_named"]
