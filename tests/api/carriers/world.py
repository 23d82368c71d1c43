"""A parcel of a kettle from Utrecht to Amsterdam, and a shop in which it waits to be sent."""

from engine.carrying import Item, Load, Party

AT = 1_764_064_800_000
"""2025-11-25T10:00:00Z."""
NAME, ADDRESS = "Ann Example", "12 High Street\n1017 AB Amsterdam"


def load(name: str = NAME, address: str = ADDRESS, **more: object) -> Load:
    """A consignment of two kettles, of three that were ordered, and a tea set."""
    said: dict[str, object] = {
        "consignment": "con_abcdefghij234567qrst", "order": "ord_x", "channel": "web", "external_id": "W-1000",
        "placed_at": AT, "node": "near", "state": "packed", "version": 1, "service": "ground", "collect": None,
        "work_day": AT // 86_400_000, "sender": Party("near", (52.0, 5.0), "NL", address="Havenweg 5\n3542 AB Utrecht"),
        "recipient": Party("cus-1", (52.1, 5.1), "NL", name, address, "ann@example.org"), "grams": 1350,
        "services": ("ground",), "items": (
            Item(1, "kettle", 3, 2, 1999, (("kettle", 2),)), Item(2, "tea-set", 1, 1, 4950, (("cup", 2), ("kettle", 1))),
        ), "elsewhere": 1, **more,
    }  # fmt: skip
    return Load(**said)  # type: ignore[arg-type]
