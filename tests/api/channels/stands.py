"""Stand-ins of channels' own APIs: what they hold, what they were asked, and how they answer."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class ShopifyStand:
    """A shop's Admin API: levels by inventory item at one location, set where they are what the caller thinks."""

    levels: dict[str, int] = field(default_factory=dict)
    location: str = "gid://shopify/Location/64"
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    fail: list[httpx.Response | Exception] = field(default_factory=list)
    """What comes instead of an answer, one after the other."""
    available: float = 1000.0
    unstocked: set[str] = field(default_factory=set)
    orders: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    """Units left of lines, by order and fulfilment order."""
    locations: dict[str, str] = field(default_factory=dict)
    """Where fulfilment orders are to be fulfilled, if not all at one place."""
    page: int = 100
    """Items that are listed at once."""
    on_hold: set[str] = field(default_factory=set)
    parcels: list[dict[str, Any]] = field(default_factory=list)
    """What was fulfilled: its order, its tracking, and units by line."""
    lose: int = 0
    """Answers to a fulfilment that are lost once it is done."""

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self.answer))

    @property
    def sets(self) -> list[dict[str, Any]]:
        """What was asked to be set."""
        return [one["variables"] for one in self.asked if "inventorySetQuantities" in one["query"]]

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "https://brouwer-koffie.myshopify.com/admin/api/2026-04/graphql.json"
        assert request.headers["X-Shopify-Access-Token"] == "shpat_x"
        if self.fail:
            instead = self.fail.pop(0)
            if isinstance(instead, Exception):
                raise instead
            return instead
        said = json.loads(request.content)
        self.asked.append(said)
        acts = {
            "Tell": self._set,
            "There": self._there,
            "ToFulfil": self._to_fulfil,
            "Items": self._items,
            "Fulfil": self._fulfil,
        }
        data = acts[said["query"].split("(")[0].split()[-1]](said["variables"])
        if "fulfillmentCreate" in data and self.lose:
            self.lose -= 1
            raise httpx.ReadTimeout("lost")
        state = {"maximumAvailable": 1000.0, "currentlyAvailable": self.available, "restoreRate": 50.0}
        cost = {"requestedQueryCost": 10, "actualQueryCost": 10, "throttleStatus": state}
        return httpx.Response(200, json={"data": data, "extensions": {"cost": cost}})

    def _set(self, variables: dict[str, Any]) -> dict[str, Any]:
        if variables["key"] in self.keys:
            return self.keys[variables["key"]]
        errors = []
        quantities = variables["input"]["quantities"]
        for i, one in enumerate(quantities):
            assert one["locationId"] == self.location
            path = ["input", "quantities", str(i), "changeFromQuantity"]
            if one["inventoryItemId"] in self.unstocked:
                errors.append({"code": "ITEM_NOT_STOCKED_AT_LOCATION", "field": path[:3], "message": "no"})
            elif one["changeFromQuantity"] not in (None, self.levels.get(one["inventoryItemId"], 0)):
                errors.append({"code": "CHANGE_FROM_QUANTITY_STALE", "field": path, "message": "stale"})
        if not errors:
            self.levels |= {one["inventoryItemId"]: one["quantity"] for one in quantities}
        answer = {"inventorySetQuantities": {"userErrors": errors}}
        if not errors:
            self.keys[variables["key"]] = answer
        return answer

    def _to_fulfil(self, variables: dict[str, Any]) -> dict[str, Any]:
        order = self.orders.get(variables["id"])
        if order is None:
            return {"order": None}
        told = [(i, one["tracking"]) for i, one in enumerate(self.parcels) if one["order"] == variables["id"]]
        nodes = [
            {
                "id": id,
                "status": "ON_HOLD" if id in self.on_hold else "OPEN" if any(lines.values()) else "CLOSED",
                "assignedLocation": {"location": {"id": self.locations[id]} if id in self.locations else None},
            }
            for id, lines in order.items()
        ]  # fmt: skip
        return {"order": {
            "fulfillments": [
                {"id": f"gid://shopify/Fulfillment/{i}", "trackingInfo": [one] if one else []} for i, one in told
            ],
            "fulfillmentOrders": {"nodes": nodes},
        }}  # fmt: skip

    def _items(self, variables: dict[str, Any]) -> dict[str, Any]:
        kind, id = variables["id"].split("/")[-2:]
        name, units, counted = (
            ("fulfillmentLineItems", self.parcels[int(id)]["units"], "quantity") if kind == "Fulfillment" else
            ("lineItems", *(own[variables["id"]] for own in self.orders.values() if variables["id"] in own), "remainingQuantity")
        )  # fmt: skip
        items = [
            {"id": f"{variables['id']}/{line}", counted: count, "lineItem": {"id": f"gid://shopify/LineItem/{line}"}}
            for line, count in units.items()
        ]
        start = int(variables["after"] or 0)
        behind = start + self.page
        info = {"hasNextPage": behind < len(items), "endCursor": str(behind)}
        return {"node": {name: {"nodes": items[start:behind], "pageInfo": info}}}

    def _fulfil(self, variables: dict[str, Any]) -> dict[str, Any]:
        said = variables["fulfillment"]
        units: dict[str, int] = {}
        assert len({self.locations.get(one["fulfillmentOrderId"]) for one in said["lineItemsByFulfillmentOrder"]}) == 1
        for one in said["lineItemsByFulfillmentOrder"]:
            ((order, lines),) = [(id, own[one["fulfillmentOrderId"]]) for id, own in self.orders.items()
                                 if one["fulfillmentOrderId"] in own]  # fmt: skip
            for item in one["fulfillmentOrderLineItems"]:
                line = item["id"].rpartition("/")[2]
                assert 0 < item["quantity"] <= lines[line]
                lines[line] -= item["quantity"]
                units[line] = units.get(line, 0) + item["quantity"]
        self.parcels.append({"order": order, "tracking": said.get("trackingInfo"), "units": units})
        return {"fulfillmentCreate": {"fulfillment": {"id": "gid://shopify/Fulfillment/1"}, "userErrors": []}}

    def _there(self, variables: dict[str, Any]) -> dict[str, Any]:
        return {
            "nodes": [
                {"id": id, "inventoryLevel": {"quantities": [{"quantity": self.levels.get(id, 0)}]}}
                for id in variables["ids"]
            ]
        }


@dataclass
class WooStand:
    """A site's REST API: stock by product, and by product and variation."""

    stock: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    known: set[int] = field(default_factory=set)
    fail: list[httpx.Response] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    status: str = "processing"

    def _order(self, request: httpx.Request, path: str) -> httpx.Response:
        if not path.startswith("orders/4750"):
            return httpx.Response(404, json={"code": "woocommerce_rest_order_invalid_id"})
        if request.method == "GET":
            return httpx.Response(200, json=[{"id": i, "note": note} for i, note in enumerate(self.notes)])
        said = json.loads(request.content)
        if path.endswith("/notes"):
            self.notes.append(said["note"])
            return httpx.Response(201, json={"id": 1})
        self.status = said["status"]
        return httpx.Response(200, json={"id": 4750, "status": self.status})

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"].startswith("Basic ")
        assert request.url.host == "shop.example"
        if self.fail:
            return self.fail.pop(0)
        path = request.url.path.removeprefix("/wp-json/wc/v3/")
        self.calls.append(path)
        if path.startswith("orders/"):
            return self._order(request, path)
        product = path.split("/")[1] if "variations" in path else ""
        told = []
        for one in json.loads(request.content)["update"]:
            assert one["manage_stock"] is True
            if one["id"] in self.known:
                self.stock[f"{product}/{one['id']}" if product else str(one["id"])] = one["stock_quantity"]
                told.append({"id": one["id"], "stock_quantity": one["stock_quantity"]})
            else:
                told.append(
                    {"id": one["id"], "error": {"code": "woocommerce_rest_product_invalid_id", "message": "no"}}
                )
        return httpx.Response(200, json={"update": told})


@dataclass
class AmazonStand:
    """The Listings Items API of a seller, and the login before it."""

    quantity: dict[str, int] = field(default_factory=dict)
    burst: int = 1000
    """Calls until it wants a rest."""
    invalid: set[str] = field(default_factory=set)
    parcels: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """What was confirmed, by order and number of the parcel."""

    def _confirm(self, request: httpx.Request) -> httpx.Response:
        said = json.loads(request.content)
        assert said["marketplaceId"] == "A1PA6795UKMFR9"
        parcel = said["packageDetail"]
        self.parcels[request.url.path.split("/")[-2], parcel["packageReferenceId"]] = parcel
        return httpx.Response(204)

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "api.amazon.com":
            assert b"grant_type=refresh_token" in request.content
            return httpx.Response(200, json={"access_token": "Atza|1", "expires_in": 3600})
        assert request.url.host == "sellingpartnerapi-eu.amazon.com"
        assert request.headers["x-amz-access-token"] == "Atza|1"
        if request.url.path.endswith("/shipmentConfirmation"):
            return self._confirm(request)
        assert request.url.params["marketplaceIds"] == "A1PA6795UKMFR9"
        if self.burst <= 0:
            return httpx.Response(429, headers={"x-amzn-RateLimit-Limit": "0.5"})
        self.burst -= 1
        sku = request.url.path.rpartition("/")[2]
        if sku in self.invalid:
            return httpx.Response(200, json={"sku": sku, "status": "INVALID", "issues": []})
        said = json.loads(request.content)
        assert said["productType"] == "PRODUCT"
        (patch,) = said["patches"]
        assert patch["path"] == "/attributes/fulfillment_availability"
        self.quantity[sku] = patch["value"][0]["quantity"]
        return httpx.Response(200, json={"sku": sku, "status": "ACCEPTED", "submissionId": "s", "issues": []})
