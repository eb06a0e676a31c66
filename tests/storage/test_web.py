"""Images from the web: only what was allowed is fetched, nothing private by accident, and no server can hold or flood us."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st

from vision_emulator.contract.limits import URL_CHARS_MAX, URL_REDIRECTS_MAX
from vision_emulator.storage import AccessDenied, ObjectMissing, ObjectTooLarge, StorageError, StorageUnavailable
from vision_emulator.storage.web import Target, UrlPattern, WebImages, is_public

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
ANYWHERE = ("http://*:*/*", "https://*:*/*")
HERE = "http://127.0.0.1:*/*"
IMAGE = b"bytes of an image"


class Site:
    """A web server on loopback that answers every request with ``handle`` and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[web.BaseRequest] = []
        self.handle: Handler = self.image
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/image"

    async def image(self, _: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=IMAGE)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        return await self.handle(request)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    runner = web.ServerRunner(web.Server(site.answer), shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.port = runner.addresses[0][1]
    try:
        yield site
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(answer: bytes) -> AsyncIterator[str]:
    """A server that writes these bytes to whoever connects, and hangs up; yields a URL to it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def fetch(
    url: str, *allowed: str, bytes_max: int = 1000, names: dict[str, Sequence[str]] | None = None, seconds: float = 30
) -> bytes:
    """The bytes behind the URL, with names that mean these addresses."""

    async def resolve(host: str, _: int) -> Sequence[str]:
        return (names or {}).get(host, [])

    async with WebImages(allowed, None if names is None else resolve, seconds) as images:
        return await images.read(url, bytes_max)


async def test_an_allowed_url_is_fetched_without_anything_that_identifies(site: Site) -> None:
    """The request carries neither cookies nor credentials, and asks for bytes as they are."""

    async def cookie(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=IMAGE, headers={"Set-Cookie": "a=b"})

    site.handle = cookie
    async with WebImages([HERE]) as images:
        assert [await images.read(site.url + "?a=1#part", 1000) for _ in range(2)] == [IMAGE, IMAGE]
    for request in site.requests:
        assert request.raw_path == "/image?a=1"
        assert {name.lower() for name in request.headers} == {"host", "user-agent", "accept", "accept-encoding", "connection"}
        assert request.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("https://example.com/*", "https://EXAMPLE.com./a.jpg?x=1", "http://example.com/a.jpg"),
        ("https://example.com", "https://example.com/", "https://example.com:8443/"),
        ("http://localhost:*/*", "http://localhost:8080/a", "http://localhost.example.com:8080/a"),
        ("http://localhost:80/*", "http://localhost/a", "http://localhost:81/a"),
        ("https://*.example.com/*", "https://a.b.example.com/", "https://example.com/"),
        ("https://example.com/in/*.jpg", "https://example.com/in/a/b.jpg", "https://example.com/in/a.png"),
        ("https://example.com/in/*", "https://example.com/in/a", "https://example.com/in/../a"),
        ("http://[::1]:*/*", "http://[0:0:0:0:0:0:0:1]:8080/", "http://[::2]:8080/"),
        ("http://a.com/*", "http://a.com/@b", "http://a.com.b.com/"),
        ("http://a.com/*", "http://a.com/", "http://b.com/?http://a.com/"),
    ],
)
def test_patterns(pattern: str, fitting: str, other: str) -> None:
    """An asterisk is any text within its own part of the URL, and nothing else is special."""
    assert UrlPattern.parse(pattern).fits(Target.parse(fitting))
    assert not UrlPattern.parse(pattern).fits(Target.parse(other))


@pytest.mark.parametrize(
    "text", ["", "*", "example.com/*", "ftp://a/*", "http://u@a/*", "http://a:70000/*", "http://a:x/", "http://a b/", "http://ü/"]
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    """A pattern that could never match, or would match what nobody meant, is refused at the start."""
    with pytest.raises(ValueError, match=r"use for example https://example\.com/\*"):
        UrlPattern.parse(text)


async def test_nothing_is_fetched_that_was_not_allowed(site: Site) -> None:
    """Without a fitting pattern there is no request, and the refusal names the flag that allows one."""
    for allowed in ([], ["http://127.0.0.1/*"], ["https://127.0.0.1:*/*"], ["http://127.0.0.1:*/other"]):
        with pytest.raises(AccessDenied, match=rf"--allow-url 'http://127\.0\.0\.1:{site.port}/\*'"):
            await fetch(site.url, *allowed)
    assert site.requests == []


@pytest.mark.parametrize("name", ["pictures.example.com", "localhost.example.com"])
@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "::1", "::ffff:127.0.0.1", "fe80::1%1", "nonsense"]
)
async def test_a_public_name_is_never_a_private_address(site: Site, name: str, address: str) -> None:
    """A name of the open internet that leads into the network is refused, however plainly it was allowed, and also as one of several."""
    for pattern in (f"http://{name}:*/*", *ANYWHERE):
        with pytest.raises(AccessDenied):
            await fetch(
                f"http://{name}:{site.port}/",
                pattern,
                names={name: ["127.0.0.1"] if address == "127.0.0.1" else ["93.184.216.34", address]},
            )
    assert site.requests == []


@pytest.mark.parametrize("name", ["localhost", "minio", "pictures.test", "a.svc.cluster.local"])
async def test_a_local_name_may_be_private_when_it_is_named(site: Site, name: str) -> None:
    """A name that public DNS cannot hold means a machine of one's own, if a pattern names it; a wildcard does not."""
    url = f"http://{name}:{site.port}/a"
    names = {name: ["127.0.0.1"]}
    assert await fetch(url, *ANYWHERE, f"http://{name}:*/*", names=names) == IMAGE
    assert site.requests[0].headers["Host"] == f"{name}:{site.port}"
    for pattern in ("http://*:*/*", f"http://{name[:-1]}*:*/*"):
        with pytest.raises(AccessDenied):
            await fetch(url, pattern, names=names)
    assert len(site.requests) == 1


async def test_the_connection_goes_to_the_address_that_was_checked(site: Site) -> None:
    """A name is looked up once a hop: one that means something else a moment later leads nowhere else."""
    lookups: list[str] = []

    async def resolve(host: str, _: int) -> Sequence[str]:
        lookups.append(host)
        return ["127.0.0.1"] if len(lookups) == 1 else ["10.0.0.1"]

    async with WebImages(["http://minio:*/*"], resolve) as images:
        assert await images.read(f"http://minio:{site.port}/", 1000) == IMAGE
    assert lookups == ["minio"]


async def test_the_next_address_is_tried(site: Site) -> None:
    """A host with an address where nobody listens is fetched from its next one."""
    assert await fetch(f"http://localhost:{site.port}/", "http://localhost:*/*", names={"localhost": ["::1", "127.0.0.1"]}) == IMAGE


@pytest.mark.parametrize(
    "text", ["10.0.0.1", "172.16.0.1", "192.168.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "169.254.169.254", "100.64.0.1"]
)
@pytest.mark.parametrize("form", ["{}", "::ffff:{}", "::{}", "64:ff9b::{}"])
def test_private_addresses(text: str, form: str) -> None:
    """Private, loopback, link-local and shared IPv4 addresses are not public, in none of the IPv6 forms that carry them."""
    assert not is_public(ipaddress.ip_address(form.format(text)))


@pytest.mark.parametrize(
    "text",
    [
        "::",
        "::1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "ff02::1",
        "2002:7f00:1::",
        "2001:0:1::",
        "2001:db8::1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
    ],
)
def test_other_addresses_that_are_not_public(text: str) -> None:
    """Neither is what is unspecified, multicast, reserved, for documentation, or a tunnel."""
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001::1"])
def test_public_addresses(text: str) -> None:
    """The open internet is."""
    assert is_public(ipaddress.ip_address(text))


LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::]",
]
LOOPBACK += [
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[fe80::1%25lo]",
    "１２７.0.0.1",
    "127。0。0。1",
]
LOOPBACK += ["①②⑦.0.0.1", "LOCALHOST", "localhost.", "ⓛocalhost", "0x7f000001.", "127.0.0.1.", "127.0.0.1%00.example.com", "a.localhost"]


@given(
    scheme=st.sampled_from(["http:", "HTTP:", "https:", " http:", "ht\ttp:", ""]),
    slashes=st.sampled_from(["//", "/", "///", "\\\\", "\\/", ""]),
    user=st.sampled_from(
        [
            "",
            "user@",
            "example.com@",
            "example.com:80@",
            "user:pw@",
            "@",
            "example.com\\@",
            "example.com%40",
            "example.com#@",
            "example.com?@",
        ]
    ),
    host=st.sampled_from(LOOPBACK) | st.integers(0, 2**33).map(str) | st.text(max_size=20),
    port=st.sampled_from(["", ":", ":0", ":80", ":0080", ":-1", ":99999", ":80#"]),
    path=st.sampled_from(["", "/", "/a b", "/\r\nHost: example.com", "/../..", "\t/", "?x", "#x", "\\x"]),
)
@example("http:", "//", "", "127.0.0.1", ":80", "/")
def test_no_spelling_gets_past_the_guard(scheme: str, slashes: str, user: str, host: str, port: str, path: str) -> None:
    """With wildcards allowed, and every name leading to this machine, each spelling of a URL is refused before anything connects."""
    url = scheme + slashes + user + host + port + path

    async def resolve(_name: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def run() -> None:
        async with WebImages(ANYWHERE, resolve) as images:
            await images.read(url, 1000)

    with pytest.raises(AccessDenied):
        asyncio.run(run())


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "1.example.0"])
def test_a_host_that_ends_in_a_number_is_an_address(host: str) -> None:
    """Systems read many spellings as addresses; only the usual one is taken, whatever a name server would say."""
    with pytest.raises(AccessDenied, match="neither a name nor an address"):
        Target.parse(f"http://{host}/")


async def test_redirects_are_followed_and_checked_again(site: Site) -> None:
    """Relative and absolute redirects are followed; each must be allowed and public by itself."""
    targets = {"/1": "/2", "/2": f"http://127.0.0.1:{site.port}/3", "/3": "4?x", "/out": "http://10.0.0.1/", "/file": "file:///etc/passwd"}
    targets |= {
        "/name": f"http://other.example.com:{site.port}/",
        "/user": f"http://a:b@127.0.0.1:{site.port}/",
        "/bad": "http://[::1",
        "/empty": "",
    }

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path in targets:
            return web.Response(status=302, headers={"Location": targets[request.raw_path]})
        return web.Response(body=IMAGE, status=200 if request.raw_path == "/4?x" else 404)

    site.handle = handle
    root = f"http://127.0.0.1:{site.port}"
    assert await fetch(root + "/1", HERE) == IMAGE
    asked = [request.raw_path for request in site.requests]
    assert asked == ["/1", "/2", "/3", "/4?x"]
    names = {"other.example.com": ["127.0.0.1"]}
    for path in ("/out", "/file", "/name", "/user", "/bad"):
        with pytest.raises(AccessDenied):
            await fetch(root + path, HERE, *ANYWHERE, names=names)
    assert len(site.requests) == len(asked) + 5


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_end(site: Site, status: int) -> None:
    """A loop is left after the fifth redirect; five are followed."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        left = int(request.raw_path[1:])
        return web.Response(status=status, headers={"Location": f"/{left - 1}"}) if left else web.Response(body=IMAGE)

    site.handle = handle
    root = f"http://127.0.0.1:{site.port}/"
    assert await fetch(f"{root}{URL_REDIRECTS_MAX}", HERE) == IMAGE
    site.requests.clear()
    with pytest.raises(ObjectMissing, match="redirects"):
        await fetch(f"{root}{URL_REDIRECTS_MAX + 1}", HERE)
    assert len(site.requests) == 1 + URL_REDIRECTS_MAX


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, ObjectMissing),
        (401, ObjectMissing),
        (403, ObjectMissing),
        (404, ObjectMissing),
        (410, ObjectMissing),
        (204, ObjectMissing),
        (304, ObjectMissing),
        (302, ObjectMissing),
        (408, StorageUnavailable),
        (429, StorageUnavailable),
        (500, StorageUnavailable),
        (503, StorageUnavailable),
    ],
)
async def test_what_a_status_means(site: Site, status: int, expected: type[StorageError]) -> None:
    """What may pass by itself is told apart from what will not."""

    async def handle(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status)

    site.handle = handle
    with pytest.raises(expected):
        await fetch(site.url, HERE)


async def test_the_size_is_decided_while_reading(site: Site) -> None:
    """The largest size passes; one byte more is refused, whether it was announced or not, and an endless body is not read to its end."""

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(1000))

    assert await fetch(site.url, HERE, bytes_max=len(IMAGE)) == IMAGE
    with pytest.raises(ObjectTooLarge):
        await fetch(site.url, HERE, bytes_max=len(IMAGE) - 1)
    site.handle = endless
    with pytest.raises(ObjectTooLarge):
        await fetch(site.url, HERE, bytes_max=100_000)


async def test_compressed_bytes_stay_compressed(site: Site) -> None:
    """A body compressed although nobody asked is taken as it is: unpacking it could fill the memory."""
    packed = gzip.compress(bytes(1_000_000))

    async def handle(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    site.handle = handle
    assert await fetch(site.url, HERE, bytes_max=10_000) == packed


@pytest.mark.parametrize("started", [False, True])
async def test_a_slow_server_does_not_hold_us(site: Site, started: bool) -> None:
    """An answer that does not come, or not to its end, is given up after the time allowed for the whole."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        if started:
            await response.prepare(request)
            await response.write(b"a")
        await asyncio.Event().wait()
        return response

    site.handle = handle
    with pytest.raises(StorageUnavailable, match="no whole answer within"):
        await fetch(site.url, HERE, seconds=0.2)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"not HTTP at all\r\n\r\n",
        HEAD,
        HEAD + b"Content-Length: 100\r\n\r\nshort",
        HEAD + b"Content-Length: -1\r\n\r\nabc",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab",
        HEAD + b"X: " + bytes(100_000).replace(b"\0", b"x") + b"\r\n\r\n",
    ],
)
async def test_hang_ups_and_nonsense_may_pass(answer: bytes) -> None:
    """A server that hangs up, lies about its lengths or speaks no HTTP is unavailable; half an image is never taken for one."""
    async with raw_server(answer) as url:
        with pytest.raises(StorageUnavailable):
            await fetch(url, HERE)


async def test_a_body_without_length_ends_with_the_connection() -> None:
    """As servers of old have it."""
    async with raw_server(HEAD + b"\r\nabcdef") as url:
        assert await fetch(url, HERE) == b"abcdef"


async def test_unknown_and_unreachable_hosts() -> None:
    """A host without address has no image; one where nobody listens may have it later."""
    with pytest.raises(ObjectMissing):
        await fetch("http://nowhere.test/", "http://nowhere.test/*", names={})
    with pytest.raises(ObjectMissing):
        await fetch("http://" + "a" * 70 + ".test/", "http://*/*")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(StorageUnavailable, match="fails"):
        await fetch(f"http://127.0.0.1:{port}/", HERE)


async def test_https_is_verified(site: Site) -> None:
    """A server that does not prove who it is gives no image."""
    with pytest.raises(StorageUnavailable):
        await fetch(f"https://127.0.0.1:{site.port}/", "https://127.0.0.1:*/*")


async def test_overlong_urls_are_refused(site: Site) -> None:
    """A URL of more characters than the limit is refused without a request."""
    with pytest.raises(AccessDenied):
        await fetch(site.url + "a" * URL_CHARS_MAX, HERE)
    assert site.requests == []
