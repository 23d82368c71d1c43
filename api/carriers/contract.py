"""What any carrier must keep to, so that somebody who writes one can see whether it does: `broken_rules(carrier, load)`.

It makes and cancels labels: give it a carrier that is open on its test system.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import get_args

from api.carriers import Carrier, Declined, Made, Status, Wanted
from engine.carrying import Load

CODE = re.compile(r"[a-z][a-z0-9_]{0,49}")
TRACKING = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")
PAPER = b"%PDF-"


def broken_rules(carrier: Carrier, load: Load, number: int = 1) -> list[str]:
    """Name what a carrier does not keep to, with a parcel that it takes.

    Parameters
    ----------
    number
        The first of three numbers for labels that nobody else uses.
    """
    return [*_rates(carrier, load), *_labels(carrier, load, number), *_declined(carrier, load, number)]


def _rates(carrier: Carrier, load: Load) -> Iterator[str]:
    rates = carrier.rate(load)
    if not rates:
        yield "rates: it takes the parcel by some service"
    if any(low.cents > high.cents for low, high in pairwise(rates)):
        yield "rates: the cheapest is first"
    if any(one.cents < 0 or one.days < 0 for one in rates):
        yield "rates: price and days are at least 0"
    if len({one.service for one in rates}) < len(rates):
        yield "rates: each service is named once"
    if carrier.rate(load) != rates:
        yield "rates: the same is asked for the same"


def _labels(carrier: Carrier, load: Load, number: int) -> Iterator[str]:
    rate = next(iter(carrier.rate(load)), None)
    if rate is None:
        return
    wanted = Wanted(f"contract-{number}", number, rate.service, load)
    made, again = carrier.make(wanted), carrier.make(wanted)
    if (again.tracking, again.cents) != (made.tracking, made.cents):
        yield "labels: the same key again is the same label"
    if (made.paper is None) != (again.paper is None):
        yield "labels: the same key again has its paper again"
    other = carrier.make(Wanted(f"contract-{number + 1}", number + 1, rate.service, load))
    if other.tracking == made.tracking:
        yield "labels: another key is another label"
    yield from _label(made)
    if made.cents != rate.cents:
        yield "labels: it takes what its rate says"
    scans = carrier.track(made.tracking)
    if any(before.at > after.at for before, after in pairwise(scans)):
        yield "tracking: scans are in the order of time"
    if any(scan.status not in get_args(Status) for scan in scans):
        yield "tracking: each scan has a status that is known"
    for one, key in ((made, wanted.key), (other, f"contract-{number + 1}"), (other, f"contract-{number + 1}")):
        carrier.cancel(key, one.tracking)
    carrier.cancel(wanted.key, None)
    carrier.cancel(f"contract-{number}-never-made", None)


def _label(made: Made) -> Iterator[str]:
    if TRACKING.fullmatch(made.tracking) is None:
        yield "labels: the number is of 1 to 200 letters that any barcode has"
    if made.cents < 0:
        yield "labels: the price is at least 0"
    if made.paper is not None and not made.paper.startswith(PAPER):
        yield "labels: the paper is PDF"


def _declined(carrier: Carrier, load: Load, number: int) -> Iterator[str]:
    try:
        carrier.make(Wanted(f"contract-{number + 2}", number + 2, "no such service", load))
    except Declined as declined:
        if CODE.fullmatch(declined.code) is None:
            yield "declined: the reason is a name in small letters"
    else:
        yield "declined: a service that there is not is declined"
