from dataclasses import replace

import pytest

from api.carriers import Declined, Wanted
from api.carriers.own import Own, check_digit, is_sscc, sscc
from engine.carrying import Party, Rate
from tests.api.carriers.test_contract import tariffs
from tests.api.carriers.world import load

OWN = Own(tariffs(), "0400000")


def test_a_check_digit_is_that_of_gs1() -> None:
    """The worked example of the GS1 General Specifications, 7.9."""
    assert check_digit("37610425002123456") == "9"
    assert is_sscc("376104250021234569")
    assert not is_sscc("376104250021234568")
    assert not is_sscc("37610425002123456")
    assert not is_sscc("３76104250021234569")


def test_a_code_is_extension_prefix_number_and_check_digit() -> None:
    assert sscc("0400000", 1) == "0" + "0400000" + "000000001" + check_digit("00400000000000001")
    assert sscc("0400000", 9_123_456_789)[:17] == "9" + "0400000" + "123456789"
    assert all(is_sscc(sscc("8712345", number)) for number in range(1, 200))
    with pytest.raises(Declined, match="no_numbers_left"):
        sscc("0400000", 10**10)


def test_its_services_are_priced_by_zone_and_step() -> None:
    here = load(services=("ground", "van"))
    assert OWN.rate(here) == [Rate("van", 450, 0), Rate("ground", 600, 1)]
    assert OWN.rate(replace(here, grams=2001)) == [Rate("van", 450, 0), Rate("ground", 900, 1)]
    assert OWN.rate(replace(here, grams=6001)) == [Rate("van", 510, 0), Rate("ground", 900, 1)], "each started kg"
    far = replace(here, recipient=Party("", (48.1, 11.5)))
    assert OWN.rate(far) == [Rate("ground", 1400, 4)]
    assert OWN.rate(replace(here, services=("van",))) == [Rate("van", 450, 0)]


@pytest.mark.parametrize(
    ("service", "more", "code"),
    [
        ("moped", {}, "unknown_service"),
        ("van", {}, "not_allowed"),
        ("ground", {"recipient": Party("", None)}, "no_place"),
        ("ground", {"recipient": Party("", (-40.0, 175.0))}, "too_far"),
    ],
)
def test_it_says_why_it_does_not_carry(service: str, more: dict[str, object], code: str) -> None:
    with pytest.raises(Declined, match=code):
        OWN.make(Wanted("k", 1, service, load(**more)))


def test_what_is_personal_is_not_shown_where_a_parcel_is() -> None:
    assert "Ann" not in repr(load())
    assert "High Street" not in repr(load())
    assert "ann@" not in repr(Wanted("k", 1, "ground", load()))
