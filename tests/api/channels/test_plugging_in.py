"""Another kind of channel is one file."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from api import ports
from api.channels import GROUP, OURS, Answer, Arrival, Reading, Told, amazon, channel_of, kinds, shopify, woocommerce
from engine.channel_said import LineSaid, OrderSaid
from engine.connections import Connection
from engine.facts import order_id
from solver.refusal import Refusal
from tests.api.channels.shop import Shop
from tests.api.http.conftest import AT
from tests.api.http.world import done, put

ROOT = Path(__file__).parents[3]


def verify(
    _connection: Connection, headers: Mapping[str, str], _body: bytes, signing: Sequence[str] | None
) -> Arrival | None:
    proven = signing is None or headers.get("x-bazaar-word") in signing
    return Arrival(headers.get("x-bazaar-id", "1"), "order") if proven else None


def read(_connection: Connection, _arrival: Arrival, payload: Any) -> Reading:
    line = LineSaid(ref="1", sku=payload["what"], wanted=payload["many"])
    return Reading(
        OrderSaid(order=payload["no"], placed_at=AT, said_at=AT, currency="EUR", lines=(line,), country="NL")
    )


BAZAAR = SimpleNamespace(
    SECRETS=("signing",),
    TOGETHER=10,
    check=lambda _: None,
    verify=verify,
    read=read,
    push=lambda *_: Told(),
    ship=lambda *_: Answer(),
)


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    point = EntryPoint("bazaar", f"{__name__}:BAZAAR", GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda _: BAZAAR)
    found = EntryPoints([point])
    monkeypatch.setattr(ports, "entry_points", lambda **wanted: found.select(**wanted))
    return


@pytest.mark.usefixtures("plugged")
def test_a_kind_that_somebody_else_brings_takes_orders_in_as_ours_do(shop: Shop) -> None:
    assert kinds() == ["amazon", "bazaar", "shopify", "woocommerce"]
    put(shop.desk, "channels/market", {"safety": 0})
    body = {"kind": "bazaar", "channel": "market", "account": "stall 5", "secrets": {"signing": "sesame"}}
    put(shop.desk, "connections/stall", body)
    shop.connection = "stall"
    said = b'{"no": "B-1", "what": "kettle", "many": 2}'
    assert shop.post(said, {"X-Bazaar-Word": "please"}).status_code == 401
    heard = done(shop.post(said, {"X-Bazaar-Word": "sesame"}))
    assert heard == {"outcome": "applied", "order": order_id("market", "B-1"), "issues": 0}
    assert done(shop.post(said, {"X-Bazaar-Word": "sesame"}))["outcome"] == "seen"


def test_a_kind_that_nobody_brings_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(Refusal, match=r"kind: 'bazaar' is none of amazon, shopify, woocommerce"):
        channel_of("bazaar")


@pytest.mark.parametrize("module", ["payload", "hearing", "pushing", *OURS])
def test_each_module_can_be_the_first_that_is_imported(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import api.channels.{module}"], check=True)


@pytest.mark.parametrize("module", [amazon, shopify, woocommerce])
def test_every_secret_and_option_of_a_kind_is_on_the_page(module: ModuleType) -> None:
    page = (ROOT / "api/channels/README.md").read_text()
    used = re.findall(r'(?:\.option|options\.get)\("(\w+)"', Path(str(module.__file__)).read_text().replace("'", '"'))
    assert [name for name in (*module.SECRETS, *used) if f"`{name}`" not in page] == []
