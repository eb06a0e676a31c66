"""Every option, written once: flag, variable, TOML key, ``--help``, ``vision-emulator config`` and the README's table derive from it.

A later source wins over an earlier one: defaults, TOML file, environment, flags, keyword arguments. This is the only place that reads
the environment. What changes while the server runs (faults, clock) is no configuration: it belongs to the control API.
"""

from __future__ import annotations

import math
import os
import re
import sys
from argparse import SUPPRESS, ArgumentParser, BooleanOptionalAction
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from vision_emulator.written import toml

PREFIX: Final = "VISION_EMULATOR_"
FILE_NAME: Final = "vision-emulator.toml"
STORAGE_VARIABLE: Final = "STORAGE_EMULATOR_HOST"
STORAGE_OPTIONS: Final = ("storage", "buckets", "data_dir", "bucket", "auto_create_buckets")
AUTH: Final = ("open", "required")
CLOCKS: Final = ("system", "manual")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
DRAIN_SECONDS_MAX: Final = 3600.0
ENTRIES_MAX: Final = 1_000_000  # of the journal; its bytes are bounded, too

# A Kubernetes service or Docker link named vision-emulator puts these beside our own variables.
# Texts of settings that are paths: these say so themselves, and start where they were written.
PATH_MARKS: Final = ("./", "../", "~/")
SECRET_SETTINGS: Final = frozenset({"key", "token", "password", "headers"})  # never printed

SERVICE_LINK: Final = re.compile(r"SERVICE_(HOST|PORT)|SERVICE_PORT_|PORT_\d+_")


class ConfigError(ValueError):
    """An option that cannot be used; the text says which, where it was given, and what would do."""


# ---- checks: what a value must be beside its type; ValueError with the end of a sentence ----


def _port(value: int) -> None:
    if not 0 <= value <= 65535:
        raise ValueError(f"{value} is no port number; use 0 (a free one) to 65535")


def _seconds(value: float) -> None:
    if not 0 <= value <= DRAIN_SECONDS_MAX:
        raise ValueError(f"{value:g} is out of range; use 0 to {DRAIN_SECONDS_MAX:g} seconds")


def _endpoint(value: str) -> None:
    from vision_emulator.storage.remote import root_url

    root_url(value)


def _url_patterns(value: tuple[str, ...]) -> None:
    from vision_emulator.storage.web import UrlPattern

    for text in value:
        UrlPattern.parse(text)


def _log_level(value: str) -> None:
    if value not in LOG_LEVELS:
        raise ValueError(f"{value!r} is no level; use one of {', '.join(LOG_LEVELS)}")


def _auth(value: str) -> None:
    if value not in AUTH:
        raise ValueError(f"{value!r} is none; use one of {', '.join(AUTH)}")


def _density(value: int) -> None:
    from vision_emulator.annotators.synthetic import DENSITY_MAX

    if not 0 <= value <= DENSITY_MAX:
        raise ValueError(f"{value} is out of range; use 0 to {DENSITY_MAX}")


def _quota(value: int) -> None:
    if value < 1:
        raise ValueError(f"{value} lets nobody in; use 1 or more")


def _prices(value: Path) -> None:
    from vision_emulator.core.usage import Prices

    Prices.read(value)


def _entries(value: int) -> None:
    if not 0 <= value <= ENTRIES_MAX:
        raise ValueError(f"{value} is out of range; use 0 to {ENTRIES_MAX}")


def _kept(value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{value:g} is no time to keep anything; use more than 0 seconds")


def _clock(value: str) -> None:
    if value not in CLOCKS:
        raise ValueError(f"{value!r} is none; use one of {', '.join(CLOCKS)}")


def _project(value: str) -> None:
    if not re.fullmatch(r"[a-z0-9.:-]+", value):
        raise ValueError(f"{value!r} is no project id; use lower-case letters, digits and hyphens")


def _content_type(value: str) -> None:
    if not re.fullmatch(r"[\w.+-]+/[\w.+-]+(\s*;.*)?", value):
        raise ValueError(f"{value!r} is no content type; use for example application/json")


def _annotators(value: tuple[str, ...]) -> None:
    if len(set(value)) < len(value):
        raise ValueError(f"{','.join(value)} names an annotator twice")


def _pace(value: str) -> None:
    from vision_emulator.contract.errors import VisionError
    from vision_emulator.core.operations import Pace

    try:
        Pace.parse(value)
    except VisionError as wrong:
        raise ValueError(f"{value!r} is no pace; use auto, instant, polls:N, seconds:S, manual or never") from wrong


def _token(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", value):  # RFC 6750
        raise ValueError("what was given is no token; use letters, digits and . _ ~ + / - only")


def _import_paths(value: tuple[str, ...]) -> None:
    for name in value:
        if not re.fullmatch(r"[\w.]+:\w+", name):
            raise ValueError(f"{name!r} names no class; write it as module:Class")


def _option(
    default: Any,
    help: str,  # noqa: A002 - argparse's word
    metavar: str = "",
    check: Callable[[Any], None] | None = None,
    word: str = "",  # the flag's and the variable's, where it is not the field's name
    secret: bool = False,  # never printed
) -> Any:
    metadata = {"help": help, "metavar": metavar, "check": check, "word": word, "secret": secret}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How an emulator is to be; ConfigError when a value does not fit its option or two exclude each other.

    A list is a repeated flag, a list or tuple in Python and TOML, or one text with commas. ``None`` is unset.
    """

    host: str = _option("127.0.0.1", "address to listen on (0.0.0.0: every interface); HOST:PORT sets both", "HOST")
    port: int = _option(8970, "the one port of REST, gRPC and Cloud Storage; 0 picks a free one", "PORT", _port)
    grpc_port: int | None = _option(None, "a second port for gRPC only; 0 picks a free one", "PORT", _port)
    rest_port: int | None = _option(None, "a second port for REST and Cloud Storage only; 0 picks a free one", "PORT", _port)
    project: str = _option("vision-emulator", "project id in names of operations when the caller names none", "ID", _project)
    storage: str | None = _option(
        None,
        f"use the Cloud Storage at this address, not the built-in one; unset: ${STORAGE_VARIABLE} when exported, else the built-in one",
        "URL",
        _endpoint,
    )
    buckets: Path | None = _option(  # noqa: RUF009 - a dataclass field under another name
        None, "folder to serve as buckets: FOLDER/bucket/object; unset: buckets live in memory", "FOLDER"
    )
    data_dir: Path | None = _option(  # noqa: RUF009 - a dataclass field under another name
        None, "folder for state that survives: buckets as files, operations in a database; unset: operations live in memory", "FOLDER"
    )
    bucket: tuple[str, ...] = _option((), "bucket to make at start (a list)", "NAME")
    auto_create_buckets: bool = _option(False, "make a bucket when it is first named, instead of answering that it is missing")
    allow_url: tuple[str, ...] = _option(
        (),
        "http(s) images that may be fetched, as https://example.com/* or http://localhost:*/*; unset: none (a list)",
        "PATTERN",
        _url_patterns,
    )
    fixtures: tuple[Path, ...] = _option(
        (), "folder of given answers: rules in YAML or JSON, or Vision's own output files (a list)", "FOLDER"
    )
    shipped_fixtures: bool = _option(True, "also know the documented answers for Google's sample images")
    annotators: tuple[str, ...] = _option(
        ("fixtures", "local", "synthetic"),
        "who looks at pictures, in order; per feature the first that claims it answers (a list)",
        "NAME",
        _annotators,
    )
    annotator: tuple[str, ...] = _option(
        (),
        "an annotator of your own, asked before the others; the working directory is searched, too (a list)",
        "MODULE:CLASS",
        _import_paths,
    )
    settings: Mapping[str, Mapping[str, Any]] = _option(
        {},
        "what an annotator is told: in TOML the table [settings.NAME], as a variable divided by ; (a list)",
        "NAME.KEY=VALUE",
        word="setting",
    )
    annotate_timeout: float = _option(
        120.0, "how long an annotator may look at an image, in seconds, before that is the image's error; 0: for ever", "SECONDS", _seconds
    )
    seed: int = _option(0, "what invented answers are derived from, together with the image's bytes", "N")
    synthetic_density: int | None = _option(
        None,
        "invent so many words, labels, objects, faces … for every picture, for load tests; unset: as the picture's scene has",
        "N",
        _density,
    )
    auth: str = _option("open", "open: credentials are not looked at; required: a call without a key or token is refused", "WHO", _auth)
    quota: int | None = _option(None, "calls that each project may make in a minute, polls not counted; unset: any number", "N", _quota)
    prices: Path | None = _option(  # noqa: RUF009 - a dataclass field under another name
        None, "TOML file of what units of a feature cost, for the ledger of cost; unset: Google's documented prices", "FILE", _prices
    )
    journal_entries: int = _option(10_000, "calls that the journal remembers; the oldest are forgotten", "N", _entries)
    pace: str = _option("auto", "when operations are seen to be done: auto, instant, polls:N, seconds:S, manual or never", "PACE", _pace)
    certificates: Path | None = _option(  # noqa: RUF009 - a dataclass field under another name
        None, "folder of the local certificate authority, which clients of TLS must trust; unset: one in the user's cache", "FOLDER"
    )
    tls_cert: Path | None = _option(  # noqa: RUF009 - as above
        None, "certificate (PEM) to show to clients of TLS, in place of one by the local authority", "FILE"
    )
    tls_key: Path | None = _option(None, "its key (PEM); unset: it is in the certificate's file", "FILE")  # noqa: RUF009 - as above
    control_token: str | None = _option(
        None, "secret that control calls must carry; without one only this machine's programs are let in", "TOKEN", _token, secret=True
    )
    proxy_others: bool = _option(False, "as a proxy, also lead to public hosts that are not answered here, instead of refusing")
    operations_kept_seconds: float | None = _option(
        None, "how long finished operations are known, in seconds on that clock; unset: until there are 10000 of them", "SECONDS", _kept
    )
    clock: str = _option(
        "system", "system: time goes on by itself; manual: only when POST /_emulator/v1/clock:advance says so", "MODE", _clock
    )
    drain_seconds: float = _option(10.0, "how long accepted work may take to finish after SIGTERM, in seconds", "SECONDS", _seconds)
    output_content_type: str = _option("application/octet-stream", "content type of written result files", "TYPE", _content_type)
    log_level: str = _option("info", f"what is logged: {', '.join(LOG_LEVELS)}", "LEVEL", _log_level)

    def __post_init__(self) -> None:
        for option in OPTIONS.values():
            try:
                object.__setattr__(self, option.name, option.read(getattr(self, option.name), Path()))
            except ValueError as wrong:
                raise ConfigError(f"{option.name}: {wrong}") from wrong
        if self.tls_key is not None and self.tls_cert is None:
            raise ConfigError("tls_key without tls_cert: name the certificate that it belongs to")
        if self.synthetic_density is not None:
            told = self.settings.get("synthetic", {})
            if told.get("density", self.synthetic_density) != self.synthetic_density:
                raise ConfigError(
                    f"synthetic_density is {self.synthetic_density}, and settings.synthetic.density {told['density']}: say one"
                )
        if self.storage is not None and self.buckets is not None:
            raise ConfigError("storage and buckets exclude each other: the buckets are either at that address or in that folder")
        if self.data_dir is not None and self.buckets is not None:
            raise ConfigError("data_dir and buckets exclude each other: the buckets of a data directory are in it, in the folder buckets")
        if self.storage is not None and (self.bucket or self.auto_create_buckets):
            raise ConfigError("bucket and auto_create_buckets are for the built-in storage: make the buckets at the storage's address")


def environment() -> dict[str, str]:
    """The environment of this process, for programs that are started with it."""
    return dict(os.environ)  # noqa: TID251 - the one place that reads it


def cache_folder() -> Path:
    """Where this user's programs keep what can be made again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "vision-emulator"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vision-emulator"  # noqa: TID251 - the one place that reads it


class Option:
    """One field of Config as the outside sees it."""

    def __init__(self, declared: Field[Any], hint: Any) -> None:
        self.name = declared.name
        self.word: str = declared.metadata["word"] or declared.name
        self.flag = "--" + self.word.replace("_", "-")
        self.variable = PREFIX + self.word.upper()
        self.is_table = declared.default is MISSING  # of tables: name → key → value
        self.default = {} if self.is_table else declared.default
        self.help: str = declared.metadata["help"]
        self.metavar: str = declared.metadata["metavar"]
        self.secret: bool = declared.metadata["secret"]
        self._check: Callable[[Any], None] | None = declared.metadata["check"]
        members = [member for member in get_args(hint) if member not in (NoneType, Ellipsis)]
        self.is_list = isinstance(self.default, tuple)
        self.kind: type = members[0] if members else hint  # of one item, when it is a list

    def read(self, value: Any, folder: Path) -> Any:
        """The value of this option from text or from a TOML or Python value; ValueError says why not. Paths start at ``folder``."""
        if value is None and self.default is None:
            return None
        read: Any
        if self.is_table:
            read = _tables(value, folder)
        elif not self.is_list:
            read = self._read_one(value, folder)
        elif isinstance(value, str):
            read = tuple(self._read_one(item.strip(), folder) for item in value.split(",") if item.strip())
        elif isinstance(value, list | tuple):
            read = tuple(self._read_one(item, folder) for item in value)
        else:
            raise ValueError(f"{value!r} is no list")
        if self._check is not None and read != self.default:  # a check may import what is not needed otherwise
            self._check(read)
        return read

    def _read_one(self, value: Any, folder: Path) -> Any:
        if self.kind is Path and isinstance(value, str | Path) and str(value):
            return folder / Path(value).expanduser()
        if self.kind is bool and isinstance(value, str) and value.lower() in BOOLEANS:
            return BOOLEANS[value.lower()]
        if self.kind in (int, float):
            number = self._read_number(value)
            if number is not None:
                return number
        elif isinstance(value, self.kind) and value != "":
            return value
        raise ValueError(f"{value!r} is no {NAMES_OF_KINDS[self.kind]}")

    def _read_number(self, value: Any) -> int | float | None:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            return None
        try:
            number: int | float = self.kind(value)
        except (ValueError, OverflowError):
            return None
        return number if isinstance(value, str) or number == value else None  # 1.5 is no int


# ---- settings of annotators ----


def _tables(given: Any, folder: Path) -> dict[str, dict[str, Any]]:
    """Name → key → value, from such a mapping or from texts ``NAME.KEY=VALUE``; ValueError says which is none."""
    tables: dict[str, dict[str, Any]] = {}
    if isinstance(given, Mapping):
        for name, table in given.items():
            if not isinstance(table, Mapping):
                raise ValueError(f"{name} is no table; write [settings.{name}] and its keys below")
            tables[name] = {str(key): _from(folder, value) for key, value in table.items()}
        return tables
    if isinstance(given, str):
        given = given.split("\n" if "\n" in given else ";")
    if not isinstance(given, list | tuple):
        raise ValueError(f"{given!r} is no table")
    for text in given:
        place, equals, value = str(text).partition("=")
        name, dot, key = place.strip().rpartition(".")  # the name of a class has dots of its own
        if name and dot and key and equals:
            tables.setdefault(name, {})[key] = _from(folder, _toml_or_text(value.strip()))
        elif text.strip():
            raise ValueError(f"{text!r} sets nothing; write it as NAME.KEY=VALUE")
    return tables


def _toml_or_text(text: str) -> Any:
    """What TOML reads in a value; else the text itself, or with commas a list of such."""
    import tomllib  # here: most starts have nothing to read

    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        read = {}
    if read.keys() == {"value"}:
        return read["value"]
    if "," in text and text[0] not in "[{\"'":
        return [_toml_or_text(item.strip()) for item in text.split(",") if item.strip()]
    return text


def _from(folder: Path, value: Any) -> Any:
    """The value with each text in it that says it is a path made to start at ``folder``."""
    if isinstance(value, str) and value.startswith(PATH_MARKS):
        return str(folder / Path(value).expanduser())
    if isinstance(value, list | tuple):
        return [_from(folder, item) for item in value]
    if isinstance(value, Mapping):
        return {key: _from(folder, item) for key, item in value.items()}
    return value


BOOLEANS: Final = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
NAMES_OF_KINDS: Final = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
}
_HINTS: Final = get_type_hints(Config)
OPTIONS: Final = {declared.name: Option(declared, _HINTS[declared.name]) for declared in fields(Config)}


class Loaded(NamedTuple):
    """A configuration, where each value came from, and what the log should say about how it came to be."""

    config: Config
    origins: dict[str, str]
    notes: tuple[str, ...]


class _Source(NamedTuple):
    values: Mapping[str, Any]
    folder: Path  # relative paths start here
    place: Callable[[str], str]  # key as given → how a person finds it


def load(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    working_directory: Path | None = None,
    **options: Any,
) -> Loaded:
    """The configuration from all sources; ConfigError names the option, the place it was given, and the nearest known name.

    ``flags`` is what a parser prepared by ``add_flags`` found; ``options`` are keyword arguments and win over everything.
    """
    environ = os.environ if environ is None else environ  # noqa: TID251 - the one place that reads it
    folder = working_directory or Path.cwd()
    flags = {name: _joined(name, value) if isinstance(value, list) else value for name, value in (flags or {}).items()}
    chosen: dict[str, Any] = {}
    origins = dict.fromkeys(OPTIONS, "default")
    file = flags.pop("config", None) or environ.get(PREFIX + "CONFIG")
    sources = (
        _toml(folder, file),
        _Source(_from_environment(environ), folder, lambda name: PREFIX + _word(name).upper()),
        _Source(flags, folder, lambda name: "--" + _word(name).replace("_", "-")),
        _Source(options, folder, lambda name: f"keyword argument {name}"),
    )
    for source in sources:
        for name, value in _read(source):
            origins[name] = source.place(name)
            if OPTIONS[name].is_table:  # key by key, so that a flag changes one setting and leaves the file's others
                kept = chosen.get(name, {})
                chosen[name] = kept | {table: kept.get(table, {}) | keys for table, keys in value.items()}
                origins |= {f"{name}.{table}.{key}": source.place(name) for table, keys in value.items() for key in keys}
            else:
                chosen[name] = value
    notes = _adopt_exported_storage(environ.get(STORAGE_VARIABLE), folder, chosen, origins)
    try:
        return Loaded(Config(**chosen), origins, notes)
    except ConfigError as wrong:  # each value is right by itself, so two of them do not go together
        places = "; ".join(f"{name}: {origins[name]}" for name in STORAGE_OPTIONS if origins[name] != "default")
        raise ConfigError(f"{wrong} ({places})" if places else str(wrong)) from wrong


def _adopt_exported_storage(endpoint: str | None, folder: Path, chosen: dict[str, Any], origins: dict[str, str]) -> tuple[str, ...]:
    """Takes STORAGE_EMULATOR_HOST for the storage when nothing else was said; answers what the log should say of it."""
    if not endpoint or "storage" in chosen:
        return ()
    try:
        storage = OPTIONS["storage"].read(endpoint, folder)
    except ValueError as wrong:
        raise ConfigError(f"{STORAGE_VARIABLE}: {wrong}") from wrong
    refusal = _why_not_storage(storage, chosen)
    if refusal:
        return (f"{STORAGE_VARIABLE}={endpoint} {refusal}",)
    chosen["storage"], origins["storage"] = storage, STORAGE_VARIABLE
    return (f"{STORAGE_VARIABLE}={endpoint} is exported: objects are read and written there",)


def _toml(folder: Path, name: str | None) -> _Source:
    """The named file, or the one of the working directory when there is one; paths in it start at its own folder."""
    path = folder / (name or FILE_NAME)
    if name is None and not path.is_file():
        return _Source({}, folder, str)
    try:
        values = toml(path)
    except ValueError as wrong:
        raise ConfigError(str(wrong)) from wrong
    return _Source(values, path.parent, lambda key: f"{key} in {path}")


def _word(name: str) -> str:
    return OPTIONS[name].word if name in OPTIONS else name


def _joined(name: str, values: Sequence[str]) -> Any:
    return values if name in OPTIONS and OPTIONS[name].is_table else ",".join(values)


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    ours = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX) and name != PREFIX + "CONFIG"}
    names = {option.variable.removeprefix(PREFIX): option.name for option in OPTIONS.values()}
    return {
        names.get(name, name.lower()): value
        for name, value in ours.items()
        if not SERVICE_LINK.match(name) and not value.startswith("tcp://")
    }


def _read(source: _Source) -> Iterator[tuple[str, Any]]:
    """The source's values as options; a host that carries a port yields both."""
    for key, given in source.values.items():
        option = OPTIONS.get(key)
        if option is None:
            near = get_close_matches(key, OPTIONS, n=1)
            known = source.place(near[0]) if near else "vision-emulator config lists the options"
            raise ConfigError(f"{source.place(key)} is no option" + (f"; did you mean {known}?" if near else f": {known}"))
        try:
            value = option.read(given, source.folder)
            if key == "host":
                value, port = split_address(value)
                if port is not None:
                    if "port" in source.values:
                        raise ValueError(f"{given!r} names a port, and {source.place('port')} another")
                    yield "port", OPTIONS["port"].read(port, source.folder)
        except ValueError as wrong:
            raise ConfigError(f"{source.place(key)}: {wrong}") from wrong
        yield key, value


def split_address(address: str) -> tuple[str, str | None]:
    """Host and port of ``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address; None when it names no port."""
    bracketed = re.fullmatch(r"\[(.+)\](?::(.+))?", address)
    if bracketed:
        return bracketed[1], bracketed[2]
    host, colon, port = address.partition(":")
    return (host, port) if colon and ":" not in port else (address, None)


def join_address(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _why_not_storage(endpoint: str, chosen: Mapping[str, Any]) -> str:
    """Why an exported storage address is left alone, as the end of a sentence; empty when it is used."""
    from vision_emulator.storage.remote import names_this_server

    if chosen.get("buckets") is not None:
        return f"is left alone: buckets are served from {chosen['buckets']}"
    if chosen.get("data_dir") is not None:
        return f"is left alone: buckets are kept in {chosen['data_dir']}"
    host = chosen.get("host", OPTIONS["host"].default)
    ports = (chosen.get("port", OPTIONS["port"].default), chosen.get("rest_port"))
    if any(names_this_server(endpoint, host, port) for port in ports if port):
        return "is this very server: the built-in storage is used"
    return ""


# ---- how options look from outside ----


def add_flags(parser: ArgumentParser, *names: str) -> None:
    """Adds ``--config`` and a flag for each named option (all when none is named); what was not given is absent from the result."""
    parser.add_argument(
        "--config", metavar="FILE", default=SUPPRESS, help=f"TOML file of options; without it {FILE_NAME}, when there is one"
    )
    for option in (OPTIONS[name] for name in names or OPTIONS):
        text = option.help + (f" [default: {shown(option.default)}]" if option.default not in (None, (), {}) else "")
        if option.kind is bool:
            parser.add_argument(option.flag, action=BooleanOptionalAction, default=SUPPRESS, help=text)
        else:
            action = "append" if option.is_list or option.is_table else "store"
            help_text = text.replace("%", "%%")
            parser.add_argument(option.flag, dest=option.name, action=action, metavar=option.metavar, default=SUPPRESS, help=help_text)


def shown(value: Any) -> str:
    """A value as a person writes it on the command line."""
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_toml(loaded: Loaded) -> str:
    """Every option with its value and where it came from, as a TOML file that gives the same configuration again."""
    rows = []
    for name, value in asdict(loaded.config).items():
        if not OPTIONS[name].is_table:
            row = (
                f"# {name} =" if value is None else f"# {name} = (not shown)" if OPTIONS[name].secret else f"{name} = {_toml_value(value)}"
            )
            rows.append((row, loaded.origins[name]))
    for table, keys in loaded.config.settings.items():  # last: in TOML a table has no end but the next
        rows.append((f"[settings.{_toml_key(table)}]", ""))
        for key, value in keys.items():
            row = f"# {key} = (not shown)" if key in SECRET_SETTINGS else f"{_toml_key(key)} = {_toml_value(value)}"
            rows.append((row, loaded.origins.get(f"settings.{table}.{key}", loaded.origins["settings"])))
    width = max(len(row) for row, origin in rows if origin)
    return "".join(f"{row:<{width}}  # {origin}\n" if origin else f"\n{row}\n" for row, origin in rows)


def _toml_value(value: Any) -> str:
    import json

    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str | Path | int | float):
        return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)  # JSON's scalars are TOML's
    return str(value)  # a date or a time


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml_value(key)


def as_markdown() -> str:
    """The table of options for the README."""
    rows = ["| Flag | Default | What it does |", "|---|---|---|"]
    for option in OPTIONS.values():
        flag = f"`{option.flag}`" if option.kind is bool else f"`{option.flag} {option.metavar}`"
        default = f"`{shown(option.default)}`" if option.default not in (None, (), {}) else "—"
        rows.append(f"| {flag} | {default} | {option.help} |")
    return "\n".join(rows) + "\n"
