import unicodedata

import pytest

from api.papers.visual import visual


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Łódź", "Łódź"),
        ("e\u0301", "é"),
        ("a\u200eb\u202ec\ufe0f", "abc"),
        ("שלום", "םולש"),
        ("שלום 12", "12 םולש"),
        ("רחוב 12, דירה 3", "3 הריד ,12 בוחר"),
        ("שלום (א)", "(א) םולש"),
        ("Tel Aviv שלום", "Tel Aviv םולש"),
        ("Flat 3, שלום 12 Tel", "Flat 3, 12 םולש Tel"),
    ],
)
def test_a_line_is_written_in_the_order_in_which_it_is_seen(text: str, seen: str) -> None:
    assert visual(text) == seen


def test_vowel_points_stay_on_their_letters() -> None:
    assert visual("\u05e9\u05b8\u05dc") == "\u05dc\u05e9\u05b8"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("محمد", ["DAL FINAL", "MEEM MEDIAL", "HAH MEDIAL", "MEEM INITIAL"]),
        ("باب", ["BEH ISOLATED", "ALEF FINAL", "BEH INITIAL"]),
        ("دار", ["REH ISOLATED", "ALEF ISOLATED", "DAL ISOLATED"]),
        ("لا", ["LAM WITH ALEF ISOLATED"]),
        ("بلا", ["LAM WITH ALEF FINAL", "BEH INITIAL"]),
        ("ه", ["HEH ISOLATED"]),
    ],
)
def test_arabic_letters_are_joined(text: str, names: list[str]) -> None:
    told = [unicodedata.name(letter) for letter in visual(text)]
    short = [
        name.removeprefix("ARABIC LETTER ").removeprefix("ARABIC LIGATURE ").removesuffix(" FORM") for name in told
    ]
    assert short == names
