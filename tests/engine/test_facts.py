import msgspec
import pytest

from engine.facts import OrderedLine, OrderPlaced, StockCounted, checked, content, order_id, read_fact
from solver.refusal import Refusal


def placed(**more: object) -> OrderPlaced:
    usual: dict[str, object] = {
        "at": 1,
        "channel": "web",
        "external_id": "17",
        "lines": (OrderedLine(sku="tee", qty=2),),
    }
    return OrderPlaced(**{**usual, **more})  # type: ignore[arg-type]


def test_a_fact_comes_back_from_the_log_as_it_was() -> None:
    assert read_fact(checked(placed())) == placed()


def test_the_same_order_has_the_same_id_whoever_sends_it() -> None:
    assert placed().id == placed(at=99).id == order_id("web", "17")
    assert order_id("web", "17") != order_id("we", "b17")
    with pytest.raises(ValueError, match="the id of this order"):
        placed(id="ord_mine")


def test_content_is_the_same_whenever_it_happened() -> None:
    assert content(placed(at=1)) == content(placed(at=2))
    assert content(placed()) != content(placed(priority=1))


@pytest.mark.parametrize(
    ("fact", "place"),
    [
        (placed(external_id="a\0b"), "external_id"),
        (placed(external_id="a\n"), "external_id"),
        (placed(external_id=""), "external_id"),
        (placed(external_id="\ud800"), ""),
        (placed(external_id="x" * 201), "external_id"),
        (placed(lines=()), "lines"),
        (placed(lines=(OrderedLine(sku="tee", qty=0),)), "lines[0].qty"),
        (placed(lines=(OrderedLine(sku="tee", qty=10**6 + 1),)), "lines[0].qty"),
        (placed(at=2**70), "at"),
        (StockCounted(id="c", at=1, sku="tee", node="n", units=-1), "units"),
        (StockCounted(id="c", at=1, sku="tee", node="n", units=1.5), "units"),  # type: ignore[arg-type]
    ],
    ids=range(11),
)
def test_what_is_out_of_bounds_is_refused_where_it_is(fact: OrderPlaced, place: str) -> None:
    with pytest.raises(Refusal) as refused:
        checked(fact)
    assert refused.value.place == place


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(Refusal):
        read_fact(msgspec.json.encode({"kind": "NodePaused", "id": "p", "at": 1, "node": "n", "nod": "m"}))
