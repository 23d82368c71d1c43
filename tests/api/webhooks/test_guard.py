"""Webhooks go to public addresses and nowhere else, whatever a name says and when."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import httpx
import pytest

from api.webhooks import guard
from api.webhooks.guard import Guard, look_up
from solver.refusal import Refusal

PRIVATE = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",  # noqa: S104
    "100.64.0.1", "100.100.100.200", "169.254.169.254", "169.254.170.2", "192.0.0.192", "192.0.2.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "168.63.129.16", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "100::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:7f00:1", "::127.0.0.1", "::7f00:1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
    "2002:a9fe:a9fe::", "2001:0:4136:e378:8000:63bf:f5ff:fffe",
)  # fmt: skip
PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
)


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_not_allowed_in_any_spelling(address: str) -> None:
    assert not Guard().allows(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_allowed(address: str) -> None:
    assert Guard().allows(ip_address(address))


def test_networks_of_ones_own_are_allowed_where_a_setting_says_so_and_no_others() -> None:
    guard = Guard([ip_network("127.0.0.0/8"), ip_network("fd00::/8")])
    allowed = [guard.allows(ip_address(one)) for one in ("127.0.0.1", "::ffff:127.0.0.1", "fd00::1", "10.0.0.1", "::1")]
    assert allowed == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://hooks.example.com/", "bad_url"),
        ("ftp://hooks.example.com/", "bad_url"),
        ("hooks.example.com", "bad_url"),
        ("https://", "bad_url"),
        ("https://a:b@hooks.example.com/", "bad_url"),
        ("https://hooks.example.com/#x", "bad_url"),
        ("https://hooks.example.com:0/", "bad_url"),
        ("https://0177.0.0.1/", "bad_url"),
        ("https://hooks.example.com:99999/", "bad_url"),
        ("https://hooks.example.com/" + "x" * 2000, "bad_url"),
        ("https://127.0.0.1/", "forbidden_address"),
        ("https://[::1]/", "forbidden_address"),
        ("https://[::ffff:10.0.0.1]/", "forbidden_address"),
        ("https://169.254.169.254/latest/meta-data/", "forbidden_address"),
    ],
)
def test_an_address_of_a_webhook_is_looked_at_when_it_is_said(url: str, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        Guard().check(url)
    assert (refused.value.code, refused.value.place) == (code, "url")


def test_what_is_not_encrypted_is_allowed_where_a_setting_says_so() -> None:
    assert Guard(http=True).check("http://hooks.example.com/a").host == "hooks.example.com"


def found(*addresses: str, url: str = "https://hooks.example.com/") -> list[str]:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return asyncio.run(Guard(resolve=resolve).addresses_of(httpx.URL(url)))


def test_every_address_of_a_name_must_be_public() -> None:
    assert found("8.8.8.8", "1.1.1.1", "8.8.8.8") == ["8.8.8.8", "1.1.1.1"]
    for addresses in (["8.8.8.8", "10.0.0.1"], ["127.0.0.1"], ["fe80::1%eth0"], ["2606:4700:4700::1111%1"]):
        with pytest.raises(Refusal) as refused:
            found(*addresses)
        assert refused.value.code == "forbidden_address"


def test_a_name_without_an_address_is_said_to_have_none() -> None:
    with pytest.raises(Refusal) as refused:
        found()
    assert refused.value.code == "no_address"


def test_a_name_that_is_not_found_in_time_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(guard, "SECONDS", 0.01)
    with pytest.raises(Refusal) as refused:
        asyncio.run(asyncio.wait_for(Guard(resolve=never).addresses_of(httpx.URL("https://hooks.example.com/")), 20))
    assert refused.value.code == "no_address"


def test_names_that_take_long_to_be_found_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: more than any pool of threads has."""
    over = threading.Event()

    def slow(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host.startswith("slow"):
            over.wait(30)
        return [(2, 1, 6, "", ("8.8.8.8", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def look() -> list[str]:
        waiting = [asyncio.create_task(look_up(f"slow{n}.example", 443)) for n in range(100)]
        await asyncio.sleep(0)
        found = await asyncio.wait_for(look_up("quick.example", 443), 20)
        assert not any(task.done() for task in waiting)
        over.set()
        await asyncio.gather(*waiting)
        return found

    assert asyncio.run(look()) == ["8.8.8.8"]


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "localhost"])
def test_odd_spellings_of_ones_own_machine_resolve_to_it_and_are_refused(host: str) -> None:
    """Nothing is asked outside of this machine."""
    with pytest.raises(Refusal) as refused:
        asyncio.run(Guard().addresses_of(Guard().check(f"https://{host}/")))
    assert refused.value.code == "forbidden_address"
