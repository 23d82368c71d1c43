"""Who may do what: every route with every scope."""

from collections.abc import Callable

import pytest

from api import keys
from api.http import description
from api.http.door import access_of
from api.keys import SCOPES
from engine.database import Database
from solver.refusal import Refusal
from tests.api.http.conftest import Desk, opened
from tests.engine.shop import open_shop


def test_every_route_refuses_who_shows_no_key_or_one_of_another_scope(
    embedded: Database, record_property: Callable[[str, object], None]
) -> None:
    """And lets in who has the right one: what is refused then is the request, not the caller."""
    open_shop(embedded)
    with opened(embedded, rate="1000000/minute", failed_rate="1000000/minute") as desk:
        desk.node = "store"
        routes = asked = wrong = 0
        for route in description.guarded(desk.app):
            allowed = {*access_of(route.endpoint).scopes, "admin"}
            path = route.path_format.replace("{node}", "store").replace("{", "no-").replace("}", "")
            for method in route.methods:
                routes += 1
                assert desk.ask(method, path, scope=None).status_code == 401
                bad = desk.ask(method, path, scope=None, headers={"Authorization": "Bearer allot_wrong"})
                assert bad.status_code == 401
                for scope in SCOPES:
                    answer = desk.ask(method, path, scope=scope)
                    asked += 1
                    if scope in allowed:
                        assert answer.status_code not in (401, 403, 500), (method, path, scope)
                    else:
                        assert answer.status_code == 403, (method, path, scope)
                        wrong += 1
        assert wrong
        for name, count in (("routes", routes), ("with a key", asked), ("refused for their scope", wrong)):
            record_property(name, count)


def test_every_route_says_who_may_use_it(desk: Desk) -> None:
    schema = desk.get("/openapi.json", scope=None).json()
    assert schema["openapi"].startswith("3.1")
    ids = []
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            ids.append(operation["operationId"])
            if path.startswith("/v1/"):
                needed, *others = operation["security"]
                assert others in ([], [{"signature": []}]), "who shows no key signs what they send"
                assert set(needed["key"]) <= set(SCOPES)
                assert "admin" in needed["key"]
                assert {"401", "403", "429"} <= operation["responses"].keys()
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("scopes", "node"), [([], None), (["king"], None), (["node"], None), (["operator"], "n1"), (["node", "admin"], "n1"),
                         (["node"], "nowhere")],
)  # fmt: skip
def test_a_key_is_of_known_scopes_and_staff_is_of_one_node(
    database: Database, scopes: list[str], node: str | None
) -> None:
    with pytest.raises(Refusal):
        database.write(lambda tx: keys.create(tx, 1, "x", scopes, node))
