"""TLS for the one port: a certificate authority of this machine's own, made when it is first needed, or a certificate of the user's.

The authority is two files in a folder, ``ca.pem`` for clients to trust and ``ca.key`` that only its owner can read. It is kept, so that
what trusts it once trusts every later server of this user. The server's own certificate is made anew by each server, for the names it is
asked by, and its key never outlives the call that loads it.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import os
import re
import ssl
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vision_emulator.surfaces.http import is_address

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

log = logging.getLogger(__name__)

ALPN: Final = ("http/1.1", "h2")  # in this order: a client that offers both speaks REST, one that offers only h2 speaks gRPC
HOSTS: Final = (  # of Google's, answered here when a client comes by them
    "googleapis.com",
    "*.googleapis.com",
    "*.rep.googleapis.com",
    "*.mtls.googleapis.com",
    "*.storage.googleapis.com",
    "accounts.google.com",
    "metadata.google.internal",
)
LOCAL_NAMES: Final = ("localhost", "*.localhost")
LOCAL_ADDRESSES: Final = ("127.0.0.1", "::1")
AUTHORITY_DAYS: Final = 3650
LEAF_DAYS: Final = 365  # clients refuse more than 398
BACKDATED: Final = dt.timedelta(days=1)  # clocks of containers and their hosts differ
NAMES_MAX: Final = 256  # certificates for names that clients asked by; more get the usual one
_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


class TlsError(Exception):
    """Certificates cannot be made, read or used; the text says which and why."""


class Authority:
    """A certificate authority in a folder; made there when there is none. Two processes may begin at once and get the same one."""

    def __init__(self, folder: Path) -> None:
        self.certificate_file: Final = folder / "ca.pem"
        try:
            if not self.certificate_file.exists():
                _make(folder)
            self._certificate, self._key = _read(folder)
        except OSError as failure:
            raise TlsError(f"the certificate authority in {folder} cannot be used: {failure}") from failure
        except ValueError as broken:
            raise TlsError(f"the certificate authority in {folder} is broken: {broken}; remove {folder} to get a new one") from broken

    @property
    def pem(self) -> bytes:
        """The certificate that clients must trust."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self._certificate.public_bytes(Encoding.PEM)

    def leaf(self, *names: str) -> bytes:
        """A new certificate for these names and addresses, its key behind it, as PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID

        key = ec.generate_private_key(ec.SECP256R1())
        subjects = [x509.IPAddress(ipaddress.ip_address(name)) if is_address(name) else x509.DNSName(name) for name in names]
        built = (
            _builder("vision-emulator", LEAF_DAYS)
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .add_extension(x509.SubjectAlternativeName(subjects), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + private


class Tls:
    """What the port needs to speak TLS, made at the first hello: an emulator that nobody speaks TLS with makes no certificates."""

    def __init__(self, folder: Path, certificate: Path | None = None, key: Path | None = None) -> None:
        """With ``certificate`` and ``key`` of the user's own, ``folder`` is not touched; TlsError when they cannot be used."""
        self._folder = folder
        self._lock = threading.Lock()
        self._authority: Authority | None = None
        self._named: dict[str, ssl.SSLContext] = {}
        self._context = _loaded(certificate, key) if certificate else None

    def context(self) -> ssl.SSLContext:
        """For the server's side of a handshake. Blocks for a tenth of a second at first; TlsError."""
        authority = self.authority() if self._context is None else None
        with self._lock:
            if self._context is None:
                assert authority is not None
                self._context = _context(authority.leaf(*LOCAL_NAMES, *LOCAL_ADDRESSES, *HOSTS))
                self._context.sni_callback = self._by_name
                log.info("clients that speak TLS must trust %s", authority.certificate_file)
            return self._context

    def authority(self) -> Authority:
        """The local authority, which clients must trust unless they are shown a certificate of the user's own; TlsError."""
        with self._lock:
            if self._authority is None:
                self._authority = Authority(self._folder)
            return self._authority

    def _by_name(self, hello: ssl.SSLObject | ssl.SSLSocket, name: str | None, usual: ssl.SSLContext) -> None:
        """A certificate for a name that the usual one lacks: the name of a container, or the machine's own."""
        if not name or name.endswith(("localhost", "googleapis.com")) or not _NAME.fullmatch(name.lower()):
            return
        known = self._named.get(name)
        if known is None and self._authority is not None and len(self._named) < NAMES_MAX:
            known = self._named[name] = _context(self._authority.leaf(name))
        hello.context = known or usual


def _context(pem: bytes) -> ssl.SSLContext:
    """A server's context for this certificate and key. ssl reads files only, so they are one: in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("leaf"), "wb") as file:
            file.write(pem)
            file.flush()
            return _loaded(Path(f"/proc/self/fd/{file.fileno()}"), None)
    with tempfile.TemporaryDirectory(prefix="vision-emulator-") as folder:  # readable by its owner only
        leaf = Path(folder) / "leaf.pem"
        leaf.write_bytes(pem)
        return _loaded(leaf, None)


def _loaded(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as failure:
        raise TlsError(f"{certificate}{f' and {key}' if key else ''} cannot be used as certificate and key: {failure}") from failure
    context.set_alpn_protocols(list(ALPN))
    return context


def _make(folder: Path) -> None:
    """Puts a new authority in place whole: in a folder of its own first, which gets its name only when it is complete."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    built = (
        _builder("vision-emulator, this machine only", AUTHORITY_DAYS)
        .issuer_name(_name("vision-emulator, this machine only"))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_signs_certificates(), critical=True)
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True) as made:
        (Path(made) / "ca.pem").write_bytes(built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        descriptor = os.open(Path(made) / "ca.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(private)
        try:
            Path(made).rename(folder)
        except OSError:
            if not (folder / "ca.pem").exists():  # another process was not faster: something else is in the way
                raise


def _read(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("ca.key is not the key of ca.pem")
    if certificate.not_valid_after_utc < _now() + dt.timedelta(days=LEAF_DAYS):
        raise ValueError("its certificate expires within a year")
    return certificate, key


def _builder(name: str, days: int) -> x509.CertificateBuilder:
    from cryptography import x509

    start = _now() - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=days))
    )


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _signs_certificates() -> x509.KeyUsage:
    from cryptography import x509

    others = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return x509.KeyUsage(key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False, **dict.fromkeys(others, False))


def _now() -> dt.datetime:
    # The machine's own time and no emulated one: clients compare certificates with theirs.
    return dt.datetime.now(dt.UTC)  # noqa: TID251
