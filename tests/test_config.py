"""Configuration: one declaration per option, five sources in a fixed order, and errors that say what, where and what would do."""

from __future__ import annotations

import math
import tomllib
from argparse import ArgumentParser
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from vision_emulator.config import OPTIONS, Config, ConfigError, add_flags, as_markdown, as_toml, load, split_address


def loaded(folder: Path, *, flags: dict[str, Any] | None = None, environ: dict[str, str] | None = None, **options: Any) -> Any:
    return load(flags or {}, environ or {}, folder, **options)


def refusal(folder: Path, **sources: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, **sources)
    return str(caught.value)


def test_each_source_wins_over_the_ones_before_it(tmp_path: Path) -> None:
    """Defaults < TOML < environment < flags < keyword arguments, and each value knows where it came from."""
    (tmp_path / "vision-emulator.toml").write_text("seed = 1\n")
    file = str(tmp_path / "vision-emulator.toml")
    sources: dict[str, Any] = {}
    found = [loaded(tmp_path / "nowhere"), loaded(tmp_path)]
    for source in ({"environ": {"VISION_EMULATOR_SEED": "2"}}, {"flags": {"seed": "3"}}, {"seed": 4}):
        sources |= source
        found.append(loaded(tmp_path, **sources))
    assert [each.config.seed for each in found] == [0, 1, 2, 3, 4]
    origins = ["default", f"seed in {file}", "VISION_EMULATOR_SEED", "--seed", "keyword argument seed"]
    assert [each.origins["seed"] for each in found] == origins


def test_every_option_is_reachable_by_flag_variable_and_key(tmp_path: Path) -> None:
    """No option exists in one source only: all derive from the one declaration."""
    parser = ArgumentParser()
    add_flags(parser)
    values = {str: "abc", int: "7", float: "7", bool: "true", Path: "abc"}
    special = {
        "storage": "http://localhost:1",
        "allow_url": "http://localhost",
        "pace": "manual",
        "auth": "required",
        "clock": "manual",
        "log_level": "debug",
        "output_content_type": "text/plain",
        "annotator": "mine:Shade",
        "settings": "shade.word=dark",
        "prices": "prices.toml",
    }
    (tmp_path / "prices.toml").write_text("free_units = 0\n")
    for option in OPTIONS.values():
        text = special.get(option.name, values[option.kind])
        flags = vars(parser.parse_args([option.flag] if option.kind is bool else [option.flag, text]))
        beside: dict[str, Any] = {"tls_cert": "abc"} if option.name == "tls_key" else {}  # a key alone means nothing
        by_flag = getattr(loaded(tmp_path, flags=flags, **beside).config, option.name)
        by_variable = getattr(loaded(tmp_path, environ={option.variable: text}, **beside).config, option.name)
        assert by_flag == by_variable != (None if option.kind is bool else option.default)
        assert f"`{option.flag}" in as_markdown()


def test_a_list_is_a_repeated_flag_commas_or_an_array(tmp_path: Path) -> None:
    """All ways to write a list give the same tuple."""
    (tmp_path / "list.toml").write_text('bucket = ["a", "b", "c"]\n')
    ways = [
        loaded(tmp_path, flags={"bucket": ["a", "b,c"]}),
        loaded(tmp_path, environ={"VISION_EMULATOR_BUCKET": "a, b,c,"}),
        loaded(tmp_path, flags={"config": "list.toml"}),
        loaded(tmp_path, bucket=["a", "b", "c"]),
    ]
    assert {way.config.bucket for way in ways} == {("a", "b", "c")}


def test_config_takes_what_a_person_would_write() -> None:
    """Config itself reads text and lists as the other sources do, so that keyword arguments need no imports."""
    config = Config(buckets="tree", bucket=["a"], fixtures="answers", port="0")  # type: ignore[arg-type]
    assert (config.buckets, config.bucket, config.fixtures, config.port) == (Path("tree"), ("a",), (Path("answers"),), 0)


def test_paths_start_where_they_were_written(tmp_path: Path) -> None:
    """A path in a TOML file is relative to that file, any other to the working directory."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "my.toml").write_text('buckets = "tree"\n')
    found = loaded(tmp_path, flags={"config": "etc/my.toml", "fixtures": ["answers"]}).config
    assert found.buckets == tmp_path / "etc" / "tree"
    assert found.fixtures == (tmp_path / "answers",)


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ({"flags": {"prot": "1"}}, "--prot is no option; did you mean --port?"),
        ({"environ": {"VISION_EMULATOR_PROT": "1"}}, "VISION_EMULATOR_PROT is no option; did you mean VISION_EMULATOR_PORT?"),
        ({"environ": {"VISION_EMULATOR_XYZZY": "1"}}, "VISION_EMULATOR_XYZZY is no option: vision-emulator config lists the options"),
        ({"flags": {"port": "x"}}, "--port: 'x' is no whole number"),
        ({"flags": {"port": "70000"}}, "--port: 70000 is no port number; use 0 (a free one) to 65535"),
        ({"environ": {"VISION_EMULATOR_GRPC_PORT": "-1"}}, "VISION_EMULATOR_GRPC_PORT: -1 is no port number; use 0 (a free one) to 65535"),
        ({"environ": {"VISION_EMULATOR_SHIPPED_FIXTURES": "maybe"}}, "VISION_EMULATOR_SHIPPED_FIXTURES: 'maybe' is no true or false"),
        ({"flags": {"pace": "fast"}}, "--pace: 'fast' is no pace; use auto, instant, polls:N, seconds:S, manual or never"),
        ({"flags": {"drain_seconds": "nan"}}, "--drain-seconds: nan is out of range; use 0 to 3600 seconds"),
        (
            {"flags": {"storage": "ftp://a"}},
            "--storage: not the address of a Cloud Storage endpoint: 'ftp://a'; write it as http://HOST:PORT",
        ),
        (
            {"environ": {"STORAGE_EMULATOR_HOST": "http://"}},
            "STORAGE_EMULATOR_HOST: not the address of a Cloud Storage endpoint: 'http://'; write it as http://HOST:PORT",
        ),
        ({"flags": {"auth": "maybe"}}, "--auth: 'maybe' is none; use one of open, required"),
        ({"flags": {"quota": "0"}}, "--quota: 0 lets nobody in; use 1 or more"),
        ({"flags": {"log_level": "loud"}}, "--log-level: 'loud' is no level; use one of debug, info, warning, error"),
        ({"flags": {"project": "My Project"}}, "--project: 'My Project' is no project id; use lower-case letters, digits and hyphens"),
        ({"flags": {"annotators": ["synthetic,synthetic"]}}, "--annotators: synthetic,synthetic names an annotator twice"),
        ({"flags": {"output_content_type": "json"}}, "--output-content-type: 'json' is no content type; use for example application/json"),
        ({"flags": {"host": "a:1", "port": "2"}}, "--host: 'a:1' names a port, and --port another"),
        ({"flags": {"host": ""}}, "--host: '' is no text"),
        ({"seed": 1.5}, "keyword argument seed: 1.5 is no whole number"),
        ({"port": True}, "keyword argument port: True is no whole number"),
        ({"bucket": 3}, "keyword argument bucket: 3 is no list"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(tmp_path: Path, sources: dict[str, Any], said: str) -> None:
    """The error names the place as the person wrote it, what was wrong, and what would do."""
    assert refusal(tmp_path, **sources) == said


def test_a_broken_file_is_refused_with_its_name(tmp_path: Path) -> None:
    """A TOML file that is missing, broken, or has an unknown key or a wrong value is named in the error."""
    path = tmp_path / "my.toml"
    flags = {"config": "my.toml"}
    assert refusal(tmp_path, flags=flags) == f"{path}: No such file or directory"
    path.write_text("port = \n")
    assert refusal(tmp_path, flags=flags).startswith(f"{path}: no TOML: Invalid value (at line 1")
    path.write_text("prot = 1\n")
    assert refusal(tmp_path, flags=flags) == f"prot in {path} is no option; did you mean port in {path}?"
    path.write_text("port = inf\n")
    assert refusal(tmp_path, flags=flags) == f"port in {path}: inf is no whole number"


def test_two_places_for_buckets_are_refused(tmp_path: Path) -> None:
    """Two places for the same buckets is a contradiction, wherever each came from; nothing is silently ignored."""
    said = refusal(tmp_path, flags={"buckets": "tree"}, environ={"VISION_EMULATOR_STORAGE": "http://localhost:1"})
    assert said == (
        "storage and buckets exclude each other: the buckets are either at that address or in that folder "
        "(storage: VISION_EMULATOR_STORAGE; buckets: --buckets)"
    )
    for option in ({"bucket": ["a"]}, {"auto_create_buckets": True}):
        said = refusal(tmp_path, flags=option, environ={"STORAGE_EMULATOR_HOST": "http://localhost:1"})
        assert said.startswith("bucket and auto_create_buckets are for the built-in storage: make the buckets at the storage's address (st")


def test_host_may_carry_the_port(tmp_path: Path) -> None:
    """VISION_EMULATOR_HOST means the same to the server as to its clients: host and port in one; a flag still wins."""
    environ = {"VISION_EMULATOR_HOST": "localhost:9001"}
    assert [getattr(loaded(tmp_path, environ=environ).config, name) for name in ("host", "port")] == ["localhost", 9001]
    assert loaded(tmp_path, environ=environ, flags={"port": "0"}).config.port == 0
    assert [split_address(text) for text in ("::1", "[::1]:80", "[::1]", "host", "host:1")] == [
        ("::1", None), ("::1", "80"), ("::1", None), ("host", None), ("host", "1"),
    ]  # fmt: skip


def test_settings_of_annotators_come_from_every_source(tmp_path: Path) -> None:
    """A table for each annotator, put together key by key, so that a flag changes one setting and leaves the file's others."""
    (tmp_path / "vision-emulator.toml").write_text(
        '[settings.local]\nlanguages = ["de"]\nspeed = 1\n[settings."my.own:Shade"]\nword = "x"\n'
    )
    environ = {"VISION_EMULATOR_SETTING": "local.speed=2; http.url=http://localhost:1/?a=b"}
    found = loaded(
        tmp_path, environ=environ, flags={"settings": ["local.speed=3", "my.own:Shade.depth=0.5"]}, settings={"new": {"on": True}}
    )
    assert found.config.settings == {
        "local": {"languages": ["de"], "speed": 3},
        "my.own:Shade": {"word": "x", "depth": 0.5},
        "http": {"url": "http://localhost:1/?a=b"},
        "new": {"on": True},
    }
    assert [found.origins[f"settings.{key}"] for key in ("local.languages", "local.speed", "http.url", "new.on")] == [
        f"settings in {tmp_path / 'vision-emulator.toml'}", "--setting", "VISION_EMULATOR_SETTING", "keyword argument settings",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0.5", 0.5),
        ("true", True),
        ('"1"', "1"),
        ("[1, 2]", [1, 2]),
        ("{a = 1}", {"a": 1}),
        ("plain text", "plain text"),
        ("", ""),
        ("de,en", ["de", "en"]),
        ("1, x", [1, "x"]),
        ('"a,b"', "a,b"),
        ("a=b", "a=b"),
        ("1\nother = 2", "1\nother = 2"),
    ],
)
def test_a_setting_is_a_value_of_toml_or_text(text: str, value: Any) -> None:
    """What a person writes behind the = needs no quotes unless it would be read as something else."""
    assert Config(settings=[f"a.b={text}"]).settings == {"a": {"b": value}}  # type: ignore[arg-type]


def test_paths_in_settings_start_where_they_were_written(tmp_path: Path) -> None:
    """A text that begins with ./ or ../ is a path from the file's folder, or from the working directory; other texts are left alone."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "my.toml").write_text('[settings.local]\nmodel = "./m.onnx"\nmore = ["../n.onnx", "plain"]\n')
    found = loaded(tmp_path, flags={"config": "etc/my.toml", "settings": ["local.words=./w.txt"]}).config.settings["local"]
    assert found == {
        "model": str(tmp_path / "etc" / "m.onnx"),
        "more": [str(tmp_path / "etc" / ".." / "n.onnx"), "plain"],
        "words": str(tmp_path / "w.txt"),
    }


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ({"flags": {"settings": ["word=1"]}}, "--setting: 'word=1' sets nothing; write it as NAME.KEY=VALUE"),
        (
            {"environ": {"VISION_EMULATOR_SETTING": "local.x"}},
            "VISION_EMULATOR_SETTING: 'local.x' sets nothing; write it as NAME.KEY=VALUE",
        ),
        ({"settings": {"local": 1}}, "keyword argument settings: local is no table; write [settings.local] and its keys below"),
        ({"settings": 1}, "keyword argument settings: 1 is no table"),
        ({"flags": {"annotator": ["mine"]}}, "--annotator: 'mine' names no class; write it as module:Class"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, sources: dict[str, Any], said: str) -> None:
    """A setting that goes nowhere, and an annotator that names no class, are errors with their place."""
    assert refusal(tmp_path, **sources) == said


def test_secrets_are_not_printed(tmp_path: Path) -> None:
    """``vision-emulator config`` ends up in tickets and logs: that a key is set is said, not which."""
    text = as_toml(loaded(tmp_path, environ={"VISION_EMULATOR_SETTING": "upstream.key=AIza123;upstream.mode=record"}))
    assert "AIza123" not in text
    assert "# key = (not shown)" in text
    assert tomllib.loads(text)["settings"] == {"upstream": {"mode": "record"}}


def test_variables_of_service_links_are_no_options(tmp_path: Path) -> None:
    """Kubernetes and Docker put variables of the same prefix into containers beside a service called vision-emulator."""
    environ = {
        "VISION_EMULATOR_SERVICE_HOST": "10.0.0.1",
        "VISION_EMULATOR_SERVICE_PORT_HTTP": "8970",
        "VISION_EMULATOR_PORT": "tcp://10.0.0.1:8970",
        "VISION_EMULATOR_PORT_8970_TCP_ADDR": "10.0.0.1",
    }
    assert loaded(tmp_path, environ=environ).config == Config()


def test_an_exported_storage_emulator_is_used(tmp_path: Path) -> None:
    """STORAGE_EMULATOR_HOST is the storage when nothing else was said, and the log says so."""
    found = loaded(tmp_path, environ={"STORAGE_EMULATOR_HOST": "localhost:4443"})
    assert (found.config.storage, found.origins["storage"]) == ("localhost:4443", "STORAGE_EMULATOR_HOST")
    assert found.notes == ("STORAGE_EMULATOR_HOST=localhost:4443 is exported: objects are read and written there",)


@pytest.mark.parametrize("rest_port", [None, 9002])
def test_an_exported_address_of_this_very_server_is_recognised(tmp_path: Path, rest_port: int | None) -> None:
    """Exported for the tests in the same shell, STORAGE_EMULATOR_HOST must not make the server call itself."""
    environ = {"STORAGE_EMULATOR_HOST": f"http://localhost:{rest_port or 9001}"}
    found = loaded(tmp_path, environ=environ, port=9001, rest_port=rest_port)
    assert found.config.storage is None
    assert found.notes == (f"STORAGE_EMULATOR_HOST={environ['STORAGE_EMULATOR_HOST']} is this very server: the built-in storage is used",)


def test_what_was_said_about_storage_wins_over_the_exported_address(tmp_path: Path) -> None:
    """An explicit storage or folder is a decision; the exported variable is only a habit."""
    environ = {"STORAGE_EMULATOR_HOST": "http://localhost:4443"}
    assert loaded(tmp_path, environ=environ, storage="http://localhost:5").config.storage == "http://localhost:5"
    assert loaded(tmp_path, environ=environ, storage=None).config.storage is None
    found = loaded(tmp_path, environ=environ, buckets="tree")
    assert (found.config.storage, found.config.buckets) == (None, tmp_path / "tree")
    assert found.notes == (f"STORAGE_EMULATOR_HOST=http://localhost:4443 is left alone: buckets are served from {tmp_path / 'tree'}",)


def test_printed_configuration_reads_back(tmp_path: Path) -> None:
    """What ``vision-emulator config`` prints is a TOML file that gives the same configuration again."""
    settings = {"local": {"a": [1, "x", {"b c": 0.5}], "on": True, "text": 'q"'}, "my.own:Shade": {"most": math.inf}}
    first = loaded(tmp_path, bucket=["a", 'b"c'], buckets='odd "folder"', seed=-3, shipped_fixtures=False, settings=settings)
    text = as_toml(first)
    (tmp_path / "vision-emulator.toml").write_text(text)
    assert loaded(tmp_path).config == first.config
    assert first.config.settings == settings
    given = {name: value for name, value in asdict(first.config).items() if value is not None}
    assert tomllib.loads(text).keys() == given.keys()
    assert all(field.name in text for field in fields(Config))
