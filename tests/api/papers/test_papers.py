"""Papers say what they must, can be scanned, and print any name as far as there are letters for it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import reportlab

from api.carriers.own import sscc
from api.papers import Letters, print_label, print_packing_slip, print_pick_list
from api.papers.letters import BOLD, REGULAR
from api.papers.sheet import kilograms, money
from engine.carrying import Item, Party
from engine.labels import Label
from engine.shipping import ShippingTerms
from solver.refusal import Refusal
from tests.api.carriers.world import ADDRESS, AT, NAME, load
from tests.api.papers.reading import barcodes_of, pages_of, text_of

TERMS = ShippingTerms(sender="Kettle & Cup B.V.\nHaarlemmerweg 331\n1051 LH Amsterdam")
VERA = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"
LABEL = Label(
    no=1, id="lab1", consignment=load().consignment, carrier="own", service="ground", state="made", grams=1350, tries=1,
    tracking=sscc("0400000", 1), cents=695, wanted_at=AT, made_at=AT, why="",
)  # fmt: skip
LACKED = "? stands for a letter that cannot be printed here"


def label(name: str = NAME, address: str = ADDRESS, letters: Letters | None = None, **more: object) -> bytes:
    return print_label(replace(LABEL, **more), load(name, address), TERMS, letters or Letters())  # type: ignore[arg-type]


def slip(*items: Item, currency: str | None = None, **more: object) -> bytes:
    there = load(**({"items": items} if items else {}), **more)
    return print_packing_slip(there, TERMS, Letters(), currency=currency)


def test_a_label_says_from_where_to_whom_by_what_and_how_heavy() -> None:
    paper = label()
    text = text_of(paper)
    assert pages_of(paper) == [(105, 148)]
    for said in ("ground", "Kettle & Cup B.V.", "3542 AB Utrecht", NAME, "1017 AB Amsterdam", "NL", "1.35 kg", "2025-11-25",
                 "web W-1000", load().consignment, f"(00) {LABEL.tracking[0]} {LABEL.tracking[1:-1]}"):  # type: ignore[index]  # fmt: skip
        assert said in text, said
    assert "ann@example.org" not in text, "nobody needs that on the way"


def test_a_label_is_scanned_as_a_shipping_container_code() -> None:
    """GS1-128: the reader knows it by its first sign, and names the identifier."""
    assert barcodes_of(label(), dpi=203) == [f"(00){LABEL.tracking}"], "as coarse as label printers are"


def test_the_number_of_another_carrier_is_scanned_as_it_is() -> None:
    paper = label(carrier="parcelco", tracking="JJD000390007882")
    assert barcodes_of(paper) == ["JJD000390007882"]
    assert "parcelco" in text_of(paper)


def test_the_same_paper_is_the_same_bytes() -> None:
    """So that a label that is printed again is no other one."""
    assert label() == label()
    assert slip() == slip()


def test_what_is_collected_goes_to_the_store() -> None:
    there = replace(load(), collect="shop", recipient=Party("cus-1", (52.3, 4.9), "NL", NAME, "Shop Street 1\nHaarlem"))
    text = text_of(print_label(LABEL, there, TERMS, Letters()))
    assert "Store shop" in text
    assert f"for {NAME}" in text
    assert "Shop Street 1" in text


def test_a_label_of_somebody_whose_address_is_not_here_says_so() -> None:
    assert "(no address is kept here)" in text_of(label(name="", address=""))


@pytest.mark.parametrize(
    ("name", "printed", "whole"),
    [
        ("Łódź Žižek Ştefan", "Łódź Žižek Ştefan", True),
        ("Ελένη Жанна", "Ελένη Жанна", True),
        ("東京 Taro", "?? Taro", False),
        ("Taro 😀", "Taro", True),
        ("Kim 🫠", "Kim ?", False),
        ("Ａｎｎ", "Ann", True),
        ("נועה", "נועה", True),
        ("A\x07nn\u200d", "Ann", True),
        ("", "12 High Street", True),
    ],
)
def test_any_name_is_printed_as_far_as_there_are_letters(name: str, printed: str, whole: bool) -> None:
    text = text_of(label(name=name))
    assert printed in text
    assert (LACKED not in text) is whole


def test_a_deployment_brings_letters_of_its_own() -> None:
    """Where ours lack one, those that it names are looked at."""
    text = "Łódź"
    assert [piece for _, piece in Letters(ours=[VERA, VERA]).runs(text)] == ["Łódz"], "without its accent"
    both = Letters([REGULAR], ours=[VERA, VERA])
    assert [piece for _, piece in both.runs(text)] == ["Łód", "ź"]
    assert not both.lacked
    assert len({font for font, _ in both.runs(text)}) == 2
    with pytest.raises(Refusal, match=r"ALLOT_FONTS: /nowhere/font.ttf is no TrueType font that can be read"):
        Letters([Path("/nowhere/font.ttf")])


def test_long_text_is_broken_between_words_and_cut_where_there_is_no_room() -> None:
    letters = Letters()
    lines = letters.wrap("one two three " + "x" * 60, 10, 60)
    assert lines[0] == "one two"
    assert all(letters.width(line, 10) <= 60 for line in lines)
    cut = letters.wrap("one two three four five", 10, 60, most=2)
    assert len(cut) == 2
    assert cut[1].endswith("…")
    assert letters.width(cut[1], 10) <= 60
    paper = label(name="N" * 400, address="\n".join(["A" * 200] * 20))
    assert pages_of(paper) == [(105, 148)]
    assert barcodes_of(paper) == [f"(00){LABEL.tracking}"]


def test_a_packing_slip_says_what_is_in_the_parcel_of_what_was_ordered() -> None:
    paper = slip()
    text = text_of(paper)
    assert pages_of(paper) == [(210, 297)]
    assert barcodes_of(paper) == [load().consignment]
    for said in (
        "Packing slip",
        NAME,
        "web W-1000",
        "kettle",
        "tea-set",
        "2 × cup",
        "1 × kettle",
        "What else you ordered",
    ):
        assert said in text, said


def test_a_packing_slip_names_no_money_unless_asked() -> None:
    assert "EUR" not in text_of(slip())
    assert "19.99" not in text_of(slip())
    text = text_of(slip(currency="EUR"))
    for said in ("19.99 EUR", "39.98 EUR", "49.50 EUR", "89.48 EUR"):
        assert said in text, said


def test_a_packing_slip_of_unknown_prices_adds_nothing_up() -> None:
    items = (Item(1, "kettle", 1, 1, 1999, (("kettle", 1),)), Item(2, "cup", 1, 1, None, (("cup", 1),)))
    text = text_of(slip(*items, currency="EUR", elsewhere=0))
    assert text.count("19.99 EUR") == 2, "price and amount of the kettle, and no total"
    assert "What else you ordered" not in text


def test_a_long_packing_slip_goes_on_with_its_heading_on_the_next_page() -> None:
    items = tuple(Item(n, f"article-{n:03d}", 1, 1, None, ((f"article-{n:03d}", 1),)) for n in range(1, 201))
    paper = slip(*items)
    text, pages = text_of(paper), len(pages_of(paper))
    assert pages > 3
    assert text.count("In this parcel") == pages
    assert f"{pages} / {pages}" in text
    assert all(item.sku in text for item in items)


def test_a_pick_list_has_each_article_once_and_each_consignment_with_its_barcode() -> None:
    loads = [replace(load(), consignment=f"con_{'abcdefghij234567qrs'}{n}", external_id=f"W-{n}") for n in range(2, 5)]
    paper = print_pick_list("near", loads, AT, Letters(), more=4)
    text = text_of(paper)
    assert barcodes_of(paper) == [one.consignment for one in loads]
    for said in ("3 consignments, 15 units", "4 more consignments to pick", "#1×3, #2×3, #3×3", "#1×2, #2×2, #3×2", "web W-4",
                 "2025-11-25 10:00 UTC"):  # fmt: skip
        assert said in text, said


def test_a_pick_list_of_many_goes_over_pages_that_can_all_be_scanned() -> None:
    loads = [replace(load(), consignment=f"con_{n:020d}") for n in range(40)]
    paper = print_pick_list("near", loads, AT, Letters())
    found = [code for page in range(len(pages_of(paper))) for code in barcodes_of(paper, page)]
    assert found == [one.consignment for one in loads]


def test_a_node_without_work_has_an_empty_list() -> None:
    assert "Nothing is to be picked." in text_of(print_pick_list("near", [], AT, Letters()))


@pytest.mark.parametrize(
    ("show", "shown"),
    [
        (lambda: money(1999, "EUR"), "19.99 EUR"), (lambda: money(123456, "JPY"), "123,456 JPY"),
        (lambda: money(5, "KWD"), "0.005 KWD"), (lambda: money(-250, "EUR"), "-2.50 EUR"),
        (lambda: kilograms(999), "999 g"), (lambda: kilograms(1005), "1.00 kg"), (lambda: kilograms(12_340), "12.34 kg"),
        (lambda: kilograms(2666), "2.67 kg"),
    ],
)  # fmt: skip
def test_figures_are_written_as_people_read_them(show: Callable[[], str], shown: str) -> None:
    assert show() == shown


def test_our_fonts_may_be_given_on() -> None:
    assert REGULAR.exists()
    assert BOLD.exists()
    assert "Bitstream Vera" in (REGULAR.parent / "LICENSE").read_text()
