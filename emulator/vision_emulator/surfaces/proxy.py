"""CONNECT on the one port: which hosts are answered here, and which others may be reached through it.

A program that builds its client with no options connects to vision.googleapis.com. With the port as its proxy it asks here for a tunnel
there, gets one that leads nowhere else, and speaks TLS into it with a certificate of the local authority.
"""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from vision_emulator.storage.web import is_public

HEAD_BYTES_MAX: Final = 16 * 1024
CONNECT_SECONDS_MAX: Final = 20.0
ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
_LINE: Final = re.compile(rb"CONNECT (?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}):(?P<port>\d{1,5}) HTTP/1\.[01]\r\n")
HERE: Final = re.compile(  # written so that JavaScript reads it, too
    r"(?:.+\.)?(?:vision|storage)(?:\.[a-z0-9-]+)?(?:\.mtls|\.rep)?\.googleapis\.com"  # bucket.storage.…, vision.mtls.…, vision.us.rep.…
    r"|(?:us|eu)-vision\.googleapis\.com"
    r"|(?:oauth2|www|iamcredentials|sts|accounts)(?:\.mtls)?\.googleapis\.com"
    r"|accounts\.google\.com|storage\.cloud\.google\.com|metadata\.google\.internal"
)


class Target(NamedTuple):
    """Where a tunnel is to lead."""

    host: str  # lower case, an address without brackets
    port: int

    @property
    def is_here(self) -> bool:
        """Whether this server answers for that host."""
        return HERE.fullmatch(self.host) is not None


class Refusal(Exception):
    """A tunnel that is not dug; the text says why."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self._status = status

    @property
    def answer(self) -> bytes:
        """The whole HTTP answer."""
        body = f"{self}\n".encode()
        head = f"HTTP/1.1 {self._status}\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: {len(body)}\r\nConnection: close"
        return f"{head}\r\n\r\n".encode() + body


class Proxy:
    """Decides on tunnels; with ``others`` it also digs those that lead to other hosts.

    Those must be public, or in a private network when the client is on this machine, from where it could go there by itself. This
    machine and its links, where clouds have their metadata servers, are out of bounds for all.
    """

    def __init__(self, others: bool = False) -> None:
        self._others = others

    def target(self, head: bytes) -> Target:
        """Where a request head asks to be led; Refusal when that is not understood, or not allowed."""
        line = _LINE.match(head)
        port = int(line["port"]) if line else 0
        if line is None or not 0 < port <= 65535:
            raise Refusal("400 Bad Request", "This is no CONNECT request: it begins with CONNECT HOST:PORT HTTP/1.1.")
        target = Target(line["host"].decode().strip("[]").lower().removesuffix("."), port)
        if not target.is_here and not self._others:
            raise Refusal(
                "403 Forbidden",
                f"{target.host} is not answered here. Add it to NO_PROXY, or start with --proxy-others to reach it through here.",
            )
        return target

    async def reach(self, target: Target, client: str) -> socket.socket:
        """A connection to another host for a client at this address; Refusal when there is none, or it may not be."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
                failure: OSError = ConnectionError("it has no address")
                for family, kind, protocol, _, address in found:
                    if not _allowed(ip_address(address[0]), ip_address(client)):
                        raise Refusal("403 Forbidden", f"{target.host} is at {address[0]}, no public address. Add it to NO_PROXY.")
                    connection = socket.socket(family, kind, protocol)
                    connection.setblocking(False)
                    try:
                        await loop.sock_connect(connection, address)
                    except OSError as unreachable:
                        connection.close()
                        failure = unreachable
                    except BaseException:
                        connection.close()
                        raise
                    else:
                        return connection
        except TimeoutError:
            raise Refusal("504 Gateway Timeout", f"{target.host} does not answer within {CONNECT_SECONDS_MAX:g} s.") from None
        except OSError as unknown:
            failure = unknown
        raise Refusal("502 Bad Gateway", f"{target.host}:{target.port} cannot be reached: {failure}")


def _allowed(address: IPv4Address | IPv6Address, client: IPv4Address | IPv6Address) -> bool:
    if is_public(address):
        return True
    apart = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved
    return client.is_loopback and address.is_private and not apart
