"""What a program's environment must say so that it comes here without a line of it being changed.

The variables lead every official client, in every language, through the port as its proxy, let it trust the local authority beside the
system's own, and give it a service account that nobody checks. Four files go with them: certificates to trust, the same for Java, the
account's key, and what leads those of Node's connections here that look for no proxy.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from vision_emulator.surfaces.accounts import account
from vision_emulator.surfaces.proxy import HERE
from vision_emulator.surfaces.tls import Authority

if TYPE_CHECKING:
    from cryptography import x509

TRUST_PASSWORD: Final = "changeit"  # noqa: S105 - Java's own for stores of certificates, which hold no secrets
_PROXIED: Final = ("https_proxy", "HTTPS_PROXY", "grpc_proxy")  # C-core and Go read one case each, Node its own; http:// is left alone
_UNPROXIED: Final = ("no_proxy", "NO_PROXY", "no_grpc_proxy")
_TRUSTING: Final = (
    "SSL_CERT_FILE",  # OpenSSL: Python, Ruby, Go, PHP
    "REQUESTS_CA_BUNDLE",  # Python's requests
    "CURL_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",  # gRPC's core and Node
    "HTTPLIB2_CA_CERTS",  # google-api-python-client
    "NODE_EXTRA_CA_CERTS",
    "DENO_CERT",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
)
_THROUGH: Final = ("vision.googleapis.com", "storage.googleapis.com", "oauth2.googleapis.com", "www.googleapis.com")
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


class Files(NamedTuple):
    """The files that the variables name."""

    certificates: Path  # PEM: the local authority's and the system's
    java_certificates: Path  # the same as PKCS #12
    account: Path  # a service account with a key of its own
    node: Path  # read by Node before the program


def write_files(folder: Path, authority: Authority, project: str, token_uri: str, environ: Mapping[str, str]) -> Files:
    """Writes them into a folder; whatever certificates ``environ`` says to trust are trusted still. OSError."""
    files = Files(folder / "certificates.pem", folder / "certificates.p12", folder / "account.json", folder / "preload.js")
    trusted = authority.pem + _system_certificates(environ)
    _write(files.certificates, trusted)
    _write(files.java_certificates, _for_java(trusted))
    _write(files.account, _account(project, token_uri))
    _write(files.node, Path(__file__).with_name("preload.js").read_bytes().replace(b"@HERE@", HERE.pattern.encode()))
    return files


def variables(address: str, project: str, files: Files, environ: Mapping[str, str], storage: str | None = None) -> dict[str, str]:
    """The variables for a server at ``host:port``; lists and options that ``environ`` has already are kept and added to."""
    host, _, port = address.rpartition(":")
    url = f"http://{address}"
    said = [entry for entry in _split(environ.get("NO_PROXY") or environ.get("no_proxy", "")) if not _keeps_away(entry)]
    direct = ",".join(dict.fromkeys([*said, *_LOCAL, host.strip("[]")]))
    return {
        "VISION_EMULATOR_HOST": address,
        "STORAGE_EMULATOR_HOST": storage or url,
        "GOOGLE_APPLICATION_CREDENTIALS": str(files.account),
        "GOOGLE_CLOUD_PROJECT": project,
        "GCLOUD_PROJECT": project,
        **dict.fromkeys(_PROXIED, url),
        **dict.fromkeys(_UNPROXIED, direct),
        **trusting(files),
        "CLOUDSDK_CORE_PROJECT": project,
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_VISION": f"{url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{storage or url}/storage/v1/",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
        "GOOGLE_API_USE_CLIENT_CERTIFICATE": "false",
        "NO_GCE_CHECK": "true",  # nobody need ask whether this is Google's cloud: Python and Java
        "METADATA_SERVER_DETECTION": "none",  # and Node
        "NODE_OPTIONS": " ".join(filter(None, (environ.get("NODE_OPTIONS", ""), f"--require {_quoted(str(files.node))}"))),
        "JAVA_TOOL_OPTIONS": " ".join(filter(None, (environ.get("JAVA_TOOL_OPTIONS", ""), *_java_options(host, port, files, direct)))),
    }


def trusting(files: Files) -> dict[str, str]:
    """Of the variables those that say which certificates are to be trusted; Java has options instead."""
    return dict.fromkeys(_TRUSTING, str(files.certificates))


def java_trusting(files: Files) -> tuple[str, ...]:
    """The same as options of Java."""
    return (
        _quoted(f"-Djavax.net.ssl.trustStore={files.java_certificates}"),
        "-Djavax.net.ssl.trustStoreType=PKCS12",
        f"-Djavax.net.ssl.trustStorePassword={TRUST_PASSWORD}",
    )


def _java_options(host: str, port: str, files: Files, direct: str) -> tuple[str, ...]:
    return (
        f"-Dhttps.proxyHost={host.strip('[]')}",
        f"-Dhttps.proxyPort={port}",
        f"-Dhttp.nonProxyHosts={'|'.join(f'*{name}' if name.startswith('.') else name for name in _split(direct))}",
        *java_trusting(files),
    )


def _quoted(option: str) -> str:
    """As Java and Node take one that has blanks in a list of options."""
    return f'"{option}"' if " " in option else option


def _keeps_away(entry: str) -> bool:
    """Whether an entry of NO_PROXY is, or holds, a host that must be reached through the port; a company's may say .googleapis.com."""
    name = entry.lstrip("*.").lower()
    name = name.partition(":")[0] if name.count(":") == 1 else name
    return not name or any(f".{host}".endswith(f".{name}") for host in _THROUGH)


def _split(text: str) -> list[str]:
    return [part for part in (part.strip() for part in text.split(",")) if part]


# ---- files ----


def _write(file: Path, content: bytes) -> None:
    """Readable by its owner only, and never half there: other programs may be reading the one before."""
    made = file.with_name(f"{file.name}.{os.getpid()}")
    made.unlink(missing_ok=True)
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
    made.replace(file)


def _system_certificates(environ: Mapping[str, str]) -> bytes:
    """What this machine, or this user, trusts: other hosts still verify."""
    paths = ssl.get_default_verify_paths()
    named = [environ.get(name, "") for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")]
    for name in (
        *named,
        paths.cafile or "",
        paths.openssl_cafile,
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
    ):
        if name and Path(name).is_file():
            return b"\n" + Path(name).read_bytes()
    return b""


def _for_java(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    entries = [pkcs12.PKCS12Certificate(certificate, f"trusted-{index}".encode()) for index, certificate in enumerate(_well_formed(pem))]
    return pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(TRUST_PASSWORD.encode()))


def _well_formed(pem: bytes) -> Iterator[x509.Certificate]:
    """Each certificate once; a few that systems still carry break today's rules, and no client would take them."""
    from cryptography import x509

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in dict.fromkeys(_CERTIFICATE.findall(pem)):
            try:
                certificate = x509.load_pem_x509_certificate(text)
            except ValueError:
                continue
            if certificate.serial_number > 0:
                yield certificate


def _account(project: str, token_uri: str) -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)  # libraries sign with it, so it must be one
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    described = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": "vision-emulator",
        "private_key": private.decode(),
        "client_email": account(project),
        "client_id": "100000000000000000000",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
    }
    return json.dumps(described, indent=2).encode()


# ---- for shells ----


def _bash(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set --global --export {name} '{escaped}'"


def _powershell(name: str, value: str) -> str:
    escaped = value.replace("'", "''")
    return f"$env:{name} = '{escaped}'"


def _dotenv(name: str, value: str) -> str:
    quote = "'" if '"' in value else '"'
    return f"{name}={quote}{value}{quote}"


def _github(name: str, value: str) -> str:
    return f"{name}={value}"  # to be appended to the file that $GITHUB_ENV names


SHELLS: Final[Mapping[str, Callable[[str, str], str]]] = {
    "bash": _bash,
    "fish": _fish,
    "powershell": _powershell,
    "dotenv": _dotenv,
    "github": _github,
}


def written(named: Mapping[str, str], shell: str) -> str:
    """The variables as lines that this shell, a key of SHELLS, reads."""
    return "".join(f"{SHELLS[shell](name, value)}\n" for name, value in named.items())
