"""Where webhooks may go: to public addresses over TLS, and not into networks of our own.

A name is resolved here, once for each try; every address that it has must be allowed, and the connection goes to one of these and
nowhere else, so that a name that means something else a moment later has no effect.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from solver.refusal import Refusal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, as text."""
LONGEST = 2000
SECONDS = 5.0
"""What finding the addresses of a name may take."""
FORBIDDEN = tuple(
    ip_network(one)
    for one in (
        "168.63.129.16/32",  # the host's agent on Azure
        "192.0.0.0/24",  # metadata on Oracle, among other things
        "192.88.99.0/24",  # relays that wrap an address in another one
        "64:ff9b:1::/48",  # the same, within a network
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
    )
)
"""What is not for everybody, besides what the standard library knows."""
_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")
_TRANSLATED = ip_network("::ffff:0:0:0/96")


class Guard:
    """Says where a webhook may go.

    Parameters
    ----------
    networks
        Networks that are allowed though they are not public.
    http
        Whether what is not encrypted is allowed.
    resolve
        What finds the addresses of a name.
    """

    def __init__(
        self, networks: Sequence[Network] = (), *, http: bool = False, resolve: Resolver | None = None
    ) -> None:
        self._networks, self._http, self._resolve = tuple(networks), http, resolve or look_up

    def check(self, url: str) -> httpx.URL:
        """Read the address of a webhook.

        Raises
        ------
        Refusal
            `bad_url`, or `forbidden_address` where it is an address itself, of a network that is not public.
        """
        try:
            read = httpx.URL(url)
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise Refusal("url", f"{url[:100]!r} is no URL", "bad_url") from error
        allowed = ("https", "http") if self._http else ("https",)
        if read.scheme not in allowed or not read.host or len(url) > LONGEST:
            kinds = " or ".join(f"{scheme}://" for scheme in allowed)
            raise Refusal("url", f"{url[:100]!r} is no URL that begins with {kinds}", "bad_url")
        if read.userinfo or read.fragment or (read.port is not None and not 0 < read.port <= 65535):
            raise Refusal("url", "has a user, a fragment or no port of 1 to 65535, which no webhook has", "bad_url")
        if _is_address(read.host):  # of a name, addresses are looked at whenever something is sent
            self._check_address(read.host)
        return read

    async def addresses_of(self, url: httpx.URL) -> list[str]:
        """The addresses to connect to: all that the host has.

        Raises
        ------
        Refusal
            `no_address`, or `forbidden_address` where one of them is not public.
        """
        host, port = url.raw_host.decode(), url.port or (443 if url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(SECONDS):
                found = list(dict.fromkeys(await self._resolve(host, port)))
        except (OSError, UnicodeError) as error:  # being too late is an OSError
            raise Refusal("url", f"{host!r} has no address", "no_address") from error
        if not found:
            raise Refusal("url", f"{host!r} has no address", "no_address")
        for address in found:
            self._check_address(address)
        return found

    def _check_address(self, text: str) -> None:
        if not self.allows(ip_address(text.partition("%")[0])) or "%" in text:
            raise Refusal("url", f"{text} is not a public address", "forbidden_address")

    def allows(self, address: Address) -> bool:
        """Whether webhooks may go to an address; one within another counts as both."""
        if any(address in network for network in self._networks if network.version == address.version):
            return True
        inner = _within(address)
        if inner is not None:
            return self.allows(inner)
        return _is_public(address)


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _within(address: Address) -> IPv4Address | None:
    """The address that an IPv6 address stands for, where it stands for another one."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _is_public(address: Address) -> bool:
    if any(address in network for network in FORBIDDEN if network.version == address.version):
        return False
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    return address.is_global and not (special or address.is_private or address.is_link_local)


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a name by the system's own resolver, which may take long: each in a thread that holds up nobody."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def tell(found: list[str] | OSError | UnicodeError) -> None:
        if answer.done():
            return  # nobody waits any more
        if isinstance(found, list):
            answer.set_result(found)
        else:
            answer.set_exception(found)

    def ask() -> None:
        found: list[str] | OSError | UnicodeError
        try:
            found = [str(where[0]) for *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            found = error
        with suppress(RuntimeError):  # the process ends, and the loop is closed
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=ask, name="look up", daemon=True).start()
    return await answer
