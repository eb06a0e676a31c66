"""Images from the web: http(s) URLs, fetched only where the user allowed it, and never from inside the network by accident.

A URL must match an allowed pattern, and so must every redirect. Names are resolved here and the connection goes to the very address
that was checked, so that a name cannot point elsewhere in between. Addresses that are not public are refused unless the matching pattern
names that host itself. No credentials, cookies or proxies are used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from vision_emulator.contract import limits
from vision_emulator.storage import AccessDenied, ObjectMissing, ObjectTooLarge, StorageUnavailable

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

REDIRECTS: Final = (301, 302, 303, 307, 308)
PASSING: Final = (408, 425, 429)  # refusals that may pass by themselves, as all from 500 on
# Public IPv6 addresses lie here; those that carry an IPv4 address inside (mapped, NAT64) lie elsewhere, but for 6to4.
PUBLIC_IPV6: Final = ipaddress.IPv6Network("2000::/3")
SIX_TO_FOUR: Final = ipaddress.IPv6Network("2002::/16")
HEADERS: Final = {"User-Agent": "vision-emulator", "Accept": "image/*, */*;q=0.5", "Accept-Encoding": "identity"}

_PATTERN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_.*-]+)(?::(?P<port>\*|\d{1,5}))?(?P<path>/[!-~]*)?", re.IGNORECASE
)
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_ENDS_IN_A_NUMBER: Final = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)")
# Names that public DNS does not hold: whoever allows one of these means a machine of their own network.
LOCAL_NAME: Final = re.compile(r"[^.]+|.+\.(localhost|local|internal|test|home\.arpa)")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class UrlPattern:
    """URLs that may be fetched: ``https://example.com/*``, ``http://localhost:*/*``, ``https://*.example.com/images/*.jpg``.

    ``*`` stands for any characters, in the host, as the port, and in path and query; nothing else is special. Without a port the
    scheme's own is meant, without a path every path.
    """

    scheme: str
    host: str
    port: str  # a number or "*"
    path: str

    @classmethod
    def parse(cls, text: str) -> UrlPattern:
        """Reads a pattern; ValueError says what one looks like."""
        parts = _PATTERN.fullmatch(text.strip())
        if parts is None or int((parts["port"] or "0").replace("*", "0")) > 65535:
            raise ValueError(f"{text!r} is no pattern of URLs; use for example https://example.com/* or http://localhost:*/*")
        scheme = parts["scheme"].lower()
        return cls(scheme, _plain(parts["host"].strip("[]")), parts["port"] or str(_DEFAULT_PORTS[scheme]), parts["path"] or "/*")

    def fits(self, target: Target) -> bool:
        """Whether it matches this URL."""
        wanted = ((self.scheme, target.scheme), (self.host, target.host), (self.port, str(target.port)), (self.path, target.path))
        return all(_glob(pattern, text) for pattern, text in wanted)

    @property
    def names_a_private_place(self) -> bool:
        """Whether its host is an address, or a name that only a private network can have: then it may be there."""
        return "*" not in self.host and (_address(self.host) is not None or LOCAL_NAME.fullmatch(self.host) is not None)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart by the same library that sends the request, so that no two parsers disagree on where it leads."""

    url: URL
    scheme: str
    host: str  # lower case, IDNA, without brackets and final dot
    port: int
    path: str  # with the query

    @classmethod
    def parse(cls, text: str, base: URL | None = None) -> Target:
        """Reads a URL, relative to ``base`` if need be; AccessDenied for anything but http(s)://HOST[:PORT]/… without credentials."""
        from yarl import URL

        if len(text) > limits.URL_CHARS_MAX or not text.isprintable() or any(sign in text for sign in " \\"):
            raise AccessDenied(f"{text[:100]!r} is no URL")
        try:
            url = URL(text) if base is None else base.join(URL(text))
            host = _plain(url.raw_host or "")
            path = url.raw_path_qs
        except ValueError as wrong:
            raise AccessDenied(f"{text[:100]!r} is no URL: {wrong}") from wrong
        if url.scheme not in _DEFAULT_PORTS or "@" in url.raw_authority or not url.port:
            raise AccessDenied(f"{text[:100]!r} is not http(s)://HOST[:PORT]/… without credentials")
        if _address(host) is None and (_HOST.fullmatch(host) is None or _ENDS_IN_A_NUMBER.fullmatch(host)):
            raise AccessDenied(f"{host[:100]!r} is neither a name nor an address")  # 2130706433 and 0x7f.1 would be 127.0.0.1 to the system
        return cls(url.with_fragment(None), url.scheme, host, url.port, path)

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class WebImages:
    """Reads images behind http(s) URLs that match one of the ``allowed`` patterns; an async context manager that holds connections.

    ``resolve`` finds a host's addresses, ``seconds_max`` bounds one image with all its redirects.
    """

    def __init__(self, allowed: Sequence[str], resolve: Resolve | None = None, seconds_max: float = limits.URL_SECONDS_MAX) -> None:
        self._patterns = [UrlPattern.parse(text) for text in allowed]
        self._resolve = resolve or _system_resolve
        self._seconds_max = seconds_max
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def read(self, url: str, bytes_max: int) -> bytes:
        """The bytes behind a URL; AccessDenied when it may not be fetched, ObjectMissing when there is nothing, ObjectTooLarge beyond
        ``bytes_max``, StorageUnavailable when another time may be better."""
        target = Target.parse(url)
        try:
            async with asyncio.timeout(self._seconds_max):
                for _ in range(1 + limits.URL_REDIRECTS_MAX):
                    found = await self._get(target, bytes_max)
                    if isinstance(found, bytes):
                        return found
                    target = found
        except TimeoutError as slow:
            raise StorageUnavailable(f"no whole answer within {self._seconds_max:g} s") from slow
        raise ObjectMissing(f"more than {limits.URL_REDIRECTS_MAX} redirects")

    async def _get(self, target: Target, bytes_max: int) -> bytes | Target:
        """One hop: the bytes, or where they are to be found instead."""
        import aiohttp

        failure: Exception | None = None
        for address in await self._addresses(target):
            try:
                return await self._get_from(address, target, bytes_max)
            except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError) as unreachable:
                failure = unreachable  # the next one may do: localhost is ::1 and 127.0.0.1
            except aiohttp.ClientError as fault:
                failure = fault
                break
        raise StorageUnavailable(f"{target.authority} fails: {type(failure).__name__} {failure}") from failure

    async def _addresses(self, target: Target) -> Sequence[str]:
        """The addresses of the URL's host, every one of them allowed; AccessDenied or ObjectMissing."""
        fitting = [pattern for pattern in self._patterns if pattern.fits(target)]
        if not fitting:
            root = f"{target.scheme}://{target.authority}"
            raise AccessDenied(f"it is not allowed; to fetch images from there, start with --allow-url '{root}/*'")
        addresses = [target.host] if _address(target.host) is not None else await self._resolve(target.host, target.port)
        if not addresses:
            raise ObjectMissing(f"{target.host} has no address")
        for text in addresses:
            address = _address(text)
            if not any(pattern.names_a_private_place for pattern in fitting) and (address is None or not is_public(address)):
                raise AccessDenied(f"{target.host} is at {text}, no public address; to allow that, name this address with --allow-url")
        return addresses

    async def _get_from(self, address: str, target: Target, bytes_max: int) -> bytes | Target:
        url = target.url.with_host(address)
        headers = {"Host": target.authority}
        async with self._opened().get(url, headers=headers, server_hostname=target.host, allow_redirects=False) as response:
            status = response.status
            if status in REDIRECTS and "Location" in response.headers:
                return Target.parse(response.headers["Location"], target.url)
            if status >= 500 or status in PASSING:
                raise StorageUnavailable(f"{target.authority} answers {status}")
            if status != 200:
                raise ObjectMissing(f"{target.authority} answers {status}")
            chunks, size = [], response.content_length or 0
            if size <= bytes_max:  # what was announced; what comes is counted
                size = 0
                async for chunk in response.content.iter_any():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > bytes_max:
                        break
            if size > bytes_max:
                raise ObjectTooLarge(f"{target.authority} sends {size} bytes or more")
            return b"".join(chunks)

    def _opened(self) -> aiohttp.ClientSession:
        """The session of all fetches, opened with the first one: most servers never fetch anything."""
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),  # a kept connection could serve a URL that may not have it
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.URL_CONNECT_SECONDS_MAX),
                headers=HEADERS,
                auto_decompress=False,  # nothing compressed was asked for, and a little of it could unpack to much
            )
        return self._session


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, as far as its number tells."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    return address in PUBLIC_IPV6 and address not in SIX_TO_FOUR and address.is_global


def _address(host: str) -> Address | None:
    """The address that a host is, if it is one; never one with a zone, which means a link."""
    try:
        return None if "%" in host else ipaddress.ip_address(host)
    except ValueError:
        return None


def _plain(host: str) -> str:
    """One spelling for a host: lower case, no final dot, addresses as ipaddress writes them."""
    name = host.lower().removesuffix(".")
    return str(_address(name) or name)


def _glob(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None


async def _system_resolve(host: str, port: int) -> Sequence[str]:
    """The addresses that the system knows for a name, in its order; ObjectMissing for an unknown one."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as failure:
        if failure.errno == socket.EAI_AGAIN:
            raise StorageUnavailable(f"{host} cannot be looked up: {failure.strerror}") from failure
        raise ObjectMissing(f"{host} is unknown: {failure.strerror}") from failure
    except UnicodeError as wrong:
        raise ObjectMissing(f"{host} is no name: {wrong}") from wrong
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
