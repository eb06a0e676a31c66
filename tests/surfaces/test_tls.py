"""TLS on the one port: an authority of this machine's own, and clients that trust it reach everything."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from vision_emulator.app import Emulator
from vision_emulator.config import Config, ConfigError
from vision_emulator.contract.messages import ListOperationsRequest, ListOperationsResponse
from vision_emulator.surfaces import tls as tls_module
from vision_emulator.surfaces.tls import Authority, Tls, TlsError
from wire import Connection, connected, request

HEALTH = request("GET", "/_emulator/health", headers={"Connection": "close"})
LIST = "/google.longrunning.Operations/ListOperations"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


def trusting(authority: Authority, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def connect(emulator: Emulator, context: ssl.SSLContext, name: str = "localhost") -> ssl.SSLSocket:
    """A handshake, blocking: not for the emulator's own loop."""
    host, _, port = emulator.address.rpartition(":")
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout=20), server_hostname=name)


async def health(emulator: Emulator, context: ssl.SSLContext, name: str = "localhost") -> tuple[int, dict[str, object]]:
    """The status of a health check over TLS, and the certificate that was shown."""

    def ask() -> tuple[int, dict[str, object]]:
        with connect(emulator, context, name) as connection:
            connection.sendall(HEALTH)
            return int(connection.recv(12)[9:]), dict(connection.getpeercert() or {})

    return await asyncio.to_thread(ask)


def test_an_authority_is_made_once_and_kept(tmp_path: Path) -> None:
    """The second server of a user has the same authority; only its owner reads the key."""
    folder = tmp_path / "deep" / "ca"
    first, second = Authority(folder), Authority(folder)
    assert first.pem == second.pem == (folder / "ca.pem").read_bytes()
    assert stat.S_IMODE((folder / "ca.key").stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["ca.key", "ca.pem"]
    assert [path.name for path in folder.parent.iterdir()] == ["ca"]


def test_processes_that_begin_at_once_share_one_authority(tmp_path: Path) -> None:
    """Whoever is first makes it, and nobody is left with a key that does not fit."""
    code = "import pathlib, sys; from vision_emulator.surfaces import tls; print(tls.Authority(pathlib.Path(sys.argv[1])).pem)"
    command = [sys.executable, "-c", code, str(tmp_path / "ca")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert said == {f"{Authority(tmp_path / 'ca').pem!r}\n"}
    assert [path.name for path in tmp_path.iterdir()] == ["ca"]


@pytest.mark.parametrize("damage", ["no key", "no PEM", "another key", "a file in the way"])
def test_a_broken_authority_is_said_to_be_so(tmp_path: Path, damage: str) -> None:
    """The error names the folder; nothing is overwritten, since somebody may trust it."""
    folder = tmp_path / "ca"
    if damage == "a file in the way":
        folder.write_text("mine")
    else:
        Authority(folder)
    match damage:
        case "no key":
            (folder / "ca.key").unlink()
        case "no PEM":
            (folder / "ca.pem").write_text("nonsense")
        case "another key":
            Authority(tmp_path / "other")
            (folder / "ca.key").write_bytes((tmp_path / "other" / "ca.key").read_bytes())
    with pytest.raises(TlsError, match="ca"):
        Authority(folder)
    assert not folder.is_file() or folder.read_text() == "mine"


async def test_without_a_tls_client_no_certificates_are_made(emulator: Emulator, tmp_path: Path) -> None:
    """An emulator that nobody speaks TLS with writes nothing anywhere."""
    async with connected(emulator.address) as connection:
        connection.send(HEALTH)
        await connection.rest()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "vision.googleapis.com", "us-vision.googleapis.com", "storage.googleapis.com"])
async def test_names_that_clients_come_by(emulator: Emulator, authority: Authority, name: str) -> None:
    """The certificate is good for this machine, and for the hosts of Google that are answered here."""
    status, _ = await health(emulator, trusting(authority), name)
    assert status == 200


async def test_a_name_of_the_users_own_gets_a_certificate(emulator: Emulator, authority: Authority) -> None:
    """In a network of containers the server is called as its service is: it has a certificate for any name it is asked by, once."""
    for name in ("vision", "vision", "emulator.test"):
        status, certificate = await health(emulator, trusting(authority), name)
        assert (status, certificate["subjectAltName"]) == (200, (("DNS", name),))


async def test_certificates_for_names_are_bounded(emulator: Emulator, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks by ever new names gets the usual certificate in the end."""
    monkeypatch.setattr(tls_module, "NAMES_MAX", 1)
    assert (await health(emulator, trusting(authority), "first"))[0] == 200
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'second'"):
        await health(emulator, trusting(authority), "second")


async def test_who_does_not_trust_the_authority_is_told_by_its_own_library(emulator: Emulator) -> None:
    """The handshake fails at the client; the server goes on."""
    with pytest.raises(ssl.SSLCertVerificationError):
        await health(emulator, ssl.create_default_context())


@pytest.mark.parametrize(
    ("offered", "chosen"), [(("h2", "http/1.1"), "http/1.1"), (("http/1.1",), "http/1.1"), (("h2",), "h2"), (("odd",), None)]
)
async def test_a_client_that_offers_both_protocols_speaks_rest(
    emulator: Emulator, authority: Authority, offered: tuple[str, ...], chosen: str | None
) -> None:
    """Browsers and curl offer HTTP/2 as well, which is gRPC's alone here; who offers only HTTP/2 is a gRPC client."""

    def agreed() -> str | None:
        with connect(emulator, trusting(authority, *offered)) as connection:
            return connection.selected_alpn_protocol()

    assert await asyncio.to_thread(agreed) == chosen


async def test_grpc_over_tls(emulator: Emulator, authority: Authority) -> None:
    """The same calls, with large messages both ways."""
    credentials = grpc.ssl_channel_credentials(authority.pem)
    async with grpc.aio.secure_channel(f"localhost:{emulator.address.rpartition(':')[2]}", credentials) as channel:
        stub = channel.unary_unary(LIST, ListOperationsRequest.SerializeToString, ListOperationsResponse.FromString)
        assert not (await stub(ListOperationsRequest(name="operations"), timeout=20)).operations
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stub(ListOperationsRequest(name="operations", filter="x" * 5_000_000), timeout=20)
        assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_large_bodies_over_tls(emulator: Emulator, authority: Authority) -> None:
    """Nothing is lost between the handshake and the server behind it, however it is cut into records."""
    host, _, port = emulator.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting(authority), server_hostname="localhost")
    connection = Connection(reader, writer)
    body = bytes(range(256)) * 8_000
    for _ in range(2):  # the connection is kept
        connection.send(request("POST", "/upload/storage/v1/b/inputs/o?uploadType=media&name=large", body))
        assert (await connection.reply()).json["size"] == str(len(body))
    connection.send(request("GET", "/storage/v1/b/inputs/o/large?alt=media"))
    assert (await connection.reply()).body == body
    writer.close()


async def test_a_client_that_shakes_hands_and_says_nothing(authority: Authority, tmp_path: Path) -> None:
    """Its connection is cut when the server ends, and keeps nobody waiting."""
    async with Emulator(Config(port=0, certificates=tmp_path / "ca")) as emulator:
        host, _, port = emulator.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting(authority), server_hostname="localhost")
    assert await Connection(reader, writer).rest() == b""
    writer.close()


@pytest.fixture
async def with_own(tmp_path: Path, authority: Authority) -> AsyncIterator[Emulator]:
    """An emulator with a certificate of the user's, key in a file of its own."""
    pem = authority.leaf("my.test")
    split = pem.index(b"-----BEGIN PRIVATE")
    (tmp_path / "cert.pem").write_bytes(pem[:split])
    (tmp_path / "key.pem").write_bytes(pem[split:])
    config = Config(port=0, certificates=tmp_path / "unused", tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
    async with Emulator(config) as running:
        yield running


async def test_a_certificate_of_the_users_own(with_own: Emulator, authority: Authority, tmp_path: Path) -> None:
    """It is shown whatever the client's name for the server, and no authority is made."""
    status, certificate = await health(with_own, trusting(authority), "my.test")
    assert (status, certificate["subjectAltName"]) == (200, (("DNS", "my.test"),))
    with pytest.raises(ssl.SSLCertVerificationError):
        await health(with_own, trusting(authority), "vision")
    assert not (tmp_path / "unused").exists()


def test_a_certificate_that_cannot_be_used_is_known_at_the_start(tmp_path: Path) -> None:
    """The error names the file; a key alone is refused as well."""
    with pytest.raises(TlsError, match=r"missing\.pem"):
        Tls(tmp_path, tmp_path / "missing.pem")
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(TlsError, match=r"text\.pem"):
        Tls(tmp_path, tmp_path / "text.pem")
    with pytest.raises(ConfigError, match="tls_key without tls_cert"):
        Config(tls_key=tmp_path / "key.pem")


async def test_discovery_says_https_to_who_came_by_it(emulator: Emulator, authority: Authority) -> None:
    """Links in answers lead back the way the client came."""

    def root() -> str:
        with connect(emulator, trusting(authority)) as connection:
            connection.sendall(request("GET", "/$discovery/rest?version=v1", headers={"Host": "localhost:1", "Connection": "close"}))
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
            return str(json.loads(answer.partition(b"\r\n\r\n")[2])["rootUrl"])

    assert await asyncio.to_thread(root) == "https://localhost:1/"
