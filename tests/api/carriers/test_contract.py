"""What any carrier keeps to, each that is known here does; and one that does not is found out."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from api.carriers import CARRIERS, Carrier, Declined, Made, Rate, Scan, Setup, Wanted, open_carrier
from api.carriers.contract import broken_rules
from engine.carrying import Load
from engine.shipping import ShippingTerms
from solver.problem import Problem
from solver.refusal import Refusal
from solver.wave import Service, Wave, problem_of
from tests.api.carriers.stand_in import Company, ParcelCo
from tests.api.carriers.world import load


def tariffs() -> Problem:
    services = [
        Service("ground", [300.0, 6000.0], [2000, 30000], [[600, 900], [1400, 2600]], [10, 20], [1, 4]),
        Service("van", [50.0], [5000], [[450]], [30], [0]),
    ]
    return problem_of(Wave("wave/1", [], [], [], services, []))


SETUP = Setup(tariffs(), ShippingTerms())
CITIZENS: dict[str, Callable[[], Carrier]] = {
    **{name: lambda name=name: open_carrier(name, SETUP) for name in CARRIERS},  # type: ignore[misc]
    "a live one": lambda: ParcelCo(Company()),
}


@pytest.mark.parametrize("name", list(CITIZENS))
def test_a_carrier_keeps_to_the_contract(name: str) -> None:
    assert broken_rules(CITIZENS[name](), load(services=("ground", "van"))) == []


class Kept:
    """A carrier that keeps to everything; others break one thing."""

    tracks = True
    cents = 500

    def rate(self, load: Load) -> list[Rate]:
        return [Rate("a", 500, 1), Rate("b", 700, 1)]

    def make(self, wanted: Wanted) -> Made:
        if wanted.service not in ("a", "b"):
            raise Declined("unknown_service")
        return Made(f"K{wanted.number}", self.cents, b"%PDF-1.4")

    def cancel(self, key: str, tracking: str | None) -> None:
        pass

    def track(self, tracking: str) -> list[Scan]:
        return []


class Dearest(Kept):
    def rate(self, load: Load) -> list[Rate]:
        return super().rate(load)[::-1]


class Dearer(Kept):
    cents = 501


class Twice(Kept):
    made = 0

    def make(self, wanted: Wanted) -> Made:
        self.made += 1
        return replace(super().make(wanted), tracking=f"K{self.made}")


class Same(Kept):
    def make(self, wanted: Wanted) -> Made:
        return replace(super().make(wanted), tracking="K")


class Picture(Kept):
    def make(self, wanted: Wanted) -> Made:
        return replace(super().make(wanted), paper=b"GIF89a")


class Talkative(Kept):
    def make(self, wanted: Wanted) -> Made:
        if wanted.service == "no such service":
            raise Declined(f"{wanted.load.recipient.name} cannot have that")
        return super().make(wanted)


class Anything(Kept):
    def make(self, wanted: Wanted) -> Made:
        return Made(f"K{wanted.number}", 500)


class Backwards(Kept):
    def track(self, tracking: str) -> list[Scan]:
        return [Scan(2, "in_transit"), Scan(1, "delivered")]


class Unprintable(Kept):
    def make(self, wanted: Wanted) -> Made:
        return replace(super().make(wanted), tracking=f"é{wanted.number}")


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (Dearest, "rates: the cheapest is first"), (Dearer, "labels: it takes what its rate says"),
        (Twice, "labels: the same key again is the same label"), (Same, "labels: another key is another label"),
        (Picture, "labels: the paper is PDF"), (Talkative, "declined: the reason is a name in small letters"),
        (Anything, "declined: a service that there is not is declined"),
        (Backwards, "tracking: scans are in the order of time"),
        (Unprintable, "labels: the number is of 1 to 200 letters that any barcode has"),
    ],
)  # fmt: skip
def test_a_carrier_that_breaks_a_rule_is_found_out(kind: type[Kept], rule: str) -> None:
    assert broken_rules(Kept(), load()) == []
    assert rule in broken_rules(kind(), load())


def test_a_carrier_is_found_by_its_name() -> None:
    company = Company()
    known = {**CARRIERS, "parcelco": lambda _setup: ParcelCo(company)}
    assert open_carrier("parcelco", SETUP, known).rate(load())
    with pytest.raises(Refusal, match="'snail' is not a carrier here; there is own, parcelco"):
        open_carrier("snail", SETUP, known)
