"""Whether text mentions somebody."""

import json
import unicodedata

import pytest

from engine.mentions import Mentions, street_of

RENE = ["René Müller", "Hauptstraße 5", "rene@example.org"]


@pytest.mark.parametrize(
    "text",
    [
        "René Müller has it", "for RENÉ MÜLLER.", "rené\n  müller's parcel", unicodedata.normalize("NFD", "René Müller"),
        json.dumps({"to": "René Müller"}), json.dumps(json.dumps({"to": ["RENÉ MÜLLER"]})), "to HAUPTSTRASSE 5, 1010 Wien",
        "ｒｅｎｅ＠example.org wrote", "<RENE@EXAMPLE.ORG>", b'{"at":"Hauptstra\xc3\x9fe\\n5"}', "Dr.René Müller",
    ],
)  # fmt: skip
def test_somebody_is_found_in_any_spelling(text: str | bytes) -> None:
    assert text in Mentions(RENE)


@pytest.mark.parametrize(
    "text",
    [
        "", None, "Rene Muller", "Irené Müller", "René Müllers", "René Müller-Huber", "Hauptstraße 57", "Hauptstraße 5a",
        "marie.rene@example.org", "rene@example.org.uk", "irene@example.org", "Wien",
    ],
)  # fmt: skip
def test_others_whose_names_are_similar_are_not(text: str | None) -> None:
    assert text not in Mentions(RENE)


def test_a_first_name_is_not_found_in_addresses_of_mail_or_names_that_have_it() -> None:
    assert "Ann's parcel" in Mentions(["Ann"])
    for text in (
        "ann@example.org",
        "ann.lee@example.org",
        "mary.ann@example.org",
        "bob@ann",
        "Mary-Ann",
        "Anna",
        "planned",
    ):
        assert text not in Mentions(["Ann"])


def test_a_script_without_spaces_has_no_whole_words() -> None:
    assert "请联系王芳女士" in Mentions(["王芳"])
    assert "ติดต่อสมชายวันนี้" in Mentions(["สมชาย"])


def test_a_letter_beyond_the_basic_plane_is_found_though_json_has_it_in_two_pieces() -> None:
    assert json.dumps("𠮷田 has it") in Mentions(["𠮷田"])


@pytest.mark.parametrize("number", ["+31 6 12345678", "+31612345678", "0031-6-1234 5678", "+31 (0)6 12345678"])
def test_a_telephone_number_is_found_by_its_digits(number: str) -> None:
    told = Mentions([number])
    for text in (
        "+31 6 12345678",
        "call +31612345678.",
        "tel:+31-6-12-34-56-78",
        "0031 (0)6/1234.5678",
        "%2B31612345678",
    ):
        assert text in told, text
    for text in ("+31 6 123456789", "1316 12345678 9", "+31 6 12345679", "31 units, 6 of 12345678"):
        assert text not in told, text


def test_an_address_of_mail_is_found_in_an_address_of_the_web() -> None:
    assert "https://shop.example/?of=ren%65%40example.org&page=2" in Mentions(RENE)
    assert "https://shop.example/?of=irene%40example.org" not in Mentions(RENE)


@pytest.mark.parametrize(
    ("address", "street"),
    [
        ("1 High Street\n1234 Town", "1 High Street"), ("Acme GmbH\nHauptstr. 5\nTop 3\n1010 Wien\nAT", "Hauptstr. 5"),
        ("12 Elm St, Springfield, IL 62701, US", "12 Elm St"), ("Flat 2\n10 Downing Street\nLondon SW1A 2AA", "10 Downing Street"),
        ("1234 Elm Street\nSpringfield", "1234 Elm Street"), ("High Street\n1234 Town", "High Street"),
        ("Rose Cottage\nLittle Village", "Rose Cottage"), ("1 High Street", "1 High Street"), ("Town", ""), ("", ""),
        ("東京都千代田区1-1", "東京都千代田区1-1"), ("Flat 3, 12 High Street\nLondon", "12 High Street"), ("Flat 3, London", ""),
        ("12 High Street, Flat 3\nLondon", "12 High Street"), ("Apt. 4B\n1234 Elm Street\nSpringfield", "1234 Elm Street"),
        ("3rd floor, Rose House\nLondon", "Rose House"), ("Hauptstr. 5, 2. Stock\n1010 Wien", "Hauptstr. 5"),
    ],
)  # fmt: skip
def test_of_an_address_the_street_says_who_it_is_and_the_town_does_not(address: str, street: str) -> None:
    assert street_of(address) == street
