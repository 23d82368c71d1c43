from api import figures
from solver import policies


def test_money_has_separators_and_two_decimals() -> None:
    assert figures.money(123_456_789) == "1,234,567.89"
    assert figures.money(-5) == "-0.05"


def test_a_gap_is_never_rounded_to_nothing() -> None:
    assert figures.gap(0) == "0 %"
    assert figures.gap(0.000_01) == "< 0.01 %"
    assert figures.gap(0.0123) == "1.23 %"
    assert figures.gap(1) == "no bound"


def test_what_costs_more_has_a_sign() -> None:
    assert [figures.more(share) for share in (0.1234, -0.05, None)] == ["+12.3 %", "−5.0 %", ""]


def test_control_characters_of_an_id_are_shown_and_not_obeyed() -> None:
    assert figures.printable("N1\x1b[2J\n") == "N1\\x1b[2J\\n"


def test_every_policy_has_a_name_for_people() -> None:
    assert tuple(figures.POLICY_NAMES) == policies.NAMES + policies.AHEAD
